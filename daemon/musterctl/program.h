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
#include "musterctl/exit_status.h"
#include "musterctl/options.h"

namespace muster::ctl {

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
  // Whether a command line of another program stands behind "--".
  [[nodiscard]] virtual bool takes_command() const { return false; }
  virtual void set_command(const std::vector<std::string>& /*command*/) {}
  // Returns the exit status. Throws UsageError and ControlFailure.
  virtual int run(const Invocation& invocation) = 0;
};

// In the order in which --help lists them.
[[nodiscard]] std::vector<std::unique_ptr<Command>> all_commands();

// One for each operation, in the order of their table.
[[nodiscard]] std::vector<std::unique_ptr<Command>> operation_commands();
[[nodiscard]] std::unique_ptr<Command> with_released_command();
[[nodiscard]] std::unique_ptr<Command> with_quiesced_command();
[[nodiscard]] std::unique_ptr<Command> hold_command();
[[nodiscard]] std::unique_ptr<Command> retry_command();
[[nodiscard]] std::unique_ptr<Command> umount_command();
[[nodiscard]] std::unique_ptr<Command> holders_command();
[[nodiscard]] std::unique_ptr<Command> backends_command();
[[nodiscard]] std::unique_ptr<Command> status_command();
[[nodiscard]] std::unique_ptr<Command> result_command();
[[nodiscard]] std::unique_ptr<Command> history_command();
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
