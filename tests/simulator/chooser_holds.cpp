// Steps that belong together, of holds.
#include <algorithm>
#include <array>

#include "simulator/chooser.h"
#include "simulator/universe.h"

namespace muster::simulator {

// It is verified, and looked at again while it goes on: the same holders mostly, and others.
void Chooser::plan_scans_of_hold(HoldId id) {
  const auto hold = std::int64_t(id);
  Step found = scan(id);
  batch_.push_back({StepKind::kScanned, {hold, 0, 0, 0}});
  for (auto left = 1 + rng_.below(3); left > 0; --left) {
    plan(StepKind::kAdvance, hold_scan_interval_ * 1000);
    plan(StepKind::kFire, rng_.below(1000));
    if (rng_.chance(30)) found = scan(id);
    if (rng_.chance(15)) plan(StepKind::kEndHold, hold);
    batch_.push_back(found);
    if (rng_.chance(30)) plan(StepKind::kSave);
  }
}

// What may end a hold.
void Chooser::plan_end_of_hold(const Simulation& simulation, HoldId id) {
  const auto hold = std::int64_t(id);
  switch (rng_.below(7)) {
    case 0:
      return plan(StepKind::kHoldLeft, hold);
    case 1:
      plan(StepKind::kAdvance, rng_.pick(std::array{1000, 100'000, 3'000'000}));
      plan(StepKind::kFire, rng_.below(1000));
      return plan(StepKind::kFire, rng_.below(1000));
    case 2:
      return plan(StepKind::kResume, rng_.chance(50) ? hold : 0,
                  rng_.chance(80) ? 0 : rng_.below(kSelections));
    case 3: {  // the broker is gone, and its operator comes back, or not
      if (rng_.chance(20)) {
        plan(StepKind::kShutDown, 1);
        plan(StepKind::kHoldLeft, hold);
      }
      plan(StepKind::kRestart, rng_.chance(50) ? 1 : 0);
      for (const auto& backend : simulation.oracle().backends()) {
        const auto line = simulation.shell().lines().find(backend.connection);
        if (line == simulation.shell().lines().end() || !rng_.chance(60)) continue;
        plan_join(simulation, line->second.process, own_key(backend.key));
      }
      if (rng_.chance(60)) plan(StepKind::kKeepHold, hold, rng_.below(kUsers));
      plan(StepKind::kAdvance, rng_.pick(std::array{300'000, 5'000'000}));
      plan(StepKind::kFire, rng_.below(1000));
      return plan(StepKind::kFire, rng_.below(1000));
    }
    case 4:
      return plan(StepKind::kCancel, hold);
    default:
      plan(StepKind::kEndHold, hold);
      if (rng_.chance(20)) plan(StepKind::kEndHold, hold);
      for (auto left = rng_.below(3); left > 0; --left) batch_.push_back(scan(id));
  }
}

// A hold from the request to its end: who acks, in time or late, who comes meanwhile, who comes
// back, and who holds something all the same.
Step Chooser::hold_for_long(const Simulation& simulation, const Sight& sight) {
  auto step = start(simulation);
  step.args[1] = rng_.chance(30) ? kMaintenance : rng_.below(kMaintenance);
  step.args[4] = 0;
  for (int i = 7; i < 10; ++i) step.args[static_cast<std::size_t>(i)] = 0;
  hold(step);
  if (step.args[8] == 0) step.args[8] = 1;
  const auto id = static_cast<HoldId>(step.args[0]);
  const bool ends_early = rng_.chance(15);
  if (ends_early && rng_.chance(50)) plan_end_of_hold(simulation, id);
  for (const auto connection : sight.live) {
    if (rng_.chance(10)) continue;
    plan(rng_.chance(85) ? StepKind::kAck : StepKind::kFail, connection, step.args[0]);
    if (rng_.chance(80)) plan(StepKind::kDeliver, connection);
  }
  if (ends_early) plan_end_of_hold(simulation, id);
  if (rng_.chance(20)) {
    plan(StepKind::kAdvance, 5'000'000);
    plan(StepKind::kFire, rng_.below(1000));
  }
  const bool is_scanned = step.args[7] != 0;
  if (is_scanned && rng_.chance(40)) plan_scans_of_hold(id);
  for (auto left = rng_.below(3); is_scanned && left > 0; --left) {
    batch_.push_back(scan(id));
    if (!rng_.chance(50)) continue;
    plan(StepKind::kAdvance, rng_.pick(std::array{100'000, 500'000, 10'000'000}));
    plan(StepKind::kFire, rng_.below(1000));
  }
  if (rng_.chance(40)) plan_join(simulation, {}, some_key(simulation));
  if (rng_.chance(40) && !sight.live.empty()) {
    const auto connection = rng_.pick(sight.live);
    plan(StepKind::kClose, connection);
    plan(StepKind::kDeliver, connection);
    const auto serial = simulation.oracle().connections().at(connection).serial;
    for (const auto& backend : simulation.oracle().backends()) {
      if (backend.serial != serial || rng_.chance(20)) continue;
      plan_join(simulation, simulation.shell().lines().at(connection).process, backend.form.key);
    }
  }
  if (rng_.chance(10)) plan(StepKind::kSave);
  if (rng_.chance(80)) plan_end_of_hold(simulation, id);
  return step;
}

// As many with long paths as there is room for, and one more; some are root's.
Step Chooser::hold_many(const Simulation& simulation) {
  const auto first = std::int64_t(simulation.shell().next_id());
  const auto starts = [&](std::int64_t id) {
    const std::int64_t user = rng_.chance(30) ? 3 : rng_.below(kUsers + 1);
    return Step{StepKind::kStart, {id, kLongPath, -1, 0, 0, user, 0, 0, 1, 0}};
  };
  const auto count = 7 + rng_.below(3);
  for (std::uint32_t i = 1; i < count; ++i) batch_.push_back(starts(first + i));
  return starts(first);
}

}  // namespace muster::simulator
