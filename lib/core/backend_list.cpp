#include "core/backend_list.h"

namespace muster::core {

void BackendSnapshot::add(const Entry& entry) {
  Row row;
  row.who = entry.enrolment;
  row.state = entry.state;
  row.cause = entry.cause;
  row.quiesced = entry.quiesced.state();
  row.since_unix_ms = entry.since_unix_ms;
  row.open_operations = static_cast<std::uint32_t>(entry.open.size());
  rows_.push_back(std::move(row));
}

BackendInfo BackendSnapshot::info(std::size_t index) const {
  const Row& row = rows_[index];
  const auto& registration = row.who->registration;
  BackendInfo info;
  info.key = registration.key;
  info.state = row.state;
  info.incarnation = row.who->incarnation;
  info.pid = row.who->peer.process.pid;
  info.uid = row.who->peer.uid;
  info.labels = registration.labels;
  info.ack_timeout = registration.ack_timeout;
  info.idle_timeout = registration.idle_timeout;
  info.sdk_name = registration.sdk_name;
  info.sdk_version = registration.sdk_version;
  info.since_unix_ms = row.since_unix_ms;
  if (row.state != BackendState::kLive) info.gone_because = to_string(row.cause);
  info.cause = row.cause;
  info.quiesced = row.quiesced;
  info.can_resume = registration.can_resume;
  info.open_operations = row.open_operations;
  info.gid = row.who->peer.gid;
  if (const auto& facts = row.who->peer.facts) {
    info.exe = facts->exe;
    info.exe_problem = facts->exe_problem;
    info.process_started_unix_ms = facts->started_unix_ms;
  }
  return info;
}

bool SelectionWork::matches(const Entry& entry) const {
  const auto& registration = entry.enrolment->registration;
  return selection_.matches(registration.key, registration.labels);
}

bool SelectionWork::advance(const Registry& registry, const std::function<bool()>& turn_is_over) {
  if (selection_.terms() == 0) return false;
  std::size_t seen = 0;
  while (known_.size() < registry.slots()) {
    if (++seen % kBetweenLooks == 0 && turn_is_over()) return true;
    const Entry& entry = registry.at(static_cast<EntryId>(known_.size()));
    Known known;
    if (entry.enrolment != nullptr) {
      known.incarnation = entry.enrolment->incarnation;
      known.selected = matches(entry);
    }
    known_.push_back(known);
  }
  return false;
}

bool SelectionWork::selects(EntryId id, const Entry& entry) const {
  if (id < known_.size() && known_[id].incarnation == entry.enrolment->incarnation) {
    return known_[id].selected;
  }
  return matches(entry);
}

}  // namespace muster::core
