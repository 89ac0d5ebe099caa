#include "musterctl/program.h"

#include <algorithm>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "muster/control.h"
#include "muster/path.h"

#include "musterctl/console.h"

namespace muster::ctl {

// --- program

namespace {

constexpr char kEpilogue[] =
    "Exit status:\n"
    "  0  every backend that is not dead acked; other commands: done\n"
    "  1  not every backend acked: the output says which did not, and why;\n"
    "     resume: not every backend takes work again; explain-policy: the answer is no\n"
    "  2  the command line is wrong, or its PATH cannot be resolved: nothing was asked\n"
    "  3  the broker, or that of a user session, cannot be reached, or the connection ended\n"
    "  4  the broker answered with an error: denied, not found, busy, interrupted\n"
    "  5  there was no backend to ask (--allow-empty makes it 0); resume: none was quiesced\n"
    "  6  holders, --verify: somebody has the files in use, or not everything could be seen;\n"
    "     with-released: or the hold did not last as long as the command\n"
    "  126, 127 with-released: the command cannot be run; else the command's own\n"
    "  70 an error inside musterctl\n"
    "  74 the output or a warning could not be written, or its reader has gone\n"
    "  128+N ended by signal N. The broadcast goes on\n"
    "\n"
    "Environment:\n"
    "  MUSTER_SOCKET_DIR        where the broker's sockets are; else /run/muster if it exists,\n"
    "                           else $XDG_RUNTIME_DIR/muster\n"
    "  TRACEPARENT, TRACESTATE  a W3C trace context, passed to the backends\n"
    "  NO_COLOR                 no colour\n"
    "\n"
    "Examples:\n"
    "  musterctl with-released /var/cache/x -- rm -r /var/cache/x\n"
    "  musterctl holders /mnt/backup\n"
    "  musterctl quiesce --timeout 30s\n"
    "  musterctl backends\n"
    "\n"
    "`musterctl COMMAND --help` has more of each.\n";

void declare_common(Options& options, CommonOptions& common) {
  options.value("--socket-dir", "DIR", "Where the broker's sockets are",
                [&common](const std::string& text) {
                  if (text.empty()) return std::string("it is empty: name a directory");
                  common.socket_dir = text;
                  return std::string();
                });
  options.flag("--json", "Print one JSON object, errors too", common.json);
}

struct Parsed {
  Command* command = nullptr;  // else there is nothing left to do
  int status = kAllAcked;
};

class CommandLine {
 public:
  CommandLine(CommonOptions& common, Console& console)
      : commands_(all_commands()), common_(common), console_(console) {
    set_help_style(app_);
    app_.require_subcommand(1);
    app_.set_version_flag("--version", std::string("musterctl ") + MUSTER_VERSION);
    Options options(app_);
    declare_common(options, common_);
    options.epilogue(kEpilogue);
    for (const auto& command : commands_) {
      CLI::App* sub = app_.add_subcommand(command->name(), command->summary());
      sub->group("Commands");
      Options its(*sub);
      command->declare(its);
      declare_common(its, common_);
    }
  }

  Parsed parse(std::vector<std::string> arguments) {
    std::vector<std::string> command = cut_off_command(arguments);
    try {
      app_.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    } catch (const CLI::CallForHelp&) {
      console_.out(app_.help());
      return {};
    } catch (const CLI::CallForVersion& version) {
      console_.out(std::string(version.what()) + '\n');
      return {};
    } catch (const CLI::ParseError& error) {
      throw UsageError(explain(error));
    }
    Command* const found = chosen();
    if (found != nullptr && found->takes_command()) found->set_command(command);
    return {found, kAllAcked};
  }

 private:
  // What stands behind "--" is another program's, where the command takes one.
  std::vector<std::string> cut_off_command(std::vector<std::string>& arguments) const {
    const auto end = std::find(arguments.begin(), arguments.end(), "--");
    const bool takes_one = std::any_of(commands_.begin(), commands_.end(), [&](const auto& one) {
      return one->takes_command() && std::find(arguments.begin(), end, one->name()) != end;
    });
    if (end == arguments.end() || !takes_one) return {};
    std::vector<std::string> command(end + 1, arguments.end());
    arguments.erase(end, arguments.end());
    return command;
  }

