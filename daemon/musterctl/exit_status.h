// What musterctl's exit status says. Scripts depend on it: numbers are never given a new meaning.
#pragma once

#include "muster/report.h"

namespace muster::ctl {

enum ExitStatus : int {
  kAllAcked = 0,     // or: the command did what it was asked
  kNotAllAcked = 1,  // a live backend did not ack (or has not yet)
  kUsage = 2,
  kUnreachable = 3,  // no broker, or its connection ended
  kRefused = 4,      // the broker said no
  kNobody = 5,       // there was nobody to ask
  kStillHeld = 6,    // kept for proof: somebody still holds what was to be released
  kInternal = 70,    // a bug of musterctl itself (EX_SOFTWARE)
  kOutputLost = 74,  // its output could not be written (EX_IOERR)
  kSignalled = 128,  // plus the signal's number
};

// The status of a broadcast with this report.
[[nodiscard]] inline int exit_status_of(const BroadcastReport& report, bool allow_empty) {
  if (report.state == BroadcastState::kRunning) return kNotAllAcked;
  // Counted backend by backend, too: a newer broker may have outcomes that no list of the result
  // has.
  bool asked = report.result.sent_count() > 0;
  bool acked = report.result.all_live_backends_acked();
  for (const BackendOutcome& backend : report.backends) {
    if (backend.outcome == OutcomeKind::kSkippedDead) continue;
    asked = true;
    if (backend.outcome != OutcomeKind::kAck) acked = false;
  }
  if (!asked) return allow_empty ? kAllAcked : kNobody;
  return acked ? kAllAcked : kNotAllAcked;
}

}  // namespace muster::ctl
