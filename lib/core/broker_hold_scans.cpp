// Holds that are looked at: who has files in use while one goes on, and how it stands.
#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "muster/text.h"

#include "core/broker_state.h"

namespace muster::core {
namespace {

// Of the last scan of a hold: again, where something could not be seen. A descriptor that is on its
// way over a socket somewhere on the host is enough for that, and is gone the next moment.
constexpr std::uint32_t kMostLastTries = 4;

// What is told again and again beyond it is more violations than there are.
constexpr std::size_t kMostKnown = 1024;

std::string sentence_about(const Holder& holder) {
  std::string text = holder.pid == 0 ? "the kernel" : "process " + std::to_string(holder.pid);
  const std::string& name = holder.pid == 0 ? holder.object : holder.command;
  if (!name.empty()) text += " (" + escape_bytes(name) + ")";
  if (!holder.example.empty()) text += " has " + escape_bytes(holder.example) + " in use";
  return text;
}

// Somebody has a file open whom nobody saw.
Holder unseen_holder(const HolderScan& scan) {
  Holder holder;
  holder.object = HolderName::kNotFound;
  holder.example = scan.leases.busy_example;
  return holder;
}

}  // namespace

void Broker::State::scan_hold(Hold& hold, Now now) {
  hold.is_scanning = order_scan(hold.id, hold.operation, hold.mount_namespace, hold.asked_by);
  if (hold.is_scanning) return;
  hold.state.last_verdict = HolderVerdict::kUnknown;
  if (hold.is_ending) return finish_hold(hold.id, HoldEnd::kCompleted, now);
  scan_hold_later(hold, config.hold_scan_interval, now);
}

void Broker::State::scan_hold_later(Hold& hold, std::chrono::milliseconds wait, Now now) {
  if (!hold.verify) return;
  unless_out_of_memory(
      [&] { arm_hold(hold.next_scan, Deadline::Kind::kHoldScan, hold, now.steady + wait); });
}

void Broker::State::hold_scanned(Hold& hold, const HolderScan& scan, Now now) {
  hold.is_scanning = false;
  ++hold.state.scans;
  hold.state.last_verdict = scan.verdict;
  note_violations(hold, scan, now);
  if (!hold.is_ending) return scan_hold_later(hold, config.hold_scan_interval, now);
  // The scan that ran when the end was asked for began before.
  if (hold.last_tries == 0 ||
      (scan.verdict == HolderVerdict::kUnknown && hold.last_tries < kMostLastTries)) {
    const bool again_at_once = hold.last_tries++ == 0;
    if (again_at_once) return scan_hold(hold, now);
    scan_hold_later(hold, config.verify_scan_interval, now);
    if (hold.next_scan.armed()) return;
  }
  finish_hold(hold.id, HoldEnd::kCompleted, now);
}

void Broker::State::note_violations(Hold& hold, const HolderScan& scan, Now now) {
  const auto note = [&](const Holder& holder) {
    HolderName name = HolderName::of(holder);
    if (std::find(hold.known.begin(), hold.known.end(), name) != hold.known.end()) return;
    if (hold.state.violations.size() >= HoldState::kMostViolations) {
      ++hold.state.more_violations;
    } else {
      hold.state.violations.push_back({holder, now.unix_ms});
    }
    if (hold.known.size() < kMostKnown) hold.known.push_back(std::move(name));
    shell.holds_changed();
    tell(Event::Kind::kHoldViolated, hold, now, sentence_about(holder));
  };
  try {
    for (const Holder& holder : scan.holders) {
      if (!holder.possibly) note(holder);
    }
    if (scan.held_by_unknown()) note(unseen_holder(scan));
  } catch (const std::bad_alloc&) {
    ++hold.state.more_violations;
    shell.holds_changed();
  }
}

// --- looking at them

void Broker::State::tell(Event::Kind kind, const Hold& hold, Now now, std::string_view detail) {
  unless_out_of_memory([&] {
    Event event;
    event.kind = kind;
    event.unix_ms = now.unix_ms;
    event.broadcast_id = hold.id;
    event.operation = hold.operation.to_string();
    event.asked_by = hold.asked_by;
    event.detail = detail;
    shell.report(event);
  });
}

HoldInfo Broker::State::info_of(const Hold& hold) const {
  HoldInfo info;
  info.id = hold.id;
  info.operation = hold.operation;
  info.asked_by = hold.asked_by;
  info.acked = hold.acked;
  info.state = hold.state;
  return info;
}

std::vector<HoldInfo> Broker::holds() const {
  std::vector<HoldInfo> list;
  list.reserve(state_->holds.all().size());
  for (const auto& [id, hold] : state_->holds.all()) list.push_back(state_->info_of(hold));
  return list;
}

std::optional<HoldInfo> Broker::hold(HoldId id) const {
  if (const Hold* const hold = std::as_const(state_->holds).find(id)) {
    return state_->info_of(*hold);
  }
  if (state_->ended_hold && state_->ended_hold->id == id) return state_->ended_hold;
  const Broadcast* const broadcast = state_->log.find(id);
  if (broadcast == nullptr || !broadcast->hold) return std::nullopt;
  HoldInfo info;
  info.id = id;
  info.operation = broadcast->request.operation;
  info.asked_by = broadcast->asked_by;
  info.acked = broadcast->acks;
  for (const LateRecord& late : broadcast->late) info.acked += late.reason ? 0 : 1;
  info.state = *broadcast->hold;
  return info;
}

std::vector<KeptHold> Broker::holds_to_keep() const {
  std::vector<KeptHold> list;
  for (const auto& [id, hold] : state_->holds.all()) {
    if (hold.state.since_unix_ms == 0) continue;
    KeptHold kept;
    kept.id = id;
    kept.operation = hold.operation;
    kept.selection = hold.selection;
    kept.asked_by = hold.asked_by;
    kept.leased = hold.state.leased;
    kept.since_unix_ms = hold.state.since_unix_ms;
    kept.expires_unix_ms = hold.state.expires_unix_ms;
    kept.verify = hold.verify;
    kept.mount_namespace = hold.mount_namespace;
    kept.violations = hold.state.violations.size() + hold.state.more_violations;
    list.push_back(std::move(kept));
  }
  return list;
}

}  // namespace muster::core
