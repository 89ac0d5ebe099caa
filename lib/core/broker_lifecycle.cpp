// Backends that are lost, come back, die or go idle; what expires; going down.
#include <algorithm>

#include "core/broker_state.h"

namespace muster::core {

// The connection of a registered backend ended. Its process may come back, or may be about to be
// seen dead: both are settled by process_exited(), a new registration, or the grace.
void Broker::State::lose(EntryId id, GoneReason reason, Now now) {
  auto& entry = registry.at(id);
  entry.state = BackendState::kReconnecting;
  entry.gone = reason;
  entry.since_unix_ms = now.unix_ms;
  disarm(entry.idle);
  auto& session = *find(entry.connection);
  session.phase = Session::Phase::kLost;
  shell.hang_up(entry.connection);
  uncount(session);
  Deadline deadline;
  deadline.kind = Deadline::Kind::kGrace;
  deadline.index = id;
  entry.grace = arm(deadline, now.steady + config.reconnect_grace);
  tell(Event::Kind::kBackendReconnecting, *entry.enrolment, now, to_string(reason));
}

void Broker::State::die(EntryId id, GoneReason reason, Now now) {
  auto& entry = registry.at(id);
  const auto who = entry.enrolment;
  entry.gone = reason;
  disarm(entry.grace);
  disarm(entry.idle);
  release(entry.connection);
  entry.connection = {};
  accounts.give_back(Resource::kRegistration, who->peer.uid);
  registry.mark_dead(id, now);
  tell(Event::Kind::kBackendDead, *who, now, to_string(reason));
  fail_open(entry, to_string(reason), now);
  registry.evict_dead(config.max_dead);
  expire_dead(now);
}

void Broker::State::displace(EntryId id, const Peer& by, Now now) {
  auto& entry = registry.at(id);
  const bool same_process = entry.enrolment->peer.same_process(by);
  disarm(entry.grace);
  disarm(entry.idle);
  if (entry.state == BackendState::kLive) {
    Refusal refusal;
    refusal.code = RefusalCode::kReplaced;
    refusal.reason = same_process
                         ? "this process registered the same key on another connection"
                         : "pid " + std::to_string(by.process.pid) + " registered the same key";
    shell.refuse(entry.connection, 0, refusal, false);
  }
  release(entry.connection);
  entry.connection = {};
  // The same process is asked again on its new connection; another one was not asked.
  if (!same_process) fail_open(entry, to_string(GoneReason::kReplaced), now);
}

void Broker::State::fail_open(Entry& entry, std::string_view detail, Now now) {
  while (!entry.open.empty()) {
    const auto open = entry.open.front();
    settle(*open.broadcast, open.target, OutcomeKind::kFailure,
           BroadcastFailureReason::kBackendError, std::string(detail), now);
  }
}

void Broker::State::redeliver(Entry& entry, Now now) {
  for (const auto& open : entry.open) {
    auto& target = open.broadcast->targets[open.target];
    target.who = entry.enrolment;
    ++target.redeliveries;
    ++counters.redeliveries;
    shell.send(entry.connection, *open.broadcast->frame_for(target.budget));
    tell_outcome(Event::Kind::kRedelivered, *open.broadcast, open.target, now);
  }
}

void Broker::State::arm_idle(EntryId id, SteadyTime at) {
  Deadline deadline;
  deadline.kind = Deadline::Kind::kIdle;
  deadline.index = id;
  registry.at(id).idle = arm(deadline, at);
}

void Broker::State::idle_passed(EntryId id, Now now) {
  const auto& entry = registry.at(id);
  const auto due = entry.last_activity + *entry.enrolment->registration.idle_timeout;
  if (due > now.steady) {
    arm_idle(id, due);
    return;
  }
  if (shutting_down) return;  // it is being quiesced for that reason already
  if (log.running() >= config.max_broadcasts) {
    arm_idle(id, now.steady + std::chrono::seconds(1));
    return;
  }
  BroadcastRequest request;
  request.operation = BroadcastOperation::quiesce(QuiesceReason::kIdleTimeout);
  launch(std::move(request), id, std::nullopt, now);
}

void Broker::State::expire_dead(Now now) {
  const auto oldest = registry.expire_dead(now.steady - config.dead_age);
  if (oldest == SteadyTime::max() || expire_dead_deadline.armed()) return;
  Deadline deadline;
  deadline.kind = Deadline::Kind::kExpireDead;
  expire_dead_deadline = arm(deadline, oldest + config.dead_age);
}

void Broker::State::expire_reports(Now now) {
  log.trim(config.max_reports, config.max_report_targets, now.steady - config.report_age);
  const auto oldest = log.oldest_end();
  if (oldest == SteadyTime::max() || expire_reports_deadline.armed()) return;
  Deadline deadline;
  deadline.kind = Deadline::Kind::kExpireReport;
  expire_reports_deadline = arm(deadline, oldest + config.report_age);
}

void Broker::State::maybe_drained() {
  if (!shutting_down || drained || log.running() != 0) return;
  drained = true;
  shell.drained();
}

void Broker::shut_down(Now now) {
  auto& state = *state_;
  if (state.shutting_down) {
    std::vector<Broadcast*> running;
    state.log.for_each_running([&](Broadcast& broadcast) { running.push_back(&broadcast); });
    for (auto* broadcast : running) state.cancel(*broadcast, now);
    return;
  }
  state.shutting_down = true;
  Event event;
  event.kind = Event::Kind::kShuttingDown;
  event.unix_ms = now.unix_ms;
  state.shell.report(event);
  for (std::uint32_t slot = 0; slot < state.sessions.size(); ++slot) {
    if (state.sessions[slot].phase != Session::Phase::kNew) continue;
    state.refuse(
        {slot, state.sessions[slot].generation}, 0,
        {RefusalCode::kShuttingDown, "the broker is shutting down", std::chrono::seconds(1)}, now);
  }
  BroadcastRequest request;
  request.operation = BroadcastOperation::quiesce(QuiesceReason::kBrokerShutdown);
  state.launch(std::move(request), Registry::kNone, std::nullopt, now);
  state.maybe_drained();
}

SteadyTime Broker::latest_deadline() const noexcept {
  auto latest = SteadyTime::min();
  state_->log.for_each_running([&](const Broadcast& broadcast) {
    for (const auto& target : broadcast.targets) {
      if (target.outcome == OutcomeKind::kOpen) latest = std::max(latest, target.deadline_at);
    }
  });
  return latest;
}

}  // namespace muster::core
