// The oracle: what becomes of answers, and of deadlines of those who do not answer.
#include <algorithm>
#include <utility>

#include "simulator/oracle.h"
#include "simulator/universe.h"
#include "simulator/violation.h"

namespace muster::simulator {
namespace {

std::uint64_t counts_of(const Oracle::Cast& cast) {
  std::array<std::uint64_t, 5> count{};
  for (const auto& asked : cast.asked) ++count[static_cast<std::size_t>(asked.outcome)];
  return Told::counts(count[1], count[2], count[3], count[4]);
}

bool is_complete(const Oracle::Cast& cast) {
  return std::none_of(cast.asked.begin(), cast.asked.end(), [](const Oracle::Asked& asked) {
    return asked.outcome == OutcomeKind::kOpen;
  });
}

Oracle::Asked* find(Oracle::Cast& cast, std::uint64_t serial) {
  for (auto& asked : cast.asked) {
    if (asked.serial == serial && asked.outcome != OutcomeKind::kSkippedDead) return &asked;
  }
  return nullptr;
}

}  // namespace

void Oracle::tell(Event::Kind kind, const Cast& cast) {
  told.push_back({kind, cast.id, kKeys, 0, 0, counts_of(cast)});
}

void Oracle::tell(Event::Kind kind, const Cast& cast, const Asked& asked) {
  told.push_back({kind, cast.id, asked.key, asked.peer.process.pid, asked.peer.uid,
                  static_cast<std::uint64_t>(asked.outcome)});
}

void Oracle::answer(std::uint32_t connection, BroadcastId id, const Failure* failure, Now now) {
  const auto* backend = speaker(connection);
  if (backend == nullptr) return;
  const auto cast = casts_.find(id);
  auto* asked = cast == casts_.end() ? nullptr : find(cast->second, backend->serial);
  if (asked == nullptr || asked->outcome != OutcomeKind::kOpen) {
    return stray(*backend, id, failure, now);
  }
  asked->answered = true;
  if (failure != nullptr) {
    // Rule: it answers Failure{reason}: a failure with that reason, the detail in the report.
    asked->said = failure->detail;
    if (!asked->said.empty()) asked->has_text = true;
    settle(cast->second, *asked, OutcomeKind::kFailure, failure->reason, Cause::kAnswer, now);
  } else {
    // Rule: the backend acks in time: an ack. Rule: one that acked a quiesce is quiesced.
    if (cast->second.operation.is_preflight()) cases_.saw(Case::kPreflightAcked);
    quiesced(*by_serial(backend->serial), cast->second, now);
    hold_acked(cast->second, *by_serial(backend->serial));
    settle(cast->second, *asked, OutcomeKind::kAck, {}, Cause::kAnswer, now);
  }
}

void Oracle::quiesced(Backend& backend, const Cast& cast, Now now) {
  // Rule: an ack of a preflight only says that the backend would: it is not quiesced by that.
  if (cast.operation.is_preflight()) return;
  const auto* quiesce = cast.operation.as_quiesce();
  if (quiesce == nullptr || quiesce->reason == QuiesceReason::kBrokerShutdown) return;
  cases_.saw(Case::kQuiesced);
  const bool is_idle = quiesce->reason == QuiesceReason::kIdleTimeout;
  auto& holds = backend.holds;
  // Rule: what ended while it was not connected is over; a quiesce that it acks after that goes on.
  if (std::exchange(backend.resumed_away, false)) holds.clear();
  // Rule: an idle quiesce ends with the next activity: it does not count beside an operator's, and
  // gives way to one.
  const auto is_of_operator = [](const auto& hold) {
    return hold.state.reason != QuiesceReason::kIdleTimeout;
  };
  if (is_idle && std::any_of(holds.begin(), holds.end(), is_of_operator)) return;
  std::erase_if(holds, [&](const auto& hold) { return !is_of_operator(hold); });
  Backend::Quiesce hold{{now.unix_ms, cast.id, quiesce->reason, cast.by}, false};
  if (holds.size() == core::Quiesces::kMost) {
    holds.pop_back();
    hold.for_more = true;
  }
  holds.push_back(std::move(hold));
}

// Rule: an ack that comes after its timer fired: the result does not change, the report gains a
// late ack with its lateness. Rule: a second ack for the same broadcast: ignored, counted.
void Oracle::stray(const Backend& backend, BroadcastId id, const Failure* failure, Now now) {
  const auto cast = casts_.find(id);
  auto* asked =
      cast == casts_.end() || cast->second.forgotten ? nullptr : find(cast->second, backend.serial);
  const auto& process = backend.peer.process;
  const auto was_asked = [&] {
    if (!asked->sent) return false;
    const bool is_known = process.pid != 0 || process.unique != 0;
    return asked->incarnation == backend.incarnation ||
           (is_known && asked->peer.process == process);
  };
  if (asked == nullptr || !was_asked()) {
    ++counters.unmatched_answers;
    tell(Event::Kind::kUnmatchedAnswer, backend);
    return;
  }
  if (asked->answered) {
    ++counters.duplicate_answers;
    tell(Event::Kind::kDuplicateAnswer, cast->second, *asked);
    return;
  }
  asked->answered = true;
  ++counters.late_answers;
  if (cast->second.state == BroadcastState::kVerifying) cases_.saw(Case::kVerifyingAcked);
  if (failure == nullptr) {
    if (cast->second.operation.is_preflight()) cases_.saw(Case::kPreflightAckedLate);
    quiesced(*by_serial(backend.serial), cast->second, now);
    hold_acked(cast->second, *by_serial(backend.serial));
  }
  const auto since = asked->outcome == OutcomeKind::kTimeout ? asked->deadline : asked->settled;
  LateAnswer late;
  late.key = key_of(asked->key);
  late.lateness = std::chrono::duration_cast<std::chrono::microseconds>(now.steady - since);
  if (failure != nullptr) {
    late.reason = failure->reason;
    late.detail = failure->detail;
    cast->second.late_failures.push_back(late);
  } else {
    cast->second.late_acks.push_back(late);
  }
  tell(Event::Kind::kLateAnswer, cast->second, *asked);
  if (is_kept(id)) expire_reports(now);
}

void Oracle::working(std::uint32_t connection, BroadcastId id, const Working& working, Now now) {
  const auto* backend = speaker(connection);
  if (backend == nullptr) return;
  const auto cast = casts_.find(id);
  auto* asked = cast == casts_.end() ? nullptr : find(cast->second, backend->serial);
  if (asked == nullptr || asked->outcome != OutcomeKind::kOpen) return;
  const auto wanted = now.steady + working.extend;
  // Rule: the timer moves to now + extend_ms, capped by max_ack_timeout from the start, and by the
  // deadline of the whole.
  auto most = cast->second.started + milliseconds(knobs_.max_ack_timeout);
  if (cast->second.deadline) most = std::min(most, cast->second.started + *cast->second.deadline);
  const auto moved = std::max(asked->deadline, std::min(wanted, most));
  if (moved != asked->deadline) ++asked->extensions;
  asked->deadline = moved;
  asked->has_text = true;
  asked->note = working.note;
  asked->percent = working.percent;
  if (watched) tell(Event::Kind::kWorking, cast->second, *asked);
}

void Oracle::target_due(BroadcastId id, std::uint32_t key, SteadyTime at, Now now) {
  auto& cast = casts_.at(id);
  for (auto& target : cast.asked) {
    if (target.key != key || target.outcome != OutcomeKind::kOpen || target.deadline != at)
      continue;
    const auto* backend = by_serial(target.serial);
    if (backend == nullptr || backend->state == BackendState::kDead) {
      throw Violation("a target is open whose backend is not there");
    }
    if (backend->state == BackendState::kLost) {
      throw Violation("a target is open whose backend is lost");
    }
    if (backend->state == BackendState::kLive) send(backend->connection, Sent::Kind::kCancel, id);
    if (cast.deadline && at >= cast.started + *cast.deadline) {
      // Rule: at the deadline of the whole every open target is settled as a timeout.
      cases_.saw(Case::kWholeDeadline);
      settle(cast, target, OutcomeKind::kTimeout, {}, Cause::kDeadline, now);
    } else if (backend->state == BackendState::kReconnecting) {
      // Rule: its connection ended while the process lives, and it is not back by its deadline: a
      // failure, BackendError.
      settle(cast, target, OutcomeKind::kFailure, BroadcastFailureReason::kBackendError,
             backend->cause, now);
    } else {
      // Rule: nothing until its timer fires: a timeout; a CANCEL goes to the backend.
      settle(cast, target, OutcomeKind::kTimeout, {}, Cause::kAckTimeout, now);
    }
    return;
  }
  throw Violation("a target's deadline is armed that no open target has");
}

void Oracle::fail_open(std::uint64_t serial, Cause why, Now now) {
  for (auto& [id, cast] : casts_) {
    auto* asked = find(cast, serial);
    if (asked == nullptr || asked->outcome != OutcomeKind::kOpen) continue;
    settle(cast, *asked, OutcomeKind::kFailure, BroadcastFailureReason::kBackendError, why, now);
  }
}

void Oracle::settle(Cast& cast, Asked& asked, OutcomeKind outcome, BroadcastFailureReason reason,
                    Cause cause, Now now) {
  if (asked.outcome != OutcomeKind::kOpen) throw Violation("the oracle settled a target twice");
  asked.outcome = outcome;
  asked.settled = now.steady;
  asked.reason = reason;
  asked.cause = cause;
  if (outcome == OutcomeKind::kAck) ++counters.acks;
  if (outcome == OutcomeKind::kTimeout) ++counters.timeouts;
  if (outcome == OutcomeKind::kFailure) ++counters.failures;
  if (watched || outcome != OutcomeKind::kAck) tell(Event::Kind::kOutcome, cast, asked);
  end_if_complete(cast, now);
}

void Oracle::end_if_complete(Cast& cast, Now now) {
  if (!is_complete(cast)) return;
  cast.ended = now.steady;
  begin_hold(cast, now);
  if (cast.state == BroadcastState::kRunning && cast.verify) return verify(cast, now);
  finish(cast, now);
}

void Oracle::finish(Cast& cast, Now now) {
  if (cast.state != BroadcastState::kCancelled) cast.state = BroadcastState::kFinished;
  ++counters.broadcasts_finished;
  tell(Event::Kind::kBroadcastFinished, cast);
  std::erase_if(latest_, [&](BroadcastId id) { return casts_.at(id).own == cast.own; });
  latest_.insert(cast.id);
  (cast.own ? own_kept_ : kept_).push_back(cast.id);
  expire_reports(now);
  if (shutting_down_ && !drained_ever_ && running() == 0) {
    drained = true;
    drained_ever_ = true;
  }
}

}  // namespace muster::simulator