  [[nodiscard]] Command* chosen() const {
    const auto subs = app_.get_subcommands();
    if (subs.empty()) return nullptr;
    const auto at = std::find_if(commands_.begin(), commands_.end(), [&](const auto& command) {
      return command->name() == subs[0]->get_name();
    });
    return at == commands_.end() ? nullptr : at->get();
  }

  [[nodiscard]] std::string explain(const CLI::ParseError& error) const {
    const Command* command = chosen();
    // Of musterctl itself: what stands after the command is the command's.
    const auto before = app_.remaining();
    if (command != nullptr && !before.empty() && before.front().starts_with('-')) {
      const std::string option = before.front().substr(0, before.front().find('='));
      return app_.get_subcommand(command->name())->get_option_no_throw(option) != nullptr
                 ? "the option " + option + " stands after the command: musterctl " +
                       command->name() + ' ' + option
                 : "there is no option " + quote(option) + " (see musterctl --help)";
    }
    if (command != nullptr) {
      return command->name() + ": " + escape_bytes(error.what()) + " (see musterctl " +
             command->name() + " --help)";
    }
    std::string names;
    for (const auto& known : commands_) names += (names.empty() ? "" : ", ") + known->name();
    const auto rest = app_.remaining();
    if (rest.empty()) {
      return error.get_name() == "RequiredError"
                 ? "name a command: " + names
                 : std::string(escape_bytes(error.what())) + " (see musterctl --help)";
    }
    if (rest.front().starts_with('-')) {
      return "there is no option " + quote(rest.front()) + " (see musterctl --help)";
    }
    return "there is no command " + quote(rest.front()) + "; the commands are " + names;
  }

  CLI::App app_{
      "Ask every daemon of this host to release files or to drain, and print the outcome of each.",
      "musterctl"};
  std::vector<std::unique_ptr<Command>> commands_;
  CommonOptions& common_;
  Console& console_;
};

int parse_and_run(const std::vector<std::string>& arguments, CommonOptions& common,
                  Console& console, const std::function<int()>& interrupted) {
  CommandLine line(common, console);
  const Parsed parsed = line.parse(arguments);
  const int status = parsed.command == nullptr
                         ? parsed.status
                         : parsed.command->run(Invocation{common, console, interrupted});
  // A warning that nobody can read. What went wrong, the status says, too; that of a command that
  // was run is its own.
  const bool is_of_a_command = parsed.command != nullptr && parsed.command->takes_command();
  return console.err_failed() && !(is_of_a_command && status != kAllAcked) ? kOutputLost : status;
}

}  // namespace

std::vector<std::unique_ptr<Command>> all_commands() {
  std::vector<std::unique_ptr<Command>> commands = operation_commands();
  commands.push_back(with_released_command());
  commands.push_back(with_quiesced_command());
  commands.push_back(hold_command());
  commands.push_back(umount_command());
  commands.push_back(holders_command());
  commands.push_back(backends_command());
  commands.push_back(status_command());
  commands.push_back(result_command());
  commands.push_back(retry_command());
  commands.push_back(history_command());
  commands.push_back(cancel_command());
  commands.push_back(resume_command());
  commands.push_back(forget_command());
  commands.push_back(watch_command());
  commands.push_back(explain_policy_command());
  commands.push_back(ping_command());
  return commands;
}

int run(const std::vector<std::string>& arguments, Console& console,
        const std::function<int()>& interrupted) {
  // Looked for by hand: a command line that cannot be read is an error that a script reads, too.
  const auto end = std::find(arguments.begin(), arguments.end(), "--");
  CommonOptions common;
  common.json = std::find(arguments.begin(), end, "--json") != end;
  int status = kInternal;
  try {
    status = parse_and_run(arguments, common, console, interrupted);
  } catch (const UsageError& error) {
    report_error(console, common.json, "USAGE", error.what());
    status = kUsage;
  } catch (const ControlFailure& failure) {
    status = report_failure(console, common.json, failure);
  } catch (const std::exception& error) {
    report_error(console, common.json, "INTERNAL", error.what());
  }
  if (console.out_failed()) {
    report_error(console, false, "OUTPUT", "its output could not be written and is not complete");
    return kOutputLost;
  }
  return status;
}

// --- the client

ControlClient make_client(const Invocation& to, bool prints, std::chrono::milliseconds patience) {
  ControlClient client(to.common.socket_dir, patience);
  if (prints) {
    client.while_waiting([&console = to.console] { return !console.out_reader_gone(); });
  }
  return client;
}

}  // namespace muster::ctl
