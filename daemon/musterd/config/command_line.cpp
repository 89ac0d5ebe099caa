// The only file that includes CLI11.
#include "musterd/config/command_line.h"

#include <algorithm>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "musterd/config/config_file.h"

namespace muster::daemon {
namespace {

constexpr const char* kFooter =
    R"(Options override the environment, which overrides the configuration file.

Environment:
  MUSTER_SOCKET_DIR   the socket directory
  STATE_DIRECTORY     the state directory (as systemd sets it)
  NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS   the service manager's (sd-daemon(3)); sockets that it
                      passes are named "backend" and "control"

Signals:
  SIGTERM, SIGINT     quiesce every backend, wait for the answers, exit; a second one stops waiting
  SIGHUP              read the configuration again: log level and policy change, all else at the
                      next start

Exit status:
  0   stopped as asked (or the configuration is good)
  1   cannot start: a socket or directory cannot be made, or another broker is there
  2   wrong usage or configuration
  3   sockets that the service manager passed were deleted or shut down
  4   stopped as asked, but the disk did not answer: the state directory is not up to date)";

}  // namespace

ParsedCommandLine parse_command_line(std::vector<std::string> arguments) {
  CommandLine line;
  CLI::App app(
      "musterd: the lifecycle broker of this host. Backends join it over a Unix socket;\n"
      "musterctl asks it to have all of them release a path, or drain.");
  app.name("musterd");
  app.set_version_flag("--version", std::string("musterd ") + MUSTER_VERSION);
  app.set_help_flag("-h,--help", "Print this and exit");
  app.footer(kFooter);
  app.option_defaults()->group("Options");

  app.add_option("--socket-dir", line.socket_dir,
                 "Directory of backend.sock and control.sock (default: /run/muster for root, "
                 "else $XDG_RUNTIME_DIR/muster)")
      ->type_name("DIR");
  app.add_option("--config", line.config,
                 fmt::format("Configuration file (default, if it exists: {} for root and as a "
                             "service of the system, else $XDG_CONFIG_HOME/muster/musterd.toml "
                             "or ~/.config/muster/musterd.toml); /dev/null: none",
                             kSystemConfigFile))
      ->type_name("FILE");
  app.add_flag("--check-config", line.check_config, "Check the configuration, and exit");
  app.add_flag(
      "--check-reload", line.check_reload,
      "Say whether the broker that runs would take it at a reload, and exit: fails as well "
      "where it would take away all rules of the policy");
  app.add_option("--state-dir", line.state_dir,
                 "Directory of broadcast ids, roster and operation keys (default: the socket "
                 "directory if one is "
                 "given, else /var/lib/muster for root, else $XDG_STATE_HOME/muster)")
      ->type_name("DIR");
  app.add_option("--log-level", line.log_level, "error, warning, info (default) or debug")
      ->type_name("LEVEL");
  app.add_option("--log-format", line.log_format, "text (default) or json")->type_name("FORMAT");
  app.add_option("--transport", line.transport,
                 "How sockets are served: epoll, io_uring, or auto (default), which is io_uring "
                 "where the kernel has and allows it")
      ->type_name("NAME");

  ParsedCommandLine parsed;
  try {
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants a vector
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    parsed.out = app.help();
    return parsed;
  } catch (const CLI::CallForVersion& version) {
    parsed.out = std::string(version.what()) + '\n';
    return parsed;
  } catch (const CLI::ParseError& error) {
    parsed.status = kExitUsage;
    parsed.err = fmt::format("musterd: {}\nTry 'musterd --help'.\n", error.what());
    return parsed;
  }
  for (const auto& [name, path] :
       {std::pair("--config", &line.config), std::pair("--socket-dir", &line.socket_dir),
        std::pair("--state-dir", &line.state_dir)}) {
    if (*path && (*path)->empty()) {
      parsed.status = kExitUsage;
      parsed.err = fmt::format("musterd: {} is empty: name a path\n", name);
      return parsed;
    }
  }
  parsed.line = std::move(line);
  return parsed;
}

}  // namespace muster::daemon
