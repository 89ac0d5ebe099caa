// Steps that belong together.
#include <algorithm>

#include "simulator/chooser.h"
#include "simulator/universe.h"

namespace muster::simulator {

void Chooser::plan(StepKind kind, std::int64_t a, std::int64_t b) {
  batch_.push_back({kind, {a, b}});
}

Step Chooser::join(const World& world, std::optional<std::uint32_t> process, std::uint32_t key) {
  plan_join(world, process, key);
  const auto first = batch_.front();
  batch_.erase(batch_.begin());
  return first;
}

void Chooser::plan_join(const World& world, std::optional<std::uint32_t> process,
                        std::uint32_t key) {
  const auto step = connect(world, process);
  batch_.push_back(step);
  const auto connection = static_cast<std::uint32_t>(step.args[0]);
  batch_.push_back(register_as(connection, key));
  plan(StepKind::kDeliver, connection);
  if (rng_.chance(30)) plan(StepKind::kRead, connection, 64);
}

// Its process comes back on another connection: after the first was lost, or while it is live.
Step Chooser::bounce(const World& world, std::uint32_t connection, bool close_first) {
  const auto process = world.shell().lines().at(connection).process;
  const auto serial = world.shadow().connections().at(connection).serial;
  std::uint32_t key = 0;
  for (const auto& backend : world.shadow().backends()) {
    if (backend.serial == serial) key = backend.form.key;
  }
  if (!close_first) return join(world, process, key);
  plan(StepKind::kDeliver, connection);
  if (rng_.chance(30)) plan(StepKind::kAdvance, rng_.between(0, 300'000));
  if (rng_.chance(80)) plan_join(world, process, key);
  return {StepKind::kClose, {connection}};
}

Step Chooser::take_over(const World& world, std::uint32_t connection) {
  const auto serial = world.shadow().connections().at(connection).serial;
  std::uint32_t key = 0;
  for (const auto& backend : world.shadow().backends()) {
    if (backend.serial == serial) key = backend.form.key;
  }
  if (rng_.chance(30)) {
    plan(StepKind::kDeliver, connection);
    plan_join(world, {}, key);
    return {StepKind::kClose, {connection}};
  }
  return join(world, {}, key);
}

// It answers what it owes, in time or too late; now and then twice.
Step Chooser::reply(const World& world, std::uint32_t connection) {
  const auto said = answer(world, connection);
  if (rng_.chance(30)) plan(StepKind::kRead, connection, 64);
  if (const auto due = open_until(world, connection); due && rng_.chance(25)) {
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
std::optional<std::int64_t> Chooser::open_until(const World& world, std::uint32_t connection) {
  const auto serial = world.shadow().connections().at(connection).serial;
  for (const auto& [id, cast] : world.shadow().casts()) {
    for (const auto& asked : cast.asked) {
      if (asked.serial != serial || asked.outcome != OutcomeKind::kOpen) continue;
      const auto until = asked.deadline - world.now();
      return std::max<std::int64_t>(
          std::chrono::duration_cast<std::chrono::microseconds>(until).count(), 0);
    }
  }
  return std::nullopt;
}

// Its process exits; sometimes it says a last word, or leaves a child that keeps its sockets.
Step Chooser::die(const World& world, std::uint32_t connection) {
  const auto process = world.shell().lines().at(connection).process;
  const Step exit{StepKind::kExit, {process, rng_.chance(25) ? 1 : 0}};
  auto first = exit;
  if (rng_.chance(50)) {
    first = answer(world, connection);
    batch_.push_back(exit);
  }
  if (rng_.chance(70)) plan(StepKind::kDeliver, connection);
  if (rng_.chance(40)) plan(StepKind::kDeliver, connection);
  if (rng_.chance(80)) plan(StepKind::kGone, connection);
  return first;
}

// A broadcast, and answers from some of those that it reaches.
Step Chooser::broadcast_to_all(const World& world, const Sight& sight) {
  const auto step = start(world);
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

}  // namespace muster::simulator
