#include "simulator/chooser.h"

#include <algorithm>
#include <array>

#include "simulator/universe.h"

namespace muster::simulator {
namespace {

// An hour either way, a moment, or a clock that was never set.
std::int64_t wall_jump(Rng& rng) {
  constexpr std::int64_t kHour = 3'600'000;
  return rng.between(-1, 1) *
             rng.pick(std::array{std::int64_t{1}, kHour, kHour, kHour * 24 * 4000}) +
         rng.between(-1000, 1000);
}

}  // namespace

Chooser::Chooser(Rng& rng, const Knobs& knobs)
    : rng_(rng),
      first_id_(knobs.first_id),
      one_budget_(knobs.one_budget != 0),
      max_hold_ttl_(knobs.max_hold_ttl),
      hold_scan_interval_(knobs.hold_scan_interval),
      idle_(rng.chance(30)),
      keys_(rng.chance(25) ? 1 + rng.below(2) : kKeys),
      processes_(2 + rng.below(12)),
      company_(1 + rng.below(6)) {}

Step Chooser::next(const Simulation& simulation) {
  if (rng_.chance(1)) return {StepKind::kSave, {}};
  if (!planned_.empty() && rng_.chance(85)) {
    const auto step = planned_.front();
    planned_.pop_front();
    return step;
  }
  const auto step = any(simulation);
  // What belongs together mostly comes together.
  const auto place = rng_.chance(75) ? planned_.begin() : planned_.end();
  planned_.insert(place, batch_.begin(), batch_.end());
  batch_.clear();
  return step;
}

Chooser::Sight Chooser::look(const Simulation& simulation) {
  Sight sight;
  const auto& connections = simulation.oracle().connections();
  for (const auto& [number, line] : simulation.shell().lines()) {
    if (line.broker == Line::Broker::kReleased) sight.released.push_back(number);
    const auto process = simulation.processes().find(line.process);
    const bool speaks = process == simulation.processes().end() || process->second.speaks();
    const bool open = line.broker == Line::Broker::kOpen;
    if (open && !line.closed && line.half_closed && speaks) sight.halves.push_back(number);
    if (open && !line.closed && !line.half_closed && speaks && !line.too_slow) {
      const auto known = connections.find(number);
      if (known != connections.end()) {
        (known->second.registered ? sight.live : sight.silent).push_back(number);
      }
    }
    if (!line.outbox.empty() && !line.closed && speaks) sight.readable.push_back(number);
    const bool ends = line.too_slow || line.closed || (line.half_closed && !line.half_told);
    if (open && !line.end_told && (ends || !line.inbox.empty())) {
      sight.deliverable.push_back(number);
    }
    const bool is_known = open || line.broker == Line::Broker::kHungUp;
    if (line.exit_due && is_known) sight.gone.push_back(number);
  }
  return sight;
}

Step Chooser::any(const Simulation& simulation) {
  const auto sight = look(simulation);
  const auto dice = rng_.below(100);
  if (dice < 15 && !sight.deliverable.empty()) {
    return {StepKind::kDeliver, {rng_.pick(sight.deliverable)}};
  }
  if (dice < 20 && !sight.readable.empty()) {
    return {StepKind::kRead, {rng_.pick(sight.readable), rng_.chance(70) ? 64 : 1}};
  }
  if (dice < 24 && !sight.gone.empty()) return {StepKind::kGone, {rng_.pick(sight.gone)}};
  if (dice < 27 && !simulation.waiting().empty()) {
    if (simulation.short_of_descriptors()) return {StepKind::kShortage, {0}};
    return {StepKind::kAccept, {rng_.chance(50) ? 64 : 1}};
  }
  if (dice < 28 && !sight.halves.empty()) {
    return {rng_.chance(80) ? StepKind::kClose : StepKind::kHalfClose, {rng_.pick(sight.halves)}};
  }
  if (dice < 32 && !simulation.shell().scans().empty()) {
    return scan(rng_.pick(simulation.shell().scans()).id);
  }
  if (dice < 33 && !simulation.oracle().holds().empty()) return hold_step(simulation);
  if (dice < 36) return time_step(simulation);
  const bool lonely = sight.live.size() * 2 < company_ && rng_.chance(70);
  if (lonely) return join(simulation, {}, some_key(simulation));
  if (dice < 50)
    return rng_.chance(60) ? broadcast_to_all(simulation, sight) : operator_step(simulation);
  if (dice < 54) return odd_step(simulation, sight);
  if (dice < 56) return hold_for_long(simulation, sight);
  if (dice < 57) return move_on(simulation);
  return backend_step(simulation, sight);
}

Step Chooser::backend_step(const Simulation& simulation, const Sight& sight) {
  const bool lonely = sight.live.size() + sight.silent.size() < company_;
  if (sight.live.empty() || (lonely && rng_.chance(60))) {
    return join(simulation, {}, some_key(simulation));
  }
  const auto connection = rng_.pick(sight.live);
  switch (rng_.below(15)) {
    case 14:
      return half_close(simulation, connection);
    case 0:
      return connect(simulation);
    case 1:
      if (sight.silent.empty()) return connect(simulation);
      return register_as(rng_.pick(sight.silent), some_key(simulation));
    case 2:
      return bounce(simulation, connection, true);
    case 3:
      return bounce(simulation, connection, false);
    case 4:
      return take_over(simulation, connection);
    case 5:
      return die(simulation, connection);
    case 6:
      if (rng_.chance(50)) return {StepKind::kClose, {connection}};
      return {StepKind::kActivity, {connection}};
    case 7:
      if (rng_.chance(50)) plan(StepKind::kDeliver, connection);
      return {StepKind::kDeregister, {connection}};
    default:
      // Mostly one who owes something.
      if (!open_until(simulation, connection) && rng_.chance(70))
        return broadcast_to_all(simulation, sight);
      return reply(simulation, connection);
  }
}

Step Chooser::time_step(const Simulation& simulation) {
  if (simulation.due() != 0 && rng_.chance(60)) return {StepKind::kFire, {rng_.below(1000)}};
  if (!simulation.shell().stale().empty() && rng_.chance(20)) {
    return {StepKind::kStale, {rng_.below(1000)}};
  }
  const auto& armed = simulation.shell().armed();
  std::int64_t us = rng_.between(0, rng_.pick(std::array{10, 1000, 20'000, 600'000}));
  if (!armed.empty() && rng_.chance(50)) {
    // To a deadline, or just before or after it.
    auto to = rng_.pick(armed);
    // Rarely past everything else: what expires is hours away.
    for (int i = 0; i < 2; ++i) {
      const auto& other = rng_.pick(armed);
      if (other.at < to.at) to = other;
    }
    const auto until = to.at - simulation.now();
    us = std::chrono::duration_cast<std::chrono::microseconds>(until).count();
    us += rng_.pick(std::array{0, 0, 0, -1, 1, 700, 30'000});
    if (rng_.chance(70)) plan(StepKind::kFire, rng_.below(1000));
  }
  return {StepKind::kAdvance, {std::max<std::int64_t>(us, 0)}};
}

Step Chooser::operator_step(const Simulation& simulation) {
  switch (rng_.below(13)) {
    case 10:
    case 11:
      return {StepKind::kResume,
              {rng_.chance(50) ? 0 : std::int64_t(some_quiesce(simulation)),
               rng_.chance(70) ? 0 : rng_.below(kSelections)}};
    case 12:
      if (rng_.chance(10)) return {StepKind::kForgetMissed, {}};
      if (rng_.chance(10)) return {StepKind::kForgetUnseen, {}};
      return {StepKind::kForget, {some_entry(simulation)}};
    case 0:
      return {StepKind::kDryRun, {rng_.below(kOperations), rng_.below(kSelections)}};
    case 1:
      return {StepKind::kList, {rng_.below(kSelections)}};
    case 2:
    case 3:
      return {StepKind::kReport, {std::int64_t(some_broadcast(simulation))}};
    case 4:
    case 5:
      return {StepKind::kCancel, {std::int64_t(some_broadcast(simulation))}};
    case 6:
      return {StepKind::kWatch, {rng_.chance(50) ? 1 : 0}};
    default:
      return start(simulation);
  }
}

// Mostly one that goes on.
BroadcastId Chooser::some_quiesce(const Simulation& simulation) {
  std::vector<BroadcastId> going_on;
  for (const auto& backend : simulation.oracle().backends()) {
    for (const auto& hold : backend.holds) going_on.push_back(hold.state.broadcast);
  }
  return going_on.empty() || rng_.chance(10) ? some_broadcast(simulation) : rng_.pick(going_on);
}

// Mostly one that is dead or lost.
std::uint32_t Chooser::some_entry(const Simulation& simulation) {
  std::vector<std::uint32_t> gone;
  for (const auto& backend : simulation.oracle().backends()) {
    const bool is_gone =
        backend.state == BackendState::kDead || backend.state == BackendState::kLost;
    if (is_gone || rng_.chance(10)) gone.push_back(backend.key);
  }
  return gone.empty() || rng_.chance(10) ? rng_.below(kKeys) : rng_.pick(gone);
}

Step Chooser::odd_step(const Simulation& simulation, const Sight& sight) {
  const auto connection = sight.live.empty() ? 0 : rng_.pick(sight.live);
  switch (rng_.below(24)) {
    case 20:
    case 21:
    case 22:
      return move_on(simulation);
    case 23:
      if (sight.silent.empty()) break;
      return {StepKind::kHalfClose, {rng_.pick(sight.silent)}};
    case 0:
      return {StepKind::kShutDown, {rng_.chance(30) ? 1 : 0}};
    case 1:
      return restart(simulation);
    case 2:
      return {StepKind::kJump, {wall_jump(rng_)}};
    case 3:
      return {StepKind::kBogus, {rng_.below(20), rng_.between(0, 100)}};
    case 4:
    case 5:
      if (sight.released.empty()) break;
      return {StepKind::kGhost, {rng_.pick(sight.released), rng_.below(9)}};
    case 6:
    case 7:
      return register_as(connection, rng_.below(kKeys));  // a second time
    case 8:
    case 9:
      if (sight.silent.empty()) break;
      return answer(simulation, rng_.pick(sight.silent));  // before Register
    case 10:
      if (sight.silent.empty()) break;
      return {StepKind::kClose, {rng_.pick(sight.silent)}};
    case 11:
      return {StepKind::kDeregister, {connection}};
    case 12:
      return {StepKind::kExit, {rng_.below(processes_), 0}};
    case 13:
    case 14:
      return run_short(simulation);
    case 15:
      return restart(simulation);
    case 18:
      if (!rng_.chance(30)) break;
      return hold_many(simulation);
    case 16:
    case 17:
      return quiesce_twice(simulation, connection);
    default:
      break;
  }
  return {StepKind::kGarbage, {connection}};
}

}  // namespace muster::simulator
