// What each user has of the broker, and what happens to those who want more than they may have.
#include <map>
#include <utility>

#include "core/broker_state.h"
#include "core/report_bytes.h"

namespace muster::core {

namespace {

// Nothing tells when another backend of the same user will be gone.
constexpr std::chrono::seconds kRegistrationRetry{5};

}  // namespace

bool Broker::State::has_room(ConnectionId connection, Now now) {
  auto& session = *find(connection);
  auto over = accounts.refusal(Resource::kConnection, session.peer.uid);
  if (!over) {
    accounts.take(Resource::kConnection, session.peer.uid);
    session.counted = true;
    return true;
  }
  // By then those that do not register are gone.
  turn_away_unknown(connection, 0,
                    {RefusalCode::kQuota, *std::move(over) + "; try again when one has ended",
                     config.register_timeout},
                    now);
  return false;
}

std::optional<Refusal> Broker::State::over_registrations(uid_t uid) const {
  auto over = accounts.refusal(Resource::kRegistration, uid);
  if (!over) return std::nullopt;
  return Refusal{RefusalCode::kQuota, *std::move(over) + "; try again when one is gone",
                 kRegistrationRetry};
}

void Broker::State::uncount(Session& session) {
  if (!std::exchange(session.counted, false)) return;
  accounts.give_back(Resource::kConnection, session.peer.uid);
}

std::size_t Broker::State::bytes_running(uid_t uid) const {
  std::size_t bytes = 0;
  log.for_each_running([&](const Broadcast& broadcast) {
    if (broadcast.charged == uid && !broadcast.own) bytes += bytes_of(broadcast);
  });
  return bytes;
}

std::vector<UserUsage> Broker::State::usage() const {
  std::map<uid_t, UserUsage> users;
  for (const uid_t uid : accounts.users()) {
    const auto& account = *accounts.find(uid);
    auto& user = users[uid];
    user.connections.used = account.connections;
    user.registrations.used = account.registrations;
    user.queued_bytes.used = account.queue.used;
    user.broadcasts.used = account.broadcasts;
    user.operators.used = account.operators;
    user.followers.used = account.followers;
    user.holds.used = account.holds;
    if (account.answers) user.answer_bytes.used = account.answers->used;
  }
  registry.for_each_with_dead(
      [&](uid_t uid, std::size_t dead) { users[uid].dead_backends = dead; });

  log.for_each_user([&](uid_t uid, std::size_t bytes) { users[uid].report_bytes.used = bytes; });

  std::vector<UserUsage> list;
  list.reserve(users.size());
  for (auto& [uid, user] : users) {
    const auto quota = accounts.quota_of(uid);
    user.uid = uid;
    user.connections.quota = quota.connections;
    user.registrations.quota = quota.registrations;
    user.queued_bytes.quota = quota.queued_bytes;
    user.broadcasts.quota = quota.broadcasts;
    user.operators.quota = quota.operators;
    user.followers.quota = quota.followers;
    user.answer_bytes.quota = quota.answer_bytes;
    user.report_bytes.quota = quota.report_bytes;
    user.holds.quota = quota.holds;
    list.push_back(user);
  }
  return list;
}

}  // namespace muster::core
