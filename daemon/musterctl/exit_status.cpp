#include "musterctl/exit_status.h"

#include <algorithm>

namespace muster::ctl {

int status_of_outcomes(const BroadcastReport& report, bool allow_empty) {
  if (report.interrupted || report.state == BroadcastState::kRunning) return kNotAllAcked;
  // Counted backend by backend, too: a newer broker may have outcomes that no list of the result
  // has.
  bool asked = report.result.sent_count() > 0;
  bool acked = report.result.all_live_backends_acked() && !report.backends_unknown;
  for (const BackendOutcome& backend : report.backends) {
    if (backend.outcome == OutcomeKind::kSkippedDead) continue;
    asked = true;
    if (backend.outcome != OutcomeKind::kAck) acked = false;
  }
  if (!asked && report.backends_unknown) return kNotAllAcked;
  if (!asked) return allow_empty ? kAllAcked : kNobody;
  return acked ? kAllAcked : kNotAllAcked;
}

bool is_clear(const BroadcastReport& report) {
  return report.verification && report.verification->scan.verdict == HolderVerdict::kClear;
}

int status_of_preflight(const BroadcastReport& report, bool allow_empty) {
  if (report.state != BroadcastState::kFinished) return kNotAllAcked;
  return status_of_outcomes(report, allow_empty);
}

int exit_status_of(const BroadcastReport& report, bool allow_empty, bool verify) {
  if (report.interrupted || !is_over(report.state)) return kNotAllAcked;
  const int status = status_of_outcomes(report, allow_empty);
  if (status != kAllAcked) return status;
  if (report.result.operation.is_preflight()) return kNotAllAcked;
  if (report.hold && is_violated(*report.hold)) return kStillHeld;
  return !(verify || report.verify) || is_clear(report) ? kAllAcked : kStillHeld;
}

int status_of_answer(const BroadcastReport& report, bool allow_empty, bool verify) {
  const int status = exit_status_of(report, allow_empty, verify);
  const bool has_ended = report.hold && report.hold->ended;
  return status == kAllAcked && has_ended ? static_cast<int>(kStillHeld) : status;
}

int least_exit_status_of(const BroadcastReport& report, bool allow_empty) {
  if (report.interrupted || is_over(report.state)) return exit_status_of(report, allow_empty);
  if (report.state == BroadcastState::kVerifying) return status_of_outcomes(report, allow_empty);
  if (report.backends_unknown) return kNotAllAcked;
  for (const BackendOutcome& backend : report.backends) {
    const bool may_ack = backend.outcome == OutcomeKind::kOpen ||
                         backend.outcome == OutcomeKind::kAck ||
                         backend.outcome == OutcomeKind::kSkippedDead;
    if (!may_ack) return kNotAllAcked;
  }
  return kAllAcked;
}

bool is_violated(const HoldState& state) {
  return !state.violations.empty() || state.more_violations > 0;
}

int status_of_hold(const HoldState& state) {
  if (is_violated(state)) return kStillHeld;
  return state.scans > 0 && state.last_verdict != HolderVerdict::kClear ? kStillHeld : kAllAcked;
}

int worst_status(const std::vector<int>& statuses) {
  int worst = kAllAcked;
  bool somebody = false;
  for (const int status : statuses) {
    if (status == kNobody) continue;
    somebody = true;
    worst = std::max(worst, status);
  }
  return somebody || statuses.empty() ? worst : kNobody;
}

}  // namespace muster::ctl
