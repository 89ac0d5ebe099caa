// How a run ends: everything comes to its end, and then nothing may be left.
#include <algorithm>

#include "simulator/simulation.h"
#include "simulator/violation.h"

namespace muster::simulator {

void Simulation::deliver_all() {
  for (bool any = true; any;) {
    any = false;
    for (const auto& [number, line] : shell_.lines()) {
      while (deliver(number)) any = true, ++steps_;
      if (gone(number)) any = true, ++steps_;
    }
  }
}

// Of the processes that live every other one does what it owes.
void Simulation::answer_all() {
  for (const auto& backend : std::vector(oracle_->backends())) {
    if (backend.connection % 2 == 0) continue;
    for (const auto& [id, cast] : oracle_->casts()) {
      const auto* asked = oracle_->asked(id, backend.key);
      if (asked == nullptr || asked->outcome != OutcomeKind::kOpen) continue;
      say({StepKind::kAck, {backend.connection, static_cast<std::int64_t>(id)}});
    }
  }
  deliver_all();
}

// Fires what is armed for the next moment at which something is; false when nothing is armed.
bool Simulation::pass_to_next() {
  const auto& armed = shell_.armed();
  if (armed.empty()) return false;
  const auto next = std::min_element(armed.begin(), armed.end(),
                                     [](const auto& a, const auto& b) { return a.at < b.at; });
  now_ = std::max(now_, next->at);
  ++steps_;
  fire(*next);
  return true;
}

void Simulation::pass_until(SteadyTime end) {
  const auto is_due = [&](const SimShell::Armed& armed) { return armed.at <= end; };
  while (std::any_of(shell_.armed().begin(), shell_.armed().end(), is_due)) pass_to_next();
  now_ = std::max(now_, end);
}

void Simulation::wind_down() {
  // Unless there is a shortage: then they wait for ever.
  while (accept(1)) ++steps_;
  deliver_all();
  answer_all();
  // Every other run ends its holds before its broadcasts, and before the broker goes down.
  if (steps_ % 2 == 0) end_holds();
  while (oracle_->running() != 0) {
    make_scans();
    if (oracle_->running() == 0) break;
    must(pass_to_next(), "a broadcast runs and nothing is armed that could end it");
  }
  must(core::Inspection(*broker_).open_operations() == 0, "no broadcast runs, and a backend owes");
  must(shell_.armed(core::Deadline::Kind::kTarget) == 0, "no broadcast runs, and a target is due");
  list(0);

  make_scans();
  if (!oracle_->shutting_down()) shut_down(false);
  make_scans();
  deliver_all();
  answer_all();
  const auto latest = broker_->latest_deadline();
  if (oracle_->running() != 0) pass_until(latest);
  must(oracle_->running() == 0, "the broker goes down and did not drain by its latest deadline");
  check_end();
}

void Simulation::check_end() {
  const auto& counters = oracle_->counters;
  std::uint64_t targets = 0;
  for (const auto& [id, cast] : oracle_->casts()) {
    for (const auto& asked : cast.asked) {
      targets += asked.outcome == OutcomeKind::kSkippedDead ? 0 : 1;
    }
  }
  must(counters.acks + counters.timeouts + counters.failures == targets,
       "every broadcast ended, and the outcomes are not as many as the targets");
  must(counters.operations_sent <= targets, "operations were sent to nobody's account");
  must(counters.broadcasts_started == counters.broadcasts_finished,
       "every broadcast ended, and not as many finished as started");
  call([&] {
    for (const auto& [id, cast] : oracle_->casts()) check_report(id);
  });
  end_holds();
  make_scans();
  // What is left expires; then nothing is armed at all.
  for (int rounds = 0; pass_to_next(); ++rounds) {
    make_scans();
    must(rounds < 1000, "deadlines are armed again and again");
  }
  const core::Inspection inside(*broker_);  // by now no other broker takes over
  must(inside.deadlines_armed() == 0, "nothing is armed, and the core holds deadlines");
  BrokerStatus status;
  broker_->fill_status(status);
  must(status.reports_kept == 0, "everything expired, and reports are kept");
  must(status.running_broadcasts.empty(), "everything ended, and broadcasts run");
  list(0);
  for (const auto& backend : oracle_->backends()) {
    must(backend.state == BackendState::kLive || backend.state == BackendState::kLost,
         "everything expired, and dead backends are listed");
  }
  must(inside.sessions() == oracle_->connections().size(), "the core knows a connection too many");
}

}  // namespace muster::simulator
