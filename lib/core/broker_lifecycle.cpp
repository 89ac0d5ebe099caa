// Backends that are lost, come back, die or go idle; what expires; going down.
#include <algorithm>
#include <utility>

#include "core/broker_state.h"

namespace muster::core {

// The connection of a registered backend ended. Its process may come back, or may be about to be
// seen dead: both are settled by process_exited(), a new registration, or the grace.
void Broker::State::lose(EntryId id, Cause cause, Now now, bool is_half_closed) {
  auto& entry = registry.at(id);
  disarm(entry.idle);
  auto& session = *find(entry.connection);
  session.phase = Session::Phase::kLost;
  session.is_half_closed = is_half_closed;
  if (!is_half_closed) {
    shell.hang_up(entry.connection);
    uncount(session);
  }
  // The broker has closed its end of what another process has: nothing tells when that one lets go
  // of it, and nobody can come back. It stays lost until an operator has it forgotten.
  if (entry.cause == Cause::kInherited) return;
  entry.state = BackendState::kReconnecting;
  entry.cause = cause;
  entry.since_unix_ms = now.unix_ms;
  Deadline deadline;
  deadline.kind = Deadline::Kind::kGrace;
  deadline.index = id;
  bool is_armed = false;
  unless_out_of_memory([&] {
    entry.grace = arm(deadline, now.steady + config.reconnect_grace);
    is_armed = true;
  });
  tell(Event::Kind::kBackendReconnecting, *entry.enrolment, now, to_string(cause));
  if (!is_armed) grace_passed(id, now);  // nothing would end it; it may come back all the same
}

void Broker::State::half_closed_ended(Session& session, ConnectionId connection, LossCause cause,
                                      Now now) {
  session.is_half_closed = false;
  const EntryId id = session.entry;
  shell.hang_up(connection);
  uncount(session);
  const bool is_inherited = registry.at(id).cause == Cause::kInherited;
  if (is_inherited && cause == LossCause::kClosed) die(id, Cause::kProcessExited, now);
}

void Broker::State::grace_passed(EntryId id, Now now) {
  auto& entry = registry.at(id);
  entry.state = BackendState::kLost;
  entry.since_unix_ms = now.unix_ms;
  tell(Event::Kind::kBackendLost, *entry.enrolment, now, to_string(entry.cause));
  fail_open(entry, entry.cause, now);
}

void Broker::State::outlive(EntryId id, Now now) {
  auto& entry = registry.at(id);
  entry.state = BackendState::kLost;
  entry.cause = Cause::kInherited;
  entry.since_unix_ms = now.unix_ms;
  disarm(entry.idle);
  disarm(entry.grace);
  shell.record_changed(entry.enrolment->key());
  tell(Event::Kind::kBackendLost, *entry.enrolment, now, to_string(entry.cause));
  fail_open(entry, entry.cause, now);
}

void Broker::State::die(EntryId id, Cause cause, Now now) {
  auto& entry = registry.at(id);
  const auto who = entry.enrolment;
  if (entry.is_refused()) {
    drop_refused(id);  // it never was a backend that could be dead
    return tell(Event::Kind::kBackendDead, *who, now, to_string(cause), true);
  }
  entry.cause = cause;
  entry.quiesced.clear();
  disarm(entry.grace);
  disarm(entry.idle);
  release(entry.connection);
  entry.connection = {};
  accounts.give_back(Resource::kRegistration, who->peer.uid);
  registry.mark_dead(id, now);
  tell(Event::Kind::kBackendDead, *who, now, to_string(cause));
  fail_open(entry, cause, now);
  registry.evict_dead(config.max_dead);
  expire_dead(now);
}

void Broker::process_exited(ConnectionId connection, Now now, bool inherited) {
  auto& state = *state_;
  const auto* session = state.find(connection);
  if (session == nullptr) return;
  if (session->phase == Session::Phase::kTurnedAway) {
    return state.drop_unknown(connection);
  }
  if (session->phase == Session::Phase::kNew) {
    state.release(connection);
    return;
  }
  if (inherited && (session->phase == Session::Phase::kRegistered || session->is_half_closed)) {
    return state.outlive(session->entry, now);
  }
  state.die(session->entry, Cause::kProcessExited, now);
}

void Broker::State::displace(Entry& entry, BackendState before) {
  disarm(entry.grace);
  disarm(entry.idle);
  if (before == BackendState::kLive) {
    unless_out_of_memory([&] {
      shell.refuse(entry.connection, 0,
                   {RefusalCode::kReplaced,
                    "this process registered the same key on another connection",
                    {}},
                   false);
    });
  }
  release(entry.connection);
  entry.connection = {};
}

void Broker::State::fail_open(Entry& entry, Cause cause, Now now) {
  while (!entry.open.empty()) {
    const auto open = entry.open.front();
    settle(*open.broadcast, open.target, OutcomeKind::kFailure, cause, now);
  }
}

void Broker::State::redeliver(Entry& entry, Now now) {
  for (const auto& open : entry.open) {
    auto& target = open.broadcast->targets[open.target];
    target.who = entry.enrolment;
    log.charge_enrolments(*open.broadcast, 0, entry.enrolment_bytes());
    entry.charged_to = open.id;
    shell.send(entry.connection, open.broadcast->outgoing(target.ack_timeout));
    if (!std::exchange(target.sent, true)) {  // it was away when the broadcast began
      ++counters.operations_sent;
      continue;
    }
    ++target.redeliveries;
    ++counters.redeliveries;
    tell_outcome(Event::Kind::kRedelivered, *open.broadcast, open.target, now);
  }
}

void Broker::State::end_quiesce(EntryId id, HoldEnd why, Now now) {
  auto& entry = registry.at(id);
  if (entry.state != BackendState::kLive) {
    entry.quiesced.end_while_away();
    shell.record_changed(entry.enrolment->key());
    return;
  }
  HoldEnded ended;
  ended.hold_id = entry.quiesced.newest().broadcast;
  ended.why = why;
  shell.send(entry.connection, 0, ended);
  entry.quiesced.clear();
  shell.record_changed(entry.enrolment->key());
  tell(Event::Kind::kBackendResumed, *entry.enrolment, now);
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
  if (entry.quiesced.holds()) return;
  // Half of what can run is reserved for operators; each user's share is charged with its backends'
  // own.
  const uid_t uid = entry.enrolment->peer.uid;
  const std::size_t most = most_for(uid, config.max_broadcasts);
  if (2 * log.running_own() >= most || log.running() >= most ||
      accounts.refusal(Resource::kBroadcast, uid)) {
    arm_idle(id, now.steady + std::chrono::seconds(1));
    return;
  }
  Launch what;
  what.request.operation = BroadcastOperation::quiesce(QuiesceReason::kIdleTimeout);
  what.only = id;
  what.charged = uid;
  what.own = true;
  try {
    launch(std::move(what), now);
  } catch (const std::bad_alloc&) {
    arm_idle(id, now.steady + std::chrono::seconds(1));
  }
}

void Broker::State::expire_dead(Now now) noexcept {
  const auto oldest = registry.expire_dead(now.steady - config.dead_age);
  const auto at = oldest == SteadyTime::max() ? oldest : oldest + config.dead_age;
  arm_again(expire_dead_deadline, Deadline::Kind::kExpireDead, at);
}

void Broker::State::expire_reports(Now now) noexcept {
  log.trim({config.max_reports, config.max_report_targets, config.max_report_bytes,
            now.steady - config.report_age});
  const auto oldest = log.oldest_end();
  const auto at = oldest == SteadyTime::max() ? oldest : oldest + config.report_age;
  arm_again(expire_reports_deadline, Deadline::Kind::kExpireReport, at);
}

void Broker::State::maybe_drained() {
  if (!shutting_down || drained || log.running() != 0) return;
  drained = true;
  shell.drained();
}

void Broker::shut_down(Now now, bool quiesce) {
  auto& state = *state_;
  if (state.shutting_down) {
    while (auto* running = state.log.oldest_running()) state.cancel(*running, now);
    return;
  }
  state.shutting_down = true;
  state.tell_shutting_down(now);
  for (std::uint32_t slot = 0; slot < state.sessions.size(); ++slot) {
    if (state.sessions[slot].phase != Session::Phase::kNew) continue;
    state.refuse(
        {slot, state.sessions[slot].generation}, 0,
        {RefusalCode::kShuttingDown, "the broker is shutting down", std::chrono::seconds(1)}, now);
  }
  state.end_waiting_holds(now);
  // Without memory the backends only see that the broker is gone. One allocation that fails is no
  // reason for that yet.
  constexpr int kTries = 2;
  bool is_told = !quiesce;
  for (int tries = 0; tries < kTries && !is_told; ++tries) {
    unless_out_of_memory([&] {
      State::Launch what;
      what.request.operation = BroadcastOperation::quiesce(QuiesceReason::kBrokerShutdown);
      state.launch(std::move(what), now);
      is_told = true;
    });
  }
  state.stop_verifying_all(now);  // the last: who has drained has told every backend before
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
