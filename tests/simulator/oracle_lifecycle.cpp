// The oracle: connections that end, processes that exit, and those that are waited for.
#include "simulator/oracle.h"
#include "simulator/violation.h"

namespace muster::simulator {

void Oracle::lost(std::uint32_t connection, core::LossCause cause, Now now) {
  auto* who = known(connection);
  if (who == nullptr) return;
  if (who->half_closed) {
    // Rule: of a connection that was half closed the end tells one thing: nobody has it any more.
    // Whose process had exited is dead then, and not before.
    who->half_closed = false;
    send(connection, Sent::Kind::kHangUp);
    auto& backend = *by_serial(who->serial);
    if (backend.cause != Cause::kInherited) return;
    cases_.saw(Case::kHalfClosedEnded);
    return die(backend, Cause::kProcessExited, now);
  }
  if (who->lost) return;
  const bool over_quota = cause == core::LossCause::kUserQuota;
  const bool is_half = cause == core::LossCause::kHalfClosed;
  if (cause != core::LossCause::kClosed && !is_half) ++counters.slow_readers;
  if (over_quota) ++counters.over_quota;
  if (over_quota) cases_.saw(Case::kQueueUsedUp);
  if (!who->registered) return release(connection);
  auto why = Cause::kClosed;
  if (cause == core::LossCause::kSlowReader) why = Cause::kSlowReader;
  if (over_quota) why = Cause::kUserQuota;
  auto& backend = *by_serial(who->serial);
  if (backend.cause == Cause::kInherited && cause == core::LossCause::kClosed) {
    cases_.saw(Case::kInheritedEnded);
    return die(backend, Cause::kProcessExited, now);
  }
  if (is_half) cases_.saw(Case::kHalfClosed);
  lose(backend, why, now, is_half);
}

// Rule: dead is only a backend whose process has exited and whose connection has ended.
void Oracle::exited(std::uint32_t connection, bool inherited, Now now) {
  const auto* who = known(connection);
  if (who == nullptr) return;
  if (who->turned_away) cases_.saw(Case::kTurnedAwayExited);
  if (!who->registered || who->turned_away) return release(connection);
  auto& backend = *by_serial(who->serial);
  // Rule: the process exits after the send: a failure, BackendError, at once; nobody waits.
  if (!inherited || (who->lost && !who->half_closed)) {
    return die(backend, Cause::kProcessExited, now);
  }
  // Rule: it exits while another process has its connection: a failure, BackendError, at once, and
  // again in every broadcast until that connection ends. It is lost, never skipped.
  // That nothing more is sent on it changes nothing of that.
  cases_.saw(who->half_closed ? Case::kHalfClosedHeld : Case::kInherited);
  backend.state = BackendState::kLost;
  backend.cause = Cause::kInherited;
  backend.since_unix_ms = now.unix_ms;
  backend.idle_at.reset();
  tell(Event::Kind::kBackendLost, backend);
  fail_open(backend.serial, Cause::kInherited, now);
}

void Oracle::end_quiesce(Backend& backend, HoldEnd why) {
  if (backend.state != BackendState::kLive) {
    backend.resumed_away = true;
    return;
  }
  const auto newest = backend.holds.back().state.broadcast;
  if (why == HoldEnd::kResumed) {
    send(backend.connection, Sent::Kind::kResumed, newest);
  } else {
    send(backend.connection, Sent::Kind::kHoldEnded, newest, static_cast<std::uint64_t>(why));
  }
  backend.holds.clear();
  backend.resumed_away = false;
  tell(Event::Kind::kBackendResumed, backend);
}

// Rule: its connection ends while the process lives: the broker waits for it to come back. Rule:
// one that sends nothing more has ended as far as answers go; but while somebody has the other end
// the broker keeps its own, as nothing else tells whether a process is left that may hold what the
// backend held.
void Oracle::lose(Backend& backend, Cause why, Now now, bool is_half) {
  connections_.at(backend.connection).lost = true;
  connections_.at(backend.connection).half_closed = is_half;
  if (!is_half) send(backend.connection, Sent::Kind::kHangUp);
  if (backend.cause == Cause::kInherited) {
    // The broker ended what another process has. Nobody can come back, and nothing tells when that
    // process lets go: it stays lost.
    return;
  }
  backend.state = BackendState::kReconnecting;
  backend.cause = why;
  backend.since_unix_ms = now.unix_ms;
  backend.grace_at = now.steady + milliseconds(knobs_.grace);
  backend.idle_at.reset();
  tell(Event::Kind::kBackendReconnecting, backend);
}

// Rule: the broker starts after a crash or restart: the roster's backends whose process still lives
// are reconnecting, with a grace of restart_grace from the start. Who was quiesced still is. Rule:
// of one that the broker before saw in another pid namespace nothing tells whether it lives: it is
// expected as well, also if it was refused, and never dead.
void Oracle::expect(std::uint32_t connection, const Backend& before, Now now) {
  Connection watch;
  watch.registered = true;
  watch.lost = true;
  watch.peer = before.peer;
  watch.serial = ++last_serial_;
  connections_[connection] = watch;
  Backend backend;
  backend.form = before.form;
  backend.key = before.key;
  backend.serial = last_serial_;
  // Rule: a process that was refused still was not asked: it is lost as before.
  backend.state = before.is_refused() ? BackendState::kLost : BackendState::kReconnecting;
  backend.cause =
      before.is_refused() || before.is_unseen() ? before.cause : Cause::kBrokerRestarted;
  backend.record = before.record;
  if (backend.is_unseen()) cases_.saw(Case::kUnseenExpected);
  backend.peer = before.peer;
  backend.holds = before.holds;
  backend.resumed_away = before.resumed_away;
  backend.connection = connection;
  backend.incarnation = ++last_incarnation_;
  backend.since_unix_ms = now.unix_ms;
  backend.grace_at = now.steady + milliseconds(knobs_.restart_grace);
  if (before.is_refused()) cases_.saw(Case::kRefusedExpected);
  backends_.push_back(backend);
  tell(before.is_refused() ? Event::Kind::kBackendLost : Event::Kind::kBackendReconnecting,
       backends_.back());
}

void Oracle::register_due(std::uint32_t connection, SteadyTime at) {
  const auto* who = known(connection);
  if (who == nullptr || who->registered || who->register_by != at) {
    throw Violation("a time to register is armed that nobody has");
  }
  turn_away_unknown(connection, 0, RefusalCode::kTooSlow);
}

void Oracle::grace_due(std::uint32_t key, SteadyTime at, Now now) {
  auto* backend = by_key(key);
  if (backend == nullptr || backend->state != BackendState::kReconnecting ||
      backend->grace_at != at) {
    throw Violation("a time to come back is armed that nobody has");
  }
  // Rule: lost: the grace passed and the process was not seen to exit. What cannot be seen may
  // live.
  cases_.saw(Case::kLost);
  if (backend->peer.process.pid == 0) cases_.saw(Case::kUnseenLost);
  backend->state = BackendState::kLost;
  backend->since_unix_ms = now.unix_ms;
  tell(Event::Kind::kBackendLost, *backend);
  fail_open(backend->serial, backend->cause, now);
}

}  // namespace muster::simulator
