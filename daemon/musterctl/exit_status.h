// What musterctl's exit status says. Pure.
#pragma once

#include <optional>
#include <vector>

#include "muster/holds.h"
#include "muster/report.h"

namespace muster::ctl {

// Scripts depend on it: numbers are never given a new meaning.
enum ExitStatus : int {
  kAllAcked = 0,     // or: the command did what it was asked
  kNotAllAcked = 1,  // a live backend did not ack (or has not yet)
  kUsage = 2,
  kUnreachable = 3,  // no broker, or its connection ended
  kRefused = 4,      // the broker said no
  kNobody = 5,       // there was nobody to ask
  kStillHeld = 6,    // somebody has the files in use, or it could not be seen whether
  kInternal = 70,    // a bug of musterctl itself (EX_SOFTWARE)
  kOutputLost = 74,  // its output could not be written (EX_IOERR)
  kSignalled = 128,  // plus the signal's number
};

// Of its outcomes alone, whatever the kernel says.
[[nodiscard]] int status_of_outcomes(const BroadcastReport& report, bool allow_empty);

// Whether the kernel was asked and says that nobody has a file in use. One that was cut short, or
// that an older broker does not know of, shows nothing.
[[nodiscard]] bool is_clear(const BroadcastReport& report);

// Of a preflight: 0 when everybody would.
[[nodiscard]] int status_of_preflight(const BroadcastReport& report, bool allow_empty);

// The status of a broadcast with this report. Never 0 of a preflight: nothing was released.
// `verify`: it was asked for, also if the broker is too old to know of it.
[[nodiscard]] int exit_status_of(const BroadcastReport& report, bool allow_empty,
                                 bool verify = false);

// The least that the status of a broadcast can be, by what is in of its report: 0 while it may
// still end with 0.
[[nodiscard]] int least_exit_status_of(const BroadcastReport& report, bool allow_empty);

[[nodiscard]] bool is_violated(const HoldState& state);
// exit_status_of() of an answer that has just come: a hold that was asked for goes on.
[[nodiscard]] int status_of_answer(const BroadcastReport& report, bool allow_empty, bool verify);
// Of a hold that its operator ended or that ended by itself: 6 when it was violated, or when the
// kernel was asked and its last answer is not "clear"; else 0.
[[nodiscard]] int status_of_hold(const HoldState& state);

// One exit status for several brokers: the highest, but one that had nobody to ask adds nothing.
[[nodiscard]] int worst_status(const std::vector<int>& statuses);

}  // namespace muster::ctl
