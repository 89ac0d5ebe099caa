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
  if (!one_budget_ && rng_.chance(50)) {
    step.args[2] = rng_.pick(std::array<std::int64_t, 6>{0, 1, 30, 250, 5000, kMaxU32});
  }
  if (rng_.chance(25)) step.args[3] = rng_.below(kSelections);
  step.args[5] = rng_.below(kUsers + 1);
  if (!one_budget_ && rng_.chance(15)) {
    step.args[6] = rng_.pick(std::array<std::int64_t, 4>{1, 100, 3000, kMaxU32});
  }
  if (rng_.chance(20)) step.args[4] = rng_.chance(90) ? 1 + rng_.below(2) : 3;
  return step;
}

BroadcastId Chooser::some_broadcast(const Simulation& simulation) {
  const auto next = simulation.shell().next_id();
  if (rng_.chance(10)) return next + rng_.below(3);
  // The first that the host ever gave, and ids about it.
  if (rng_.chance(10)) return static_cast<BroadcastId>(first_id_ + rng_.between(-1, 1));
  return next - std::min<BroadcastId>(next, rng_.below(6));
}

}  // namespace muster::simulator
