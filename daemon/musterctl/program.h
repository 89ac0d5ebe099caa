// musterctl, but for main(): what a command is, how one runs, and what the exit status says.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "muster/control.h"
#include "muster/report.h"

#include "musterctl/console.h"
#include "musterctl/options.h"

namespace muster::ctl {

// What musterctl's exit status says. Scripts depend on it: numbers are never given a new meaning.
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

// The status of a broadcast with this report.
[[nodiscard]] inline int exit_status_of(const BroadcastReport& report, bool allow_empty) {
  if (report.state == BroadcastState::kRunning) return kNotAllAcked;
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

// The least that the status of a broadcast can be, by what is in of its report: 0 while it may
// still end with 0.
[[nodiscard]] inline int least_exit_status_of(const BroadcastReport& report, bool allow_empty) {
  if (report.state != BroadcastState::kRunning) return exit_status_of(report, allow_empty);
  if (report.backends_unknown) return kNotAllAcked;
  for (const BackendOutcome& backend : report.backends) {
    const bool may_ack = backend.outcome == OutcomeKind::kOpen ||
                         backend.outcome == OutcomeKind::kAck ||
                         backend.outcome == OutcomeKind::kSkippedDead;
    if (!may_ack) return kNotAllAcked;
  }
  return kAllAcked;
}

// What every command of musterctl is: a name, what it takes, what it does; and the client that it
// asks its broker with.

// --- command

// What every command of musterctl is: a name, what it takes, what it does.

// Options that stand before or after a command's name.
struct CommonOptions {
  std::filesystem::path socket_dir;
  bool json = false;  // errors, too
};

struct Invocation {
  const CommonOptions& common;
  Console& console;
  // The signal that asked musterctl to end, else 0.
  std::function<int()> interrupted;
};

class Command {
 public:
  virtual ~Command() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual std::string summary() const = 0;
  virtual void declare(Options& options) = 0;
  // Returns the exit status. Throws UsageError and ControlFailure.
  virtual int run(const Invocation& invocation) = 0;
};

// In the order in which --help lists them.
[[nodiscard]] std::vector<std::unique_ptr<Command>> all_commands();

// One for each operation, in the order of their table.
[[nodiscard]] std::vector<std::unique_ptr<Command>> operation_commands();
[[nodiscard]] std::unique_ptr<Command> holders_command();
[[nodiscard]] std::unique_ptr<Command> backends_command();
[[nodiscard]] std::unique_ptr<Command> status_command();
[[nodiscard]] std::unique_ptr<Command> result_command();
[[nodiscard]] std::unique_ptr<Command> cancel_command();
[[nodiscard]] std::unique_ptr<Command> resume_command();
[[nodiscard]] std::unique_ptr<Command> forget_command();
[[nodiscard]] std::unique_ptr<Command> watch_command();
[[nodiscard]] std::unique_ptr<Command> explain_policy_command();
[[nodiscard]] std::unique_ptr<Command> ping_command();

// --- the client

// The client that a command asks its broker with.

// Connects to the broker of `to`. With `prints`, calls that wait end with ControlFailure kStopped
// when nobody can read standard output any more: there is nobody to wait for.
// REQUIRES: `to` outlives the client.
[[nodiscard]] ControlClient make_client(
    const Invocation& to, bool prints,
    std::chrono::milliseconds patience = ControlClient::kPatience);

// musterctl, but for main(): reads the command line, runs one command, says what went wrong.

// `arguments` without the program's name. `interrupted`: the signal that asked to end, else 0;
// asked again and again while a command waits. Returns the exit status; throws nothing.
[[nodiscard]] int run(const std::vector<std::string>& arguments, Console& console,
                      const std::function<int()>& interrupted);

}  // namespace muster::ctl
