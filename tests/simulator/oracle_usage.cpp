// The oracle: what each user has of the broker, counted from what is there.
#include <algorithm>

#include "simulator/oracle.h"
#include "simulator/universe.h"

namespace muster::simulator {

UserUsage Oracle::usage_of(uid_t uid) const {
  UserUsage usage;
  usage.uid = uid;
  for (const auto& [number, connection] : connections_) {
    // Its socket is open.
    const bool counts = !connection.lost || connection.half_closed;
    if (connection.peer.uid == uid && counts) ++usage.connections.used;
  }
  for (const auto& backend : backends_) {
    if (backend.peer.uid != uid) continue;
    if (backend.state == BackendState::kDead) {
      ++usage.dead_backends;
    } else if (backend.is_registered()) {
      ++usage.registrations.used;
    }
  }
  for (const auto& [id, hold] : holds_) usage.holds.used += hold.charged == uid ? 1 : 0;
  for (const auto& [id, cast] : casts_) {
    if (cast.charged != uid) continue;
    if (cast.state == BroadcastState::kVerifying) ++usage.broadcasts.used;
    for (const auto& asked : cast.asked) {
      if (asked.outcome != OutcomeKind::kOpen) continue;
      ++usage.broadcasts.used;
      break;
    }
  }
  const auto quota = [&](std::int64_t each) {
    return static_cast<std::uint64_t>(each + (uid == uid_of(0) ? knobs_.more : 0));
  };
  usage.connections.quota = quota(knobs_.connections_each);
  usage.registrations.quota = quota(knobs_.registrations_each);
  usage.queued_bytes.quota = quota(knobs_.queued_each);
  usage.broadcasts.quota = quota(knobs_.broadcasts_each);
  usage.holds.quota = quota(knobs_.holds_each);
  const core::Quota defaults;
  usage.operators.quota = defaults.operators;
  usage.followers.quota = defaults.followers;
  usage.answer_bytes.quota = defaults.answer_bytes;
  usage.report_bytes = {report_bytes_of(uid), quota(knobs_.report_bytes_each)};
  return usage;
}

std::vector<UserUsage> Oracle::usage() const {
  std::vector<UserUsage> all;
  for (std::uint32_t user = 0; user < kUsers; ++user) {
    const auto usage = usage_of(uid_of(user));
    const auto sum = usage.connections.used + usage.registrations.used + usage.broadcasts.used +
                     usage.dead_backends + usage.report_bytes.used + usage.holds.used;
    if (sum != 0) all.push_back(usage);
  }
  std::sort(all.begin(), all.end(),
            [](const UserUsage& a, const UserUsage& b) { return a.uid < b.uid; });
  return all;
}

}  // namespace muster::simulator
