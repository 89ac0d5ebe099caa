// The oracle: releases that are verified, and what the kernel says of them.
#include <algorithm>

#include "simulator/oracle.h"
#include "simulator/universe.h"
#include "simulator/violation.h"

namespace muster::simulator {
namespace {

// Whom nobody found.
const Oracle::Hold::Name kSomebody{0, 0, "a holder that was not found"};

}  // namespace

// Rule: a scan is of the path that was released, as the operator's mount namespace has it, and the
// operator's own processes are no holders.
void Oracle::order_scan(BroadcastId id, const BroadcastOperation& operation,
                        std::uint64_t mount_namespace, const std::optional<Operator>& by) {
  core::ScanOrder order;
  order.id = id;
  order.path = operation.as_release_handles()->path_prefix;
  order.mount_namespace = mount_namespace;
  order.asked_by = by;
  scans.push_back(std::move(order));
}

// Rule: after the last outcome the kernel is asked, and the broadcast is not over before it has
// said something. A broker that goes down asks nobody: then there is no verification.
void Oracle::verify(Cast& cast, Now now) {
  if (shutting_down_) {
    cases_.saw(Case::kVerifyingShutDown);
    return stop_verifying(cast, now);
  }
  cast.state = BroadcastState::kVerifying;
  tell(Event::Kind::kVerifying, cast);
  order_scan(cast.id, cast.operation, cast.mount_namespace, cast.by);
  cast.scanning = true;
}

// Rule: what is cut short has no verification, whatever was found by then.
void Oracle::stop_verifying(Cast& cast, Now now) {
  cast.verification.reset();
  end_verifying(cast, now);
}

void Oracle::end_verifying(Cast& cast, Now now) {
  cast.scanning = false;
  cast.scan_at.reset();
  const auto hold = holds_.find(cast.id);
  if (hold != holds_.end() && cast.state == BroadcastState::kCancelled) {
    finish_hold(cast.id, HoldEnd::kAbandoned, now);
  } else if (hold != holds_.end()) {
    // Rule: while a hold goes on that was verified, it is scanned again; who was found before is
    // no news.
    hold->second.scan_at = now.steady + milliseconds(knobs_.hold_scan_interval);
    if (cast.verification) {
      for (const Holder& holder : cast.verification->scan.holders) {
        hold->second.known.insert({holder.pid, holder.started, holder.object});
      }
      if (cast.verification->scan.held_by_unknown()) hold->second.known.insert(kSomebody);
    }
  }
  finish(cast, now);
}

void Oracle::scanned(BroadcastId id, const HolderScan& scan, Now now) {
  const auto found = casts_.find(id);
  if (found != casts_.end() && found->second.scanning) {
    auto& cast = found->second;
    cast.scanning = false;
    // Rule: the verification is the last scan.
    if (!cast.verification) cast.verification.emplace();
    auto& verification = *cast.verification;
    verification.scan = scan;
    ++verification.scans;
    verification.took =
        std::chrono::duration_cast<std::chrono::microseconds>(now.steady - cast.ended);
    const bool clear = scan.verdict == HolderVerdict::kClear;
    cases_.saw(clear ? Case::kVerifiedClear : Case::kVerifiedNotClear);
    // Rule: not clear, and there is time to wait: again. No scan begins after that time, or after
    // the deadline of the whole.
    auto until = cast.ended + cast.verify_wait;
    if (cast.deadline) until = std::min(until, cast.started + *cast.deadline);
    const auto again = now.steady + milliseconds(knobs_.verify_scan_interval);
    if (clear || again > until) return end_verifying(cast, now);
    cast.scan_at = again;
    return;
  }
  const auto hold = holds_.find(id);
  if (hold != holds_.end() && hold->second.scanning) {
    return hold_scanned(hold->second, scan, now);
  }
  cases_.saw(Case::kScanOfNobody);
}

void Oracle::verify_due(BroadcastId id, SteadyTime at) {
  auto& cast = casts_.at(id);
  if (cast.state != BroadcastState::kVerifying || cast.scan_at != at) {
    throw Violation("a scan of a verification is due that nobody waits for");
  }
  cases_.saw(Case::kVerifiedAgain);
  cast.scan_at.reset();
  order_scan(cast.id, cast.operation, cast.mount_namespace, cast.by);
  cast.scanning = true;
}

// --- of a hold that goes on

void Oracle::scan_hold(Hold& hold) {
  order_scan(hold.id, hold.operation, hold.mount_namespace, hold.by);
  hold.scanning = true;
}

void Oracle::hold_scan_due(HoldId id, SteadyTime at) {
  const auto hold = holds_.find(id);
  if (hold == holds_.end() || hold->second.scan_at != at) {
    throw Violation("a scan of a hold is due that nobody waits for");
  }
  hold->second.scan_at.reset();
  scan_hold(hold->second);
}

void Oracle::hold_scanned(Hold& hold, const HolderScan& scan, Now now) {
  // Of the scan before the end, where something cannot be seen.
  constexpr int kMostLastScans = 4;
  hold.scanning = false;
  ++hold.state.scans;
  hold.state.last_verdict = scan.verdict;
  note_violations(hold, scan, now);
  if (!hold.ending) {
    hold.scan_at = now.steady + milliseconds(knobs_.hold_scan_interval);
    return;
  }
  // Rule: one last scan before the end is told: not one that had begun before it was asked for.
  if (hold.last_scans == 0) {
    cases_.saw(Case::kHoldLastScanWaits);
    hold.last_scans = 1;
    return scan_hold(hold);
  }
  if (scan.verdict == HolderVerdict::kUnknown && hold.last_scans < kMostLastScans) {
    cases_.saw(Case::kHoldLastScanAgain);
    ++hold.last_scans;
    hold.scan_at = now.steady + milliseconds(knobs_.verify_scan_interval);
    return;
  }
  cases_.saw(Case::kHoldLastScan);
  finish_hold(hold.id, HoldEnd::kCompleted, now);
}

// Rule: a holder that appears during a hold is told, once; one that may hold nothing is none.
void Oracle::note_violations(Hold& hold, const HolderScan& scan, Now now) {
  const auto note = [&](const Holder& holder) {
    const Hold::Name name{holder.pid, holder.started, holder.pid == 0 ? holder.object : ""};
    if (!hold.known.insert(name).second) return cases_.saw(Case::kHoldViolatedBefore);
    cases_.saw(Case::kHoldViolated);
    ++record_changes_;
    if (hold.state.violations.size() < HoldState::kMostViolations) {
      hold.state.violations.push_back({holder, now.unix_ms});
    } else {
      cases_.saw(Case::kHoldCrowded);
      ++hold.state.more_violations;
    }
    const std::string who =
        holder.pid == 0 ? "the kernel" : "process " + std::to_string(holder.pid);
    const auto& called = holder.pid == 0 ? holder.object : holder.command;
    std::string text = who;
    if (!called.empty()) text += " (" + called + ")";
    if (!holder.example.empty()) text += " has " + holder.example + " in use";
    tell(Event::Kind::kHoldViolated, hold, text);
  };
  for (const Holder& holder : scan.holders) {
    if (holder.possibly) {
      cases_.saw(Case::kHoldPossibly);
    } else {
      note(holder);
    }
  }
  if (!scan.held_by_unknown()) return;
  // Rule: a file that is busy without a known holder is held by "unknown".
  cases_.saw(Case::kHoldBusy);
  Holder somebody;
  somebody.object = std::get<2>(kSomebody);
  somebody.example = scan.leases.busy_example;
  note(somebody);
}

}  // namespace muster::simulator
