// Holds and scans: what happens to them, and whether the core and the oracle agree on them.
#include <algorithm>

#include "simulator/agree.h"
#include "simulator/simulation.h"
#include "simulator/universe.h"

namespace muster::simulator {
namespace {

HolderScan scan_of(const Step& step, std::uint64_t unix_ms) {
  HolderScan scan;
  scan.prefix = "/var/cache/x";
  scan.verdict = static_cast<HolderVerdict>(static_cast<std::uint64_t>(step.args[1]) % 3);
  scan.holders = holders_of(step.args[2]);
  scan.leases.busy = static_cast<std::uint64_t>(std::max<std::int64_t>(step.args[3], 0));
  if (scan.leases.busy != 0) scan.leases.busy_example = "/var/cache/x/busy";
  scan.at_unix_ms = unix_ms;
  return scan;
}

std::string show(const HoldInfo& info) {
  const HoldState& state = info.state;
  std::string text = "    hold " + std::to_string(info.id) + ' ' + info.operation.to_string() +
                     " acked " + std::to_string(info.acked) + " since " +
                     std::to_string(state.since_unix_ms) + " expires " +
                     std::to_string(state.expires_unix_ms);
  if (state.leased) text += state.owner_away ? " leased, owner away" : " leased";
  if (state.ended) {
    text.append(" ended ").append(to_string(*state.ended)).append(" at ");
    text += std::to_string(state.ended_unix_ms);
  }
  text += " violations " + std::to_string(state.violations.size()) + '+' +
          std::to_string(state.more_violations) + " scans " + std::to_string(state.scans);
  text.append(" verdict ").append(to_string(state.last_verdict));
  return text + '\n';
}

std::string show(const std::vector<ActiveHold>& holds) {
  std::string text;
  for (const auto& hold : holds) text += ' ' + std::to_string(hold.id);
  return text.empty() ? " none" : text;
}

}  // namespace

bool Simulation::scanned(const Step& step) {
  const auto id = static_cast<BroadcastId>(step.args[0]);
  (void)shell_.take_scan(id);
  if (is_wrong(WrongTransition::kSaveForgetsHolders)) save_and_restore();
  auto scan = scan_of(step, at().unix_ms);
  oracle_->scanned(id, scan, at());
  call([&] {
    if (is_wrong(WrongTransition::kUnknownIsClear) && scan.verdict == HolderVerdict::kUnknown) {
      scan.verdict = HolderVerdict::kClear;
    }
    if (is_wrong(WrongTransition::kPossiblyIsSure)) {
      for (auto& holder : scan.holders) holder.possibly = false;
    }
    broker_->scanned(id, std::move(scan), at());
  });
  return true;
}

bool Simulation::end_hold(HoldId id) {
  const auto should = oracle_->end_hold(id, at());
  call([&] {
    if (is_wrong(WrongTransition::kEndHoldIsIgnored)) return;
    const auto is = broker_->end_hold(id, at());
    must(is.has_value() == should.has_value() && (!is || is->code == *should),
         "end of a hold: not what it should come to");
    must(!is || !is->message.empty(), "end of a hold: an error without words");
  });
  return true;
}

bool Simulation::hold_left(HoldId id) {
  oracle_->hold_left(id, at());
  call([&] {
    if (is_wrong(WrongTransition::kLeftIsIgnored)) return;
    if (is_wrong(WrongTransition::kLeftIsEnd)) return void(broker_->end_hold(id, at()));
    broker_->hold_left(id, at());
  });
  return true;
}

bool Simulation::keep_hold(const Step& step) {
  const auto id = static_cast<HoldId>(step.args[0]);
  auto uid = uid_of(step.args[1]);
  const bool detach = step.args[2] != 0;
  const auto should = oracle_->keep_hold(id, uid, detach);
  call([&] {
    if (is_wrong(WrongTransition::kKeepIsIgnored)) return;
    const auto hold = oracle_->holds().find(id);
    const bool has_user = hold != oracle_->holds().end() && hold->second.by;
    if (is_wrong(WrongTransition::kAnybodyKeeps) && has_user) uid = hold->second.by->uid;
    const bool detaches = detach && !is_wrong(WrongTransition::kDetachIsKeep);
    const auto is =
        detaches ? broker_->detach_hold(id, uid, at()) : broker_->keep_hold(id, uid, at());
    must(is.has_value() == should.has_value() && (!is || is->code == *should),
         "keeping a hold: not what it should come to");
  });
  return true;
}

void Simulation::imagine_scans() {
  for (const auto& order : std::vector(shell_.scans_now)) {
    HolderScan scan;
    scan.verdict = HolderVerdict::kClear;
    broker_->scanned(order.id, std::move(scan), at());
  }
}

// --- do they agree?

void Simulation::check_holds() {
  auto& should = *oracle_;
  must(shell_.scans_now == should.scans, "not what was to be scanned is scanned");
  for (const auto& [connection, holds] : shell_.listed_now) {
    const auto found = std::find_if(should.holds_listed.begin(), should.holds_listed.end(),
                                    [&](const auto& one) { return one.first == connection; });
    must(found != should.holds_listed.end(), "a registration is answered that was not made");
    if (found->second == holds) continue;
    throw Violation("connection " + std::to_string(connection) + " is told of the holds" +
                    show(holds) + "\n  and should be told of" + show(found->second));
  }
  must(shell_.listed_now.size() == should.holds_listed.size(),
       "not every registration is answered");
  must(shell_.holds_ended_now == should.holds_ended,
       "whoever ends a hold is answered when it has ended, once");
  if (!checks_disk_) return;
  if (shell_.holds_changed_now) holds_on_disk_ = broker_->holds_to_keep();
  if (!shell_.holds_changed_now && disk_checked_ == should.record_changes()) return;
  disk_checked_ = should.record_changes();
  // What is on disk is what goes on, whether or not the core said that it changed.
  auto kept = holds_on_disk_.begin();
  for (const auto& [id, hold] : should.holds()) {
    if (!Oracle::is_recorded(hold)) continue;
    must(kept != holds_on_disk_.end() && *kept == Oracle::recorded(hold),
         "a hold goes on, and what is on disk is another");
    ++kept;
  }
  must(kept == holds_on_disk_.end(), "a hold is on disk that does not go on");
}

// Those that go on, and those that ended.
void Simulation::check_hold_infos() const {
  const auto list = broker_->holds();
  std::vector<HoldId> ids;
  for (const HoldInfo& info : list) {
    ids.push_back(info.id);
    const auto should = oracle_->hold_info(info.id);
    if (should && info == *should) continue;
    throw Violation("a hold is\n" + show(info) + "  and should be\n" +
                    (should ? show(*should) : std::string("    none\n")));
  }
  must(ids.size() == oracle_->holds().size() && std::is_sorted(ids.begin(), ids.end()),
       "not all holds are listed, or not in order");
  for (const auto& [id, cast] : oracle_->casts()) {
    if (!cast.hold) continue;
    const auto is = broker_->hold(id);
    const auto should = oracle_->hold_info(id);
    if (is == should) continue;
    throw Violation("a hold is\n" + (is ? show(*is) : std::string("    none\n")) +
                    "  and should be\n" + (should ? show(*should) : std::string("    none\n")));
  }
}

void Simulation::check_hold_event(const Event& event) const {
  const auto cast = oracle_->casts().find(event.broadcast_id);
  if (cast == oracle_->casts().end()) return;  // of the broker before
  must(event.operation == cast->second.operation.to_string() && event.asked_by == cast->second.by,
       "an event of a hold names another operation, or another operator");
}

// --- the end of a run

// What was ordered is done: some are clear, others cannot see all.
void Simulation::make_scans() {
  while (!shell_.scans().empty()) {
    const auto id = static_cast<std::int64_t>(shell_.scans().front().id);
    const auto verdict = steps_ % 3 == 0 ? HolderVerdict::kUnknown : HolderVerdict::kClear;
    (void)scanned({StepKind::kScanned, {id, static_cast<std::int64_t>(verdict)}});
    ++steps_;
  }
}

void Simulation::end_holds() {
  std::vector<HoldId> going_on;
  for (const auto& [id, hold] : oracle_->holds()) going_on.push_back(id);
  for (const HoldId id : going_on) {
    (void)end_hold(id);
    ++steps_;
  }
}

}  // namespace muster::simulator
