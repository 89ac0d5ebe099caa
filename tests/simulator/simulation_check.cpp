// Step for step: do the core and the oracle agree?
#include <algorithm>

#include "simulator/agree.h"
#include "simulator/simulation.h"
#include "simulator/universe.h"
#include "support/report_value.h"

namespace muster::simulator {

using Kind = core::Deadline::Kind;

void Simulation::check_outputs() {
  auto& should = *oracle_;
  if (observer_) observer_(shell_.sent, told_);
  sort(shell_.sent);
  sort(should.sent);
  if (shell_.sent != should.sent) {
    throw Violation("the broker sends" + to_string(shell_.sent) + "\n  and should send" +
                    to_string(should.sent));
  }
  sort(told_);
  sort(should.told);
  if (told_ != should.told) {
    throw Violation("the events are" + to_string(told_) + "\n  and should be" +
                    to_string(should.told));
  }
  if (broker_->counters() != should.counters) {
    throw Violation("the counters are " + to_string(broker_->counters()) + "\n  and should be " +
                    to_string(should.counters));
  }
  check_holds();
  std::vector<BroadcastId> ended;
  for (const Told& told : told_) {
    if (told.kind == Event::Kind::kBroadcastFinished) ended.push_back(told.broadcast);
  }
  std::sort(shell_.ended_now.begin(), shell_.ended_now.end());
  must(shell_.ended_now == ended, "whoever waits for a broadcast is answered when it ends, once");
  must(shell_.drained_now == should.drained,
       should.drained ? "the broker drained and does not say so" : "the broker did not drain");
  check_frames();
  check_deadlines();
  told_.clear();
  should.clear();
}

void Simulation::check_frames() const {
  for (const auto& frame : shell_.operations) {
    const auto cast = oracle_->casts().find(frame.broadcast_id);
    must(cast != oracle_->casts().end(), "an operation is sent that nobody asked for");
    must(frame.operation == cast->second.operation, "the operation is not what was asked for");
    const auto budget = static_cast<std::uint64_t>(frame.ack_timeout.count());
    // Rule: a quiesce is a hold.
    const bool is_held =
        cast->second.hold.has_value() || cast->second.operation.as_quiesce() != nullptr;
    must(frame.hold_id == (is_held ? std::optional(frame.broadcast_id) : std::nullopt),
         "an operation has a hold that was not asked for, or not the one that was");
    must(frame.deadline_unix_ms == cast->second.started_unix_ms + budget,
         "the deadline in the frame is not the start and the budget");
  }
}

// Each that was armed in this call is what the oracle says, and all in all there are as many.
void Simulation::check_deadlines() const {
  std::array<std::size_t, 12> count{};
  for (const auto& armed : shell_.armed()) {
    ++count[static_cast<std::size_t>(armed.kind)];
    if (armed.is_new) check_armed(armed);
  }
  const auto armed = [&](Kind kind) { return count[static_cast<std::size_t>(kind)]; };
  must(armed(Kind::kTarget) == oracle_->open_targets(),
       "not every open target and no other has a deadline");
  std::size_t registering = 0;
  for (const auto& [number, connection] : oracle_->connections()) {
    registering += connection.registered ? 0 : 1;
  }
  must(armed(Kind::kRegister) == registering,
       "not every connection that must register and no other has a deadline");
  std::size_t reconnecting = 0;
  std::size_t idle = 0;
  for (const auto& backend : oracle_->backends()) {
    reconnecting += backend.state == BackendState::kReconnecting ? 1 : 0;
    idle += backend.idle_at ? 1 : 0;
  }
  must(armed(Kind::kGrace) == reconnecting,
       "not every backend that may come back and no other has a deadline");
  must(armed(Kind::kIdle) == idle,
       "not every backend that may go idle and no other has a deadline");
  std::size_t verifying = 0;
  for (const auto& [id, cast] : oracle_->casts()) verifying += cast.scan_at ? 1 : 0;
  must(armed(Kind::kVerify) == verifying,
       "not every verification that is to be scanned again and no other has a deadline");
  std::size_t expiring = 0;
  std::size_t scanned = 0;
  std::size_t left = 0;
  for (const auto& [id, hold] : oracle_->holds()) {
    expiring += hold.expires_at ? 1 : 0;
    scanned += hold.scan_at ? 1 : 0;
    left += hold.owner_until ? 1 : 0;
  }
  must(armed(Kind::kHoldExpires) == expiring && armed(Kind::kHoldScan) == scanned &&
           armed(Kind::kHoldOwner) == left,
       "not every hold has the deadlines that it should");
  must(armed(Kind::kExpireDead) <= 1 && armed(Kind::kExpireReport) <= 1,
       "one deadline is enough for what expires");
}

void Simulation::check_armed(const SimShell::Armed& armed) const {
  const auto what = core::Inspection(*broker_).deadline(armed.id);
  must(what.has_value(), "a deadline is armed that means nothing");
  const auto backend = [&]() -> const Oracle::Backend* {
    const auto& all = oracle_->backends();
    const auto found = std::find_if(all.begin(), all.end(), [&](const Oracle::Backend& one) {
      return key_of(one.key) == *what->key;
    });
    return found == all.end() ? nullptr : &*found;
  };
  const auto hold_has = [&](std::optional<SteadyTime> Oracle::Hold::*time) {
    const auto hold = oracle_->holds().find(what->hold);
    return hold != oracle_->holds().end() && hold->second.*time == armed.at;
  };
  switch (what->kind) {
    case Kind::kVerify: {
      const auto cast = oracle_->casts().find(what->broadcast);
      must(cast != oracle_->casts().end() && cast->second.scan_at == armed.at,
           "a scan of a verification is armed for another time than its own");
      return;
    }
    case Kind::kHoldExpires:
      must(hold_has(&Oracle::Hold::expires_at), "a hold's end is armed for another time");
      return;
    case Kind::kHoldScan:
      must(hold_has(&Oracle::Hold::scan_at), "a hold's scan is armed for another time");
      return;
    case Kind::kHoldOwner:
      must(hold_has(&Oracle::Hold::owner_until), "a hold's operator is waited for otherwise");
      return;
    case Kind::kTarget: {
      const auto* asked = oracle_->asked(what->broadcast, index_of(*what->key));
      must(asked != nullptr && asked->outcome == OutcomeKind::kOpen && asked->deadline == armed.at,
           "a target's deadline is armed for another time than its own");
      return;
    }
    case Kind::kGrace:
      must(backend() != nullptr && backend()->grace_at == armed.at,
           "a time to come back is armed for another time than its own");
      return;
    case Kind::kIdle:
      must(backend() != nullptr && backend()->idle_at == armed.at,
           "an idle deadline is armed for another time than its own");
      return;
    default:
      return;
  }
}

void Simulation::check_report(BroadcastId id) const {
  must_agree("report", test::report_value(*broker_, id, at()), oracle_->find_report(id),
             [&](const BroadcastReport& is, const Oracle::Cast* cast) {
               const auto should = oracle_->report_of(*cast, now_);
               if (is == should) return;
               throw Violation("a report is\n" + show(is) + "  and should be\n" + show(should));
             });
}

// Rule: a living process is never dead, nor is a backend while somebody has its half-closed
// connection, so neither is ever passed over.
void Simulation::check_skipped() const {
  for (const auto& backend : oracle_->backends()) {
    if (backend.state != BackendState::kDead) continue;
    const auto& line = shell_.lines().at(backend.connection);
    must(processes_.at(line.process).exited, "a process that lives counts as dead");
    must(!line.half_told || line.closed,
         "a backend counts as dead while somebody has its half-closed connection");
  }
}

void Simulation::check_status() const {
  BrokerStatus status;
  broker_->fill_status(status);
  std::vector<BroadcastId> running;
  for (const auto& [id, cast] : oracle_->casts()) {
    if (!cast.forgotten && !oracle_->is_kept(id)) running.push_back(id);
  }
  const auto count = [&](BackendState state) {
    const auto& all = oracle_->backends();
    return static_cast<std::uint64_t>(std::count_if(
        all.begin(), all.end(), [&](const Oracle::Backend& one) { return one.state == state; }));
  };
  must(status.running_broadcasts == running, "status: not what runs");
  if (status.reports_kept != oracle_->kept()) {
    throw Violation("status: " + std::to_string(status.reports_kept) +
                    " reports are kept and not " + std::to_string(oracle_->kept()));
  }
  must(status.live_backends == count(BackendState::kLive), "status: not as many are live");
  must(status.dead_backends == count(BackendState::kDead), "status: not as many are dead");
  must(status.lost_backends == count(BackendState::kLost), "status: not as many are lost");
  must(status.reconnecting_backends == count(BackendState::kReconnecting),
       "status: not as many are reconnecting");
  must(status.shutting_down == oracle_->shutting_down(), "status: it goes down, or does not");
  must(status.counters == oracle_->counters, "status: other counters");
  const bool names_unseen = std::any_of(
      status.problems.begin(), status.problems.end(),
      [](const std::string& one) { return one.find("cannot be seen") != std::string::npos; });
  must(names_unseen == oracle_->has_lost_unseen(),
       "status: that processes are lost that cannot be seen is a problem");
  must((status.problems.size() > (names_unseen ? 1 : 0)) == oracle_->misses_somebody(),
       "status: that processes are not listed is a problem, and nothing else is");
  check_usage(status.users);
}

// What each user has, what waits for it among that; each of the three.
void Simulation::check_usage(const std::vector<UserUsage>& users) const {
  auto should = oracle_->usage();
  for (const auto& [number, line] : shell_.lines()) {
    if (line.broker != Line::Broker::kOpen) continue;
    for (auto& user : should) {
      if (user.uid == peer_of(line.process).uid) user.queued_bytes.used += line.outbox.size();
    }
  }
  if (users != should) {
    throw Violation("status: the users have\n" + show(users) + "  and should have\n" +
                    show(should));
  }
}

void Simulation::on_event(const Event& event) {
  must(event.unix_ms == at().unix_ms, "an event has another time than the call");
  Told told{event.kind, event.broadcast_id, kKeys, event.pid, event.uid, 0};
  if (event.key) told.key = index_of(*event.key);
  switch (event.kind) {
    case Event::Kind::kBroadcastFinished:
    case Event::Kind::kBroadcastStarted: {
      told.more = Told::counts(event.acks, event.timeouts, event.failures, event.skipped_dead);
      const auto cast = oracle_->casts().find(event.broadcast_id);
      must(cast != oracle_->casts().end(), "an event of a broadcast that nobody started");
      must(event.operation == cast->second.operation.to_string(), "an event of another operation");
      must(event.asked_by == cast->second.by, "an event names another operator");
      must(event.backends_unknown == cast->second.backends_unknown,
           "an event is wrong about whether all backends are known");
      // Whoever waits for the end of a broadcast can read its report then.
      if (event.kind == Event::Kind::kBroadcastStarted) break;
      const auto is = test::report_value(*broker_, event.broadcast_id, at());
      const auto* report = std::get_if<BroadcastReport>(&is);
      must(report != nullptr, "a broadcast ended, and its report is not there");
      const auto should = oracle_->report_of(cast->second, now_);
      if (*report != should) {
        throw Violation("a broadcast ended as\n" + show(*report) + "  and should as\n" +
                        show(should));
      }
      break;
    }
    case Event::Kind::kVerifying: {
      told.more = Told::counts(event.acks, event.timeouts, event.failures, event.skipped_dead);
      const auto is = test::report_value(*broker_, event.broadcast_id, at());
      const auto* report = std::get_if<BroadcastReport>(&is);
      must(report != nullptr && report->state == BroadcastState::kVerifying && report->verify &&
               !report->verification,
           "a broadcast is verified, and its report is another");
      break;
    }
    case Event::Kind::kHoldStarted:
    case Event::Kind::kHoldEnded:
    case Event::Kind::kHoldViolated:
      told.more = Told::words(event.detail);
      check_hold_event(event);
      break;
    case Event::Kind::kBackendDead:
    case Event::Kind::kBackendLost:
    case Event::Kind::kBackendReconnecting:
      told.more = Told::words(event.detail);
      break;
    default:
      if (event.backend_outcome) {
        told.more = static_cast<std::uint64_t>(event.backend_outcome->outcome);
        check_outcome(event);
      }
      break;
  }
  told_.push_back(told);
  if (knobs_.curious != 0) look_around();
}

void Simulation::check_outcome(const Event& event) const {
  const auto& is = *event.backend_outcome;
  const auto cast = oracle_->casts().find(event.broadcast_id);
  const auto* asked = oracle_->asked(event.broadcast_id, index_of(is.key));
  must(asked != nullptr, "an event of a backend that was not asked");
  const auto should = oracle_->outcome_of(cast->second, *asked);
  if (is != should) {
    throw Violation("an event tells\n" + show(is) + "  and should tell\n" + show(should));
  }
}

// In the middle of a call: const functions of the broker may be used then.
void Simulation::look_around() const {
  BrokerStatus status;
  broker_->fill_status(status);
  must(broker_->backends({}).size() == status.live_backends + status.dead_backends +
                                           status.lost_backends + status.reconnecting_backends,
       "in the middle of a call the list is not what the status counts");
  for (const auto id : status.running_broadcasts) {
    const auto report = test::report_value(*broker_, id, at());
    must(std::holds_alternative<BroadcastReport>(report), "what runs has no report");
  }
  (void)broker_->latest_deadline();
}

}  // namespace muster::simulator
