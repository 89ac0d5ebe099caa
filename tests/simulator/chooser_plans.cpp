// Steps that belong together.
#include <algorithm>
#include <array>

#include "simulator/chooser.h"
#include "simulator/universe.h"

namespace muster::simulator {

void Chooser::plan(StepKind kind, std::int64_t a, std::int64_t b) {
  batch_.push_back({kind, {a, b}});
}

Step Chooser::join(const Simulation& simulation, std::optional<std::uint32_t> process,
                   std::uint32_t key) {
  plan_join(simulation, process, key);
  const auto first = batch_.front();
  batch_.erase(batch_.begin());
  return first;
}

void Chooser::plan_join(const Simulation& simulation, std::optional<std::uint32_t> process,
                        std::uint32_t key) {
  const auto step = connect(simulation, process);
  batch_.push_back(step);
  const auto connection = static_cast<std::uint32_t>(step.args[0]);
  batch_.push_back(register_as(connection, key));
  plan(StepKind::kDeliver, connection);
  if (rng_.chance(30)) plan(StepKind::kRead, connection, 64);
}

// Its process comes back on another connection: after the first was lost, or while it is live.
Step Chooser::bounce(const Simulation& simulation, std::uint32_t connection, bool close_first) {
  const auto process = simulation.shell().lines().at(connection).process;
  const auto serial = simulation.oracle().connections().at(connection).serial;
  std::uint32_t key = 0;
  for (const auto& backend : simulation.oracle().backends()) {
    if (backend.serial == serial) key = backend.form.key;
  }
  if (!close_first) return join(simulation, process, key);
  plan(StepKind::kDeliver, connection);
  if (rng_.chance(30)) plan(StepKind::kAdvance, rng_.between(0, 300'000));
  if (rng_.chance(60)) plan(StepKind::kResume, 0);
  if (rng_.chance(80)) plan_join(simulation, process, key);
  return {StepKind::kClose, {connection}};
}

// Two quiesces overlap, and one of them, or both, end by their ids.
Step Chooser::quiesce_twice(const Simulation& simulation, std::uint32_t connection) {
  constexpr std::int64_t kQuiesce = 4;
  const auto first = static_cast<std::int64_t>(simulation.shell().next_id());
  const auto starts = [&](std::int64_t id) {
    return Step{StepKind::kStart, {id, kQuiesce, -1, 0, 0, 0}};
  };
  for (const std::int64_t id : {first, first + 1}) {
    if (id != first) batch_.push_back(starts(id));
    plan(StepKind::kAck, connection, id);
    plan(StepKind::kDeliver, connection);
  }
  plan(StepKind::kResume, first + rng_.below(2));
  if (rng_.chance(50)) plan(StepKind::kResume, first + rng_.below(2));
  return starts(first);
}

Step Chooser::take_over(const Simulation& simulation, std::uint32_t connection) {
  const auto serial = simulation.oracle().connections().at(connection).serial;
  std::uint32_t key = 0;
  for (const auto& backend : simulation.oracle().backends()) {
    if (backend.serial == serial) key = backend.form.key;
  }
  if (rng_.chance(30)) {
    plan(StepKind::kDeliver, connection);
    plan_join(simulation, {}, key);
    return {StepKind::kClose, {connection}};
  }
  return join(simulation, {}, key);
}

// It answers what it owes, in time or too late; now and then twice.
Step Chooser::reply(const Simulation& simulation, std::uint32_t connection) {
  const auto said = answer(simulation, connection);
  if (rng_.chance(30)) plan(StepKind::kRead, connection, 64);
  if (const auto due = open_until(simulation, connection); due && rng_.chance(25)) {
    plan(StepKind::kAdvance, *due + rng_.below(2000));
    plan(StepKind::kFire, rng_.below(3));
    plan(StepKind::kFire, rng_.below(3));
  }
  batch_.push_back(said);
  if (rng_.chance(80)) plan(StepKind::kDeliver, connection);
  if (rng_.chance(10)) {
    batch_.push_back(said);
    plan(StepKind::kDeliver, connection);
  }
  const auto first = batch_.front();
  batch_.erase(batch_.begin());
  return first;
}

// Microseconds until the oldest of what it owes is due.
std::optional<std::int64_t> Chooser::open_until(const Simulation& simulation,
                                                std::uint32_t connection) {
  const auto serial = simulation.oracle().connections().at(connection).serial;
  for (const auto& [id, cast] : simulation.oracle().casts()) {
    for (const auto& asked : cast.asked) {
      if (asked.serial != serial || asked.outcome != OutcomeKind::kOpen) continue;
      const auto until = asked.deadline - simulation.now();
      return std::max<std::int64_t>(
          std::chrono::duration_cast<std::chrono::microseconds>(until).count(), 0);
    }
  }
  return std::nullopt;
}

// Its process exits; sometimes it says a last word, or leaves a child that keeps its sockets.
Step Chooser::die(const Simulation& simulation, std::uint32_t connection) {
  const auto process = simulation.shell().lines().at(connection).process;
  const Step exit{StepKind::kExit, {process, rng_.chance(25) ? 1 : 0}};
  auto first = exit;
  if (rng_.chance(50)) {
    first = answer(simulation, connection);
    batch_.push_back(exit);
  }
  if (rng_.chance(70)) plan(StepKind::kDeliver, connection);
  if (rng_.chance(40)) plan(StepKind::kDeliver, connection);
  if (rng_.chance(80)) plan(StepKind::kGone, connection);
  // What a child that keeps the connection does with it.
  if (exit.args[1] != 0 && rng_.chance(50)) {
    if (rng_.chance(30)) plan(StepKind::kGarbage, connection);
    plan(StepKind::kClose, connection);
    plan(StepKind::kDeliver, connection);
  }
  return first;
}

// It sends nothing more; whoever has the other end goes, comes back, or leaves it to a child.
Step Chooser::half_close(const Simulation& simulation, std::uint32_t connection) {
  const auto process = simulation.shell().lines().at(connection).process;
  if (rng_.chance(80)) plan(StepKind::kDeliver, connection);
  if (rng_.chance(30)) plan(StepKind::kAdvance, rng_.between(0, 1'300'000));
  if (rng_.chance(30)) plan(StepKind::kFire, rng_.below(3));
  if (rng_.chance(60)) {
    plan(StepKind::kExit, process, rng_.chance(70) ? 1 : 0);
    if (rng_.chance(80)) plan(StepKind::kGone, connection);
    if (rng_.chance(60)) batch_.push_back(start(simulation));
  } else if (rng_.chance(50)) {
    const auto serial = simulation.oracle().connections().at(connection).serial;
    for (const auto& backend : simulation.oracle().backends()) {
      if (backend.serial == serial) plan_join(simulation, process, backend.form.key);
    }
  }
  if (rng_.chance(60)) plan(StepKind::kClose, connection);
  if (rng_.chance(60)) plan(StepKind::kDeliver, connection);
  return {StepKind::kHalfClose, {connection}};
}

// Two had one key when the broker could see them; a third one comes, goes and comes again.
Step Chooser::share_unseen(const Simulation& simulation, const Step& move) {
  const auto key = some_key(simulation);
  const auto first = join(simulation, {}, key);
  plan_join(simulation, {}, key);
  batch_.push_back(move);
  const auto process = static_cast<std::uint32_t>(connect(simulation).args[1]);
  const auto joins = batch_.size();
  plan_join(simulation, process, key);
  const auto connection = batch_[joins].args[0];
  if (rng_.chance(30)) batch_.push_back(start(simulation));
  plan(StepKind::kDeregister, connection);
  plan(StepKind::kDeliver, connection);
  if (rng_.chance(70)) plan(StepKind::kSave);
  plan_join(simulation, process, key);
  return first;
}

// The broker starts in another pid namespace, or where it was: of those who were seen from
// elsewhere some come back, others have the same keys, and for the rest nobody comes.
Step Chooser::move_on(const Simulation& simulation) {
  constexpr std::uint32_t kUnseen = 10;  // see peer_of()
  const Step move{StepKind::kRestart, {rng_.chance(50) ? 1 : 0, 0, rng_.chance(70) ? 1 : 0}};
  if (rng_.chance(40)) return share_unseen(simulation, move);
  auto first = move;
  if (rng_.chance(25)) {
    const auto key = some_key(simulation);
    first = join(simulation, kUnseen, key);
    batch_.push_back(move);
    plan_join(simulation, kUnseen, key);
  }
  if (rng_.chance(30)) batch_.push_back(start(simulation));
  for (const auto& backend : simulation.oracle().backends()) {
    const auto line = simulation.shell().lines().find(backend.connection);
    if (line == simulation.shell().lines().end() || !rng_.chance(50)) continue;
    const auto process = simulation.processes().find(line->second.process);
    const bool exited = process != simulation.processes().end() && process->second.exited;
    const bool is_it = !exited && rng_.chance(50);
    plan_join(simulation, is_it ? std::optional(line->second.process) : std::nullopt,
              own_key(backend.key));
  }
  if (rng_.chance(40)) plan(StepKind::kAdvance, rng_.pick(std::array{300'000, 5'000'000}));
  if (rng_.chance(40)) plan(StepKind::kFire, rng_.below(1000));
  if (rng_.chance(40)) batch_.push_back(start(simulation));
  if (rng_.chance(10)) plan(StepKind::kForgetUnseen);
  return first;
}

// A broadcast, and answers from some of those that it reaches.
Step Chooser::broadcast_to_all(const Simulation& simulation, const Sight& sight) {
  const auto step = start(simulation);
  const auto id = step.args[0];
  for (const auto connection : sight.live) {
    if (!rng_.chance(60)) continue;
    if (rng_.chance(40)) plan(StepKind::kRead, connection, 64);
    if (rng_.chance(20)) continue;
    if (rng_.chance(75)) {
      plan(StepKind::kAck, connection, id);
    } else {
      batch_.push_back({StepKind::kFail, {connection, id, rng_.below(6)}});
    }
    if (rng_.chance(80)) plan(StepKind::kDeliver, connection);
  }
  return step;
}

// The broker is gone and comes again: killed, or told to and given time. Backends come back, each
// when it notices; some answer what the broker before asked them.
Step Chooser::restart(const Simulation& simulation) {
  const Step restart{StepKind::kRestart, {rng_.chance(50) ? 1 : 0, rng_.chance(10) ? 1 : 0}};
  auto first = restart;
  if (rng_.chance(40)) {
    first = {StepKind::kShutDown, {rng_.chance(30) ? 1 : 0}};
    for (auto left = rng_.below(4); left > 0; --left) {
      plan(StepKind::kAdvance, rng_.between(0, 300'000));
      plan(StepKind::kFire, rng_.below(1000));
    }
    batch_.push_back(restart);
  }
  // The same request with the same key before and after.
  if (rng_.chance(30)) {
    const std::int64_t operation = rng_.below(kGoodOperations);
    const std::int64_t user = 1 + rng_.below(kUsers);
    batch_.insert(batch_.begin(), first);
    first = {StepKind::kStart, {0, operation, -1, 0, 1, user}};
    batch_.push_back(first);
  }
  for (const auto& backend : simulation.oracle().backends()) {
    const auto line = simulation.shell().lines().find(backend.connection);
    if (line == simulation.shell().lines().end() || !rng_.chance(80)) continue;
    const auto process = simulation.processes().find(line->second.process);
    if (process != simulation.processes().end() && process->second.exited) continue;
    plan_join(simulation, line->second.process, backend.form.key);
    const auto connection = batch_.back().args[0];
    if (process == simulation.processes().end() || process->second.known.empty()) continue;
    if (!rng_.chance(30)) continue;
    plan(StepKind::kAck, connection, std::int64_t(rng_.pick(process->second.known)));
    plan(StepKind::kDeliver, connection);
  }
  return first;
}

// No descriptor is left: whoever connects now waits, speaks, leaves or dies before the broker
// knows of it, until there are some again (or never).
Step Chooser::run_short(const Simulation& simulation) {
  for (auto left = 1 + rng_.below(4); left > 0; --left) {
    const auto step = connect(simulation);
    const auto connection = step.args[0];
    batch_.push_back(step);
    if (rng_.chance(80)) {
      batch_.push_back(register_as(static_cast<std::uint32_t>(connection), some_key(simulation)));
    }
    if (rng_.chance(15)) plan(StepKind::kGarbage, connection);
    if (rng_.chance(20)) plan(StepKind::kClose, connection);
    if (rng_.chance(20)) plan(StepKind::kExit, step.args[1], rng_.chance(25) ? 1 : 0);
  }
  if (rng_.chance(30)) plan(StepKind::kAdvance, rng_.between(0, 10'000'000));
  if (rng_.chance(30)) plan(StepKind::kRestart, rng_.below(2));
  if (rng_.chance(80)) plan(StepKind::kShortage, 0);
  if (rng_.chance(80)) plan(StepKind::kAccept, rng_.chance(50) ? 64 : 1);
  return {StepKind::kShortage, {1}};
}

}  // namespace muster::simulator
