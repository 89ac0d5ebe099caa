// Runs a command as a shell does in the foreground, while its parent has something else to do, too.
//
// The child is in the process group of musterctl, so it has the terminal: what is typed there
// (Ctrl-C, Ctrl-\, Ctrl-Z) reaches it without musterctl. Musterctl itself outlives those signals
// and passes on the ones that were sent to it alone. Belongs to the main thread.
#pragma once

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "os/unique_fd.h"

namespace muster::ctl {

// What becomes of a signal that musterctl gets while a command runs.
enum class SignalRelay {
  kNone,  // the whole foreground got it, so the command has it already; or it is about the command
  kPassOn,
};
// `code`: siginfo's si_code.
[[nodiscard]] SignalRelay relay_of(int signal, int code) noexcept;

// The exit status that says how a process ended, by waitpid(2)'s status.
[[nodiscard]] int exit_status_of_child(int wait_status) noexcept;

// From its making until its end the signals that end a program wait in a descriptor. Those that
// came before interrupted() has.
class ForegroundSignals {
 public:
  ForegroundSignals();
  ~ForegroundSignals();
  ForegroundSignals(const ForegroundSignals&) = delete;
  ForegroundSignals& operator=(const ForegroundSignals&) = delete;

  struct Arrived {
    int signal = 0;
    int code = 0;
  };
  // Nothing when none came until then.
  std::optional<Arrived> next(std::chrono::milliseconds wait);
  // As it was before: for the command.
  [[nodiscard]] const sigset_t& mask_before() const noexcept { return before_; }

 private:
  sigset_t before_{};
  os::UniqueFd fd_;
};

class ForegroundChild {
 public:
  // `environment`: added to musterctl's own. Where it cannot be run, status() is 126 or 127 at
  // once, and problem() is a sentence.
  ForegroundChild(ForegroundSignals& signals, const std::vector<std::string>& command,
                  const std::vector<std::pair<std::string, std::string>>& environment);

  // Waits for a signal, at most so long, and does what it asks for. The exit status when the
  // command has ended.
  std::optional<int> wait(std::chrono::milliseconds at_most);
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  void reap();

  ForegroundSignals& signals_;
  pid_t pid_ = -1;
  std::optional<int> status_;
  std::string problem_;
};

}  // namespace muster::ctl
