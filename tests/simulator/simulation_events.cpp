// What the shell reports to the core, each event to the oracle first.
#include <algorithm>
#include <limits>

#include "simulator/forms.h"
#include "simulator/simulation.h"
#include "simulator/universe.h"

namespace muster::simulator {
namespace {

Form form_of(const Step& step) {
  Form form;
  form.key = static_cast<std::uint32_t>(step.args[1]) % kKeys;
  form.ack_timeout = optional_ms(step.args[2]);
  form.idle_timeout = optional_ms(step.args[3]);
  form.hot = (step.args[4] & kHot) != 0;
  form.bad = (step.args[4] & kBad) != 0;
  if ((step.args[4] & kSaysRefused) != 0) form.refused_before = step.args[4] / kRefusedOnce;
  if (form.idle_timeout && form.idle_timeout->count() == 0) form.bad = true;
  return form;
}

// Each answer has words of its own, so that a mix-up shows.
Failure failure_of(const Step& step) {
  Failure failure;
  failure.reason = static_cast<BroadcastFailureReason>(step.args[2] % 3);
  if (step.args[2] % 2 == 0) {
    failure.detail = "says " + std::to_string(step.args[0]) + " of " + std::to_string(step.args[1]);
  }
  return failure;
}

Working working_of(const Step& step) {
  Working working;
  working.extend = milliseconds(step.args[2]);
  if (step.args[3] >= 0) working.percent = static_cast<std::uint32_t>(step.args[3]);
  working.note = "extends by " + std::to_string(step.args[2]);
  return working;
}

}  // namespace

bool Simulation::deliver(std::uint32_t connection) {
  auto* line = shell_.line(connection);
  if (line == nullptr || line->broker != Line::Broker::kOpen || line->end_told) return false;
  if (line->too_slow || (line->inbox.empty() && line->closed)) {
    const auto cause = line->too_slow ? line->why_slow : core::LossCause::kClosed;
    line->end_told = true;
    oracle_->lost(connection, cause, at());
    call([&] {
      if (is_wrong(WrongTransition::kDisconnectIsDeath)) {
        return broker_->process_exited(line->id, at());
      }
      if (line->half_told && is_wrong(WrongTransition::kHalfClosedStays)) return;
      broker_->connection_lost(line->id, cause, at());
    });
    return true;
  }
  if (line->inbox.empty() && line->half_closed && !line->half_told) {
    line->half_told = true;
    oracle_->lost(connection, core::LossCause::kHalfClosed, at());
    call([&] {
      if (is_wrong(WrongTransition::kHalfClosedIsDeath)) {
        return broker_->process_exited(line->id, at());
      }
      broker_->connection_lost(line->id,
                               is_wrong(WrongTransition::kHalfClosedIsClosed)
                                   ? core::LossCause::kClosed
                                   : core::LossCause::kHalfClosed,
                               at());
    });
    return true;
  }
  if (line->inbox.empty()) return false;
  const auto message = line->inbox.front();
  line->inbox.pop_front();
  dispatch(connection, line->id, message, true);
  return true;
}

void Simulation::dispatch(std::uint32_t connection, core::ConnectionId id, const Step& message,
                          bool oracle) {
  const auto broadcast = static_cast<BroadcastId>(message.args[1]);
  const auto request = ++requests_;
  const auto now = at();
  switch (message.kind) {
    case StepKind::kRegister: {
      const auto form = form_of(message);
      if (oracle) oracle_->registration(connection, request, form, now);
      return call([&] {
        std::optional<std::uint32_t> refused_before;
        if (form.refused_before >= 0) {
          refused_before = static_cast<std::uint32_t>(form.refused_before);
        }
        if (is_wrong(WrongTransition::kAnyRegistrationIsAll)) {
          refused_before = std::numeric_limits<std::uint32_t>::max();
        }
        if (is_wrong(WrongTransition::kSaysNotIsNone) && !refused_before) refused_before = 0;
        broker_->registration(id, request, registration_of(form, form.key), now, nullptr,
                              refused_before);
        if (!oracle) return;
        if (is_wrong(WrongTransition::kOneReplacesAllUnseen)) (void)broker_->forget_unseen(now);
        const auto known = oracle_->connections().find(connection);
        const bool is_turned_away =
            known != oracle_->connections().end() && known->second.turned_away;
        if (is_turned_away && is_wrong(WrongTransition::kTurnedAwayIsNobody)) {
          return broker_->process_exited(id, now);
        }
        if (!is_wrong(WrongTransition::kRefusedIsNobody)) return;
        for (const auto& backend : oracle_->backends()) {
          const bool of_this = backend.connection == connection && backend.is_refused();
          if (of_this) return broker_->process_exited(id, now);
        }
      });
    }
    case StepKind::kAck:
      if (oracle) oracle_->answer(connection, broadcast, nullptr, now);
      return call([&] {
        if (is_wrong(WrongTransition::kAckIsFailure))
          return broker_->failed(id, broadcast, {}, now);
        broker_->acked(id, broadcast, {}, now);
      });
    case StepKind::kFail: {
      const auto failure = failure_of(message);
      if (oracle) oracle_->answer(connection, broadcast, &failure, now);
      return call([&] {
        if (is_wrong(WrongTransition::kFailureIsAck)) return broker_->acked(id, broadcast, {}, now);
        broker_->failed(id, broadcast, failure, now);
      });
    }
    case StepKind::kWorking: {
      const auto working = working_of(message);
      if (oracle) oracle_->working(connection, broadcast, working, now);
      return call([&] {
        if (is_wrong(WrongTransition::kWorkingIsIgnored)) return;
        if (is_wrong(WrongTransition::kWorkingIsAck)) return broker_->acked(id, broadcast, {}, now);
        broker_->working(id, broadcast, working, now);
      });
    }
    case StepKind::kActivity:
      if (oracle) oracle_->activity(connection, now);
      return call([&] {
        if (!is_wrong(WrongTransition::kActivityIsIgnored)) broker_->activity(id, now);
      });
    case StepKind::kDeregister:
      if (oracle) oracle_->deregister(connection, request, now);
      return call([&] {
        if (is_wrong(WrongTransition::kDeregisterIsDeath)) return broker_->process_exited(id, now);
        broker_->deregister(id, request, now);
      });
    default:
      if (oracle) oracle_->garbage(connection, request, now);
      return call([&] {
        if (is_wrong(WrongTransition::kGarbageIsDisconnect)) {
          return broker_->connection_lost(id, core::LossCause::kClosed, now);
        }
        broker_->protocol_error(id, request, "not the protocol", now);
      });
  }
}

bool Simulation::gone(std::uint32_t connection) {
  auto* line = shell_.line(connection);
  if (line == nullptr || !line->exit_due) return false;
  if (line->broker == Line::Broker::kReleased || line->broker == Line::Broker::kWaiting) {
    return false;
  }
  // What it wrote before comes first, while anybody reads it.
  const bool unread =
      line->broker == Line::Broker::kOpen && !line->too_slow && !line->inbox.empty();
  if (unread) return false;
  line->exit_due = false;
  const bool inherited = line->broker == Line::Broker::kOpen && !line->closed;
  oracle_->exited(connection, inherited, at());
  call([&] {
    if (is_wrong(WrongTransition::kDeathIsDisconnect)) {
      return broker_->connection_lost(line->id, core::LossCause::kClosed, at());
    }
    const bool is_missed = is_wrong(WrongTransition::kChildIsNobody) ||
                           (line->half_told && is_wrong(WrongTransition::kHalfClosedIsNobodys));
    broker_->process_exited(line->id, at(), inherited && !is_missed);
  });
  return true;
}

// Events of a connection that was released mean nothing, whoever uses its slot now.
bool Simulation::ghost(const Step& step) {
  const auto* line = shell_.line(step.args[0]);
  if (line == nullptr || line->broker != Line::Broker::kReleased) return false;
  const auto what = step.args[1] % 9;
  if (what == 7) {
    call([&] { broker_->connection_lost(line->id, core::LossCause::kSlowReader, at()); });
  } else if (what == 8) {
    call([&] { broker_->process_exited(line->id, at()); });
  } else {
    Step message;
    message.kind = static_cast<StepKind>(static_cast<std::int64_t>(StepKind::kRegister) + what);
    message.args = {step.args[0], 1, -1, -1, 0};
    dispatch(0, line->id, message, false);
  }
  return true;
}

std::size_t Simulation::due() const {
  const auto& armed = shell_.armed();
  return static_cast<std::size_t>(std::count_if(
      armed.begin(), armed.end(), [&](const SimShell::Armed& one) { return one.at <= now_; }));
}

bool Simulation::fire(std::size_t which) {
  std::vector<SimShell::Armed> due;
  for (const auto& armed : shell_.armed()) {
    if (armed.at <= now_) due.push_back(armed);
  }
  if (due.empty()) return false;
  fire(due[which % due.size()]);
  return true;
}

void Simulation::fire(SimShell::Armed armed) {
  using Kind = core::Deadline::Kind;
  const auto what = core::Inspection(*broker_).deadline(armed.id);
  if (!what) throw Violation("a deadline is armed that means nothing");
  const auto next = shell_.next_id();
  switch (what->kind) {
    case Kind::kTarget:
      oracle_->target_due(what->broadcast, index_of(*what->key), armed.at, at());
      break;
    case Kind::kRegister:
      for (const auto& [number, line] : shell_.lines()) {
        if (line.id != what->connection || line.broker != Line::Broker::kOpen) continue;
        oracle_->register_due(number, armed.at);
        break;
      }
      break;
    case Kind::kGrace:
      oracle_->grace_due(index_of(*what->key), armed.at, at());
      break;
    case Kind::kIdle:
      oracle_->idle_due(next, index_of(*what->key), armed.at, at());
      break;
    case Kind::kExpireDead:
      oracle_->expire_dead(at());
      break;
    case Kind::kExpireReport:
      oracle_->expire_reports(at());
      break;
    case Kind::kVerify:
      oracle_->verify_due(what->broadcast, armed.at);
      break;
    case Kind::kHoldExpires:
      oracle_->hold_expires_due(what->hold, armed.at, at());
      break;
    case Kind::kHoldScan:
      oracle_->hold_scan_due(what->hold, armed.at);
      break;
    case Kind::kHoldOwner:
      oracle_->hold_owner_due(what->hold, armed.at, at());
      break;
    case Kind::kFree:
      throw Violation("a deadline is armed that means nothing");
  }
  shell_.take(armed.id);
  call([&] {
    if (tell_another(*what)) return;
    broker_->deadline_passed(armed.id, at());
  });
}

// True when the core is told something else than that this deadline passed.
bool Simulation::tell_another(const core::Inspection::Armed& what) {
  using Kind = core::Deadline::Kind;
  const bool target = what.kind == Kind::kTarget;
  const bool grace = what.kind == Kind::kGrace;
  const bool wrong = (grace && is_wrong(WrongTransition::kLostIsDead)) ||
                     (target && (is_wrong(WrongTransition::kTimeoutIsAck) ||
                                 is_wrong(WrongTransition::kTimeoutIsWaited)));
  if (!wrong) return false;
  const auto key = index_of(*what.key);
  for (const auto& backend : oracle_->backends()) {
    if (backend.key != key) continue;
    const auto* line = shell_.line(backend.connection);
    if (line == nullptr) return false;
    if (grace) broker_->process_exited(line->id, at());
    if (is_wrong(WrongTransition::kTimeoutIsAck))
      broker_->acked(line->id, what.broadcast, {}, at());
    return true;
  }
  return false;
}

bool Simulation::stale(std::size_t which) {
  if (shell_.stale().empty()) return false;
  const auto index = which % shell_.stale().size();
  const auto id = shell_.stale()[index];
  shell_.take_stale(index);
  call([&] { broker_->deadline_passed(id, at()); });
  return true;
}

bool Simulation::bogus(const Step& step) {
  const core::DeadlineId id{static_cast<std::uint32_t>(step.args[0]),
                            static_cast<std::uint32_t>(step.args[1])};
  if (id.armed() && shell_.was_ever_armed(id)) return false;
  call([&] { broker_->deadline_passed(id, at()); });
  return true;
}

}  // namespace muster::simulator
