// musterd's command line and exit statuses.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace muster::daemon {

// musterd's exit statuses, as --help documents them.
inline constexpr int kExitClean = 0;
inline constexpr int kExitCannotRun = 1;  // a socket, a directory, a second broker
inline constexpr int kExitUsage = 2;      // the command line or the configuration
// The names of sockets that a service manager passed are gone, or the sockets were shut down: it is
// to make them again.
inline constexpr int kExitSocketsGone = 3;
inline constexpr int kExitStateNotWritten = 4;  // stopped as asked, but the disk did not answer

// musterd's command line. Pure but for what CLI11 does.

// As given; what is not there was not said.
struct CommandLine {
  std::optional<std::filesystem::path> config;
  std::optional<std::filesystem::path> socket_dir;
  std::optional<std::filesystem::path> state_dir;
  std::optional<std::string> log_level;
  std::optional<std::string> log_format;
  std::optional<std::string> transport;
  bool check_config = false;
  bool check_reload = false;
};

// What to do: run with `line`, or print and exit with `status`.
struct ParsedCommandLine {
  std::optional<CommandLine> line;
  int status = 0;
  std::string out;  // for stdout
  std::string err;  // for stderr
};

// `arguments` without the program's name.
[[nodiscard]] ParsedCommandLine parse_command_line(std::vector<std::string> arguments);

}  // namespace muster::daemon
