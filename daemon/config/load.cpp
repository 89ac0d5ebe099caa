#include "config/load.h"

#include <array>
#include <cstdlib>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>

#include "config/keys.h"

namespace muster::daemon {
namespace {

std::string variable(const char* name) {
  const char* value = ::secure_getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// An option whose value is a word of a configuration key.
struct WordOption {
  const char* option;
  std::optional<std::string> CommandLine::*value;
  std::string_view section;
  std::string_view name;
};
constexpr std::array<WordOption, 3> kWordOptions{{
    {"--log-level", &CommandLine::log_level, "log", "level"},
    {"--log-format", &CommandLine::log_format, "log", "format"},
    {"--transport", &CommandLine::transport, "broker", "transport"},
}};

std::filesystem::path from_here(const std::filesystem::path& path) {
  std::error_code failed;
  auto result = std::filesystem::absolute(path, failed);
  return failed ? path : result;
}

}  // namespace

Environment read_environment() {
  return {variable("MUSTER_SOCKET_DIR"), variable("STATE_DIRECTORY"), variable("XDG_STATE_HOME"),
          variable("HOME")};
}

Loaded load_settings(const CommandLine& line, const Environment& environment,
                     const std::filesystem::path& default_file) {
  Loaded loaded;
  std::error_code unused;
  if (line.config) {
    loaded.file = *line.config;
  } else if (std::filesystem::exists(default_file, unused)) {
    loaded.file = default_file;
  }
  if (loaded.file) {
    for (const ConfigError& error : load_config(*loaded.file, loaded.settings)) {
      loaded.problems.push_back(to_string(error, *loaded.file));
    }
  }

  if (!environment.socket_dir.empty()) loaded.settings.sockets.dir = environment.socket_dir;
  if (const auto& several = environment.state_directory; !several.empty()) {
    loaded.settings.state_dir = several.substr(0, several.find(':'));
  }

  if (line.socket_dir) loaded.settings.sockets.dir = from_here(*line.socket_dir);
  if (line.state_dir) loaded.settings.state_dir = from_here(*line.state_dir);
  for (const WordOption& option : kWordOptions) {
    const auto& value = line.*option.value;
    if (!value) continue;
    const std::string problem =
        find_config_key(option.section, option.name)->set(loaded.settings, *value);
    if (!problem.empty()) {
      loaded.problems.push_back(fmt::format("musterd: {} {}", option.option, problem));
    }
  }
  return loaded;
}

std::filesystem::path find_state_dir(const Settings& settings, const Environment& environment,
                                     bool is_root) {
  if (!settings.state_dir.empty()) return settings.state_dir;
  if (!settings.sockets.dir.empty()) return settings.sockets.dir;
  if (is_root) return "/var/lib/muster";
  if (environment.xdg_state_home.starts_with('/')) {
    return std::filesystem::path(environment.xdg_state_home) / "muster";
  }
  if (environment.home.starts_with('/')) {
    return std::filesystem::path(environment.home) / ".local/state/muster";
  }
  return {};
}

}  // namespace muster::daemon
