// What operators look at: backends, and the broker as a whole.
#include <map>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "core/broker_state.h"

namespace muster::core {

bool Broker::look_on(SelectionWork& selection, const std::function<bool()>& turn_is_over) const {
  return selection.advance(state_->registry, turn_is_over);
}

BackendSnapshot Broker::snapshot(const SelectionWork& selection) const {
  BackendSnapshot backends;
  state_->registry.for_each([&](EntryId id, const Entry& entry) {
    if (selection.selects(id, entry)) backends.add(entry);
  });
  return backends;
}

std::vector<BackendInfo> Broker::backends(const Selection& selection) const {
  const auto found = snapshot(SelectionWork(selection));
  std::vector<BackendInfo> list;
  list.reserve(found.size());
  for (std::size_t i = 0; i < found.size(); ++i) list.push_back(found.info(i));
  return list;
}

void Broker::find_keys(std::map<pid_t, BackendKey>& of_processes) const {
  state_->registry.for_each([&](EntryId, const Entry& entry) {
    if (!entry.is_registered()) return;
    const auto found = of_processes.find(entry.enrolment->peer.process.pid);
    if (found != of_processes.end()) found->second = entry.enrolment->registration.key;
  });
}

void Broker::fill_status(BrokerStatus& status) const {
  status.version = state_->config.broker_version;
  status.started_unix_ms = state_->config.started_unix_ms;
  status.shutting_down = state_->shutting_down;
  status.live_backends = 0;
  status.dead_backends = 0;
  status.reconnecting_backends = 0;
  status.lost_backends = 0;
  status.quiesced_backends = 0;
  std::size_t unseen = 0;
  state_->registry.for_each([&](EntryId, const Entry& entry) {
    switch (entry.state) {
      case BackendState::kLive:
        ++status.live_backends;
        break;
      case BackendState::kReconnecting:
        ++status.reconnecting_backends;
        break;
      case BackendState::kLost:
        ++status.lost_backends;
        break;
      case BackendState::kDead:
        ++status.dead_backends;
        break;
    }
    if (entry.quiesced.holds()) ++status.quiesced_backends;
    const bool is_lost = entry.state == BackendState::kLost;
    if (is_lost && entry.cause == Cause::kUnseen) ++unseen;
  });
  status.running_broadcasts.clear();
  state_->log.for_each_running(
      [&](const Broadcast& broadcast) { status.running_broadcasts.push_back(broadcast.id); });
  status.reports_kept = state_->log.kept();
  status.counters = state_->counters;
  status.users = state_->usage();
  state_->refused.add_problems(status.problems, state_->config.max_refused);
  if (unseen != 0) status.problems.push_back(unseen_problem(unseen));
}

}  // namespace muster::core
