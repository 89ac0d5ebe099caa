// Single steps with all that they need: which process, which key, which operation.
#include <algorithm>
#include <array>

#include "simulator/chooser.h"
#include "simulator/universe.h"

namespace muster::simulator {
namespace {

constexpr std::int64_t kMaxU32 = 0xffff'ffff;  // the longest time that the wire can say

}  // namespace

Step Chooser::connect(const Simulation& simulation, std::optional<std::uint32_t> process) {
  auto number = process ? *process : rng_.below(processes_);
  const auto exited = [&] {
    const auto found = simulation.processes().find(number);
    return found != simulation.processes().end() && found->second.exited;
  };
  while (exited()) number += 13;
  return {StepKind::kConnect, {next_connection_++, number}};
}

// Mostly one that nobody has.
std::uint32_t Chooser::some_key(const Simulation& simulation) {
  const auto first = rng_.below(keys_);
  if (rng_.chance(15)) return first;
  for (std::uint32_t i = 0; i < keys_; ++i) {
    const auto key = (first + i) % keys_;
    const auto& all = simulation.oracle().backends();
    const bool free = std::none_of(all.begin(), all.end(), [&](const Oracle::Backend& backend) {
      return backend.key == key && backend.state != BackendState::kDead;
    });
    if (free) return key;
  }
  return first;
}

Step Chooser::register_as(std::uint32_t connection, std::uint32_t key) {
  Step step{StepKind::kRegister, {connection, key, -1, -1, 0}};
  if (!one_budget_ && rng_.chance(40)) {
    step.args[2] = rng_.pick(std::array<std::int64_t, 6>{0, 1, 30, 200, 4000, kMaxU32});
  }
  if (idle_ && rng_.chance(50)) {
    step.args[3] = rng_.pick(std::array<std::int64_t, 5>{1, 999, 1000, 1500, kMaxU32});
    if (rng_.chance(3)) step.args[3] = 0;
  }
  if (rng_.chance(30)) step.args[4] = kHot;
  if (rng_.chance(2)) step.args[4] |= kBad;
  if (rng_.chance(50)) {
    step.args[4] |= kSaysRefused;
    step.args[4] += kRefusedOnce * rng_.pick(std::array<std::int64_t, 5>{0, 1, 1, 2, kMaxU32});
  }
  return step;
}

// An operation that the backend of this connection owes, or one whose outcome is in; sometimes
// any that its process ever read, or that nobody did.
std::int64_t Chooser::operation_for(const Simulation& simulation, std::uint32_t connection) {
  const auto known = simulation.oracle().connections().find(connection);
  const auto serial = known == simulation.oracle().connections().end() ? 0 : known->second.serial;
  std::vector<BroadcastId> open;
  std::vector<BroadcastId> late;
  for (const auto& [id, cast] : simulation.oracle().casts()) {
    for (const auto& asked : cast.asked) {
      if (asked.serial != serial) continue;
      if (asked.outcome == OutcomeKind::kOpen) open.push_back(id);
      if (asked.outcome == OutcomeKind::kTimeout || rng_.chance(20)) late.push_back(id);
    }
  }
  const auto dice = rng_.below(100);
  if (dice < 60 && !open.empty()) return static_cast<std::int64_t>(rng_.pick(open));
  if (dice < 90 && !late.empty()) return static_cast<std::int64_t>(rng_.pick(late));
  const auto line = simulation.shell().lines().find(connection);
  if (dice < 97 && line != simulation.shell().lines().end()) {
    const auto process = simulation.processes().find(line->second.process);
    if (process != simulation.processes().end() && !process->second.known.empty()) {
      return static_cast<std::int64_t>(rng_.pick(process->second.known));
    }
  }
  return static_cast<std::int64_t>(some_broadcast(simulation));
}

Step Chooser::answer(const Simulation& simulation, std::uint32_t connection) {
  const auto id = operation_for(simulation, connection);
  const auto dice = rng_.below(10);
  if (dice < 5 || (dice < 7 && one_budget_)) return {StepKind::kAck, {connection, id}};
  if (dice < 7) {
    return {StepKind::kWorking,
            {connection, id, rng_.pick(std::array<std::int64_t, 6>{0, 1, 25, 300, 6000, kMaxU32}),
             rng_.between(-1, 100)}};
  }
  return {StepKind::kFail, {connection, id, rng_.below(6)}};
}

Step Chooser::start(const Simulation& simulation) {
  Step step{StepKind::kStart, {std::int64_t(simulation.shell().next_id()), 0, -1, 0, 0, 0}};
  if (rng_.chance(10)) step.args[0] += rng_.below(3);
  step.args[1] = rng_.chance(95) ? rng_.below(kGoodOperations) : rng_.below(kOperations);
  if (rng_.chance(12)) step.args[1] = kFirstPreflight + rng_.below(kPreflights);
  if (!one_budget_ && rng_.chance(50)) {
    step.args[2] = rng_.pick(std::array<std::int64_t, 6>{0, 1, 30, 250, 5000, kMaxU32});
  }
  if (rng_.chance(25)) step.args[3] = rng_.below(kSelections);
  step.args[5] = rng_.below(kUsers + 1);
  if (!one_budget_ && rng_.chance(15)) {
    step.args[6] = rng_.pick(std::array<std::int64_t, 4>{1, 100, 3000, kMaxU32});
  }
  if (rng_.chance(20)) step.args[4] = rng_.chance(90) ? 1 + rng_.below(2) : 3;
  if (rng_.chance(15)) hold(step);
  return step;
}

void Chooser::hold(Step& start) {
  const bool is_release = start.args[1] != kMaintenance;
  if (rng_.chance(is_release ? 60 : 2)) {
    start.args[7] = 1 + rng_.pick(std::array<std::int64_t, 5>{0, 0, 100, 700, 4000});
  }
  if (start.args[7] != 0 && rng_.chance(25)) return;
  start.args[8] = rng_.chance(60) ? 1 : 2;
  const bool has_ttl = start.args[8] == 2 ? !rng_.chance(3) : rng_.chance(30);
  if (!has_ttl) return;
  start.args[9] = rng_.pick(std::array<std::int64_t, 5>{1, 50, 100, 3000, 600'000});
  if (rng_.chance(15)) start.args[9] = max_hold_ttl_ + rng_.below(2);
  if (rng_.chance(3)) start.args[9] = -1;
}

Step Chooser::scan(BroadcastId id) {
  Step step{StepKind::kScanned, {std::int64_t(id), rng_.below(3), 0, 0}};
  constexpr std::uint32_t kAll = 1U << kHolders;
  if (step.args[1] != 0 || rng_.chance(10)) {
    step.args[2] = rng_.below(kAll) & rng_.below(kAll);
    if (rng_.chance(40)) step.args[2] += kPossibly * rng_.below(kAll);
    if (rng_.chance(6)) step.args[2] += kCrowd;
    if (rng_.chance(20)) {
      step.args[3] = 1;
      if (rng_.chance(50)) step.args[2] = 0;  // and nobody is found
    }
  }
  return step;
}

// Mostly one that goes on.
HoldId Chooser::some_hold(const Simulation& simulation) {
  const auto& holds = simulation.oracle().holds();
  if (holds.empty() || rng_.chance(5)) return some_broadcast(simulation);
  return std::next(holds.begin(), rng_.below(static_cast<std::uint32_t>(holds.size())))->first;
}

Step Chooser::hold_step(const Simulation& simulation) {
  const auto id = std::int64_t(some_hold(simulation));
  switch (rng_.below(6)) {
    case 0:
      return {StepKind::kHoldLeft, {id}};
    case 1:
    case 2: {
      std::int64_t user = rng_.below(kUsers);
      const auto hold = simulation.oracle().holds().find(static_cast<HoldId>(id));
      const bool has_user = hold != simulation.oracle().holds().end() && hold->second.by;
      for (std::uint32_t i = 0; has_user && rng_.chance(80) && i < kUsers; ++i) {
        if (uid_of(i) == hold->second.by->uid) user = i;
      }
      return {StepKind::kKeepHold, {id, user, rng_.chance(20) ? 1 : 0}};
    }
    case 3:
      return scan(static_cast<BroadcastId>(id));
    default:
      return {StepKind::kEndHold, {id}};
  }
}

BroadcastId Chooser::some_broadcast(const Simulation& simulation) {
  const auto next = simulation.shell().next_id();
  if (rng_.chance(10)) return next + rng_.below(3);
  // The first that the host ever gave, and ids about it.
  if (rng_.chance(10)) return static_cast<BroadcastId>(first_id_ + rng_.between(-1, 1));
  return next - std::min<BroadcastId>(next, rng_.below(6));
}

}  // namespace muster::simulator
