#include "musterd/config/load.h"

#include <array>
#include <cstdlib>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include "muster/path.h"

#include "musterd/config/keys.h"

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
  return {variable("MUSTER_SOCKET_DIR"), variable("STATE_DIRECTORY"),
          variable("XDG_STATE_HOME"),    variable("HOME"),
          variable("XDG_CONFIG_HOME"),   variable("XDG_RUNTIME_DIR"),
          ::sd_listen_fds(0) > 0};
}

std::filesystem::path find_config_file(const Environment& environment, bool is_root) {
  // A service has STATE_DIRECTORY also where it only checks its configuration. A service manager of
  // a session sets XDG_RUNTIME_DIR, too.
  const bool is_service = environment.sockets_passed || !environment.state_directory.empty();
  if (is_root || (is_service && environment.xdg_runtime_dir.empty())) return kSystemConfigFile;
  if (environment.xdg_config_home.starts_with('/')) {
    return std::filesystem::path(environment.xdg_config_home) / "muster/musterd.toml";
  }
  if (environment.home.starts_with('/')) {
    return std::filesystem::path(environment.home) / ".config/muster/musterd.toml";
  }
  return {};
}

namespace {

// Only "there is no such file" means that there is none, and only where nobody named it.
void read_file(const CommandLine& line, const std::filesystem::path& default_file, Loaded& loaded) {
  const std::filesystem::path file = line.config.value_or(default_file);
  if (file.empty()) return;
  ConfigText read = read_config(file);
  if (read.missing && !line.config) return;
  loaded.file = file;
  loaded.text = std::move(read.text);
  if (!read.problem.empty()) loaded.problems.push_back(to_string({0, 0, read.problem}, file));
}

Loaded finish_loading(Loaded loaded, const CommandLine& line, const Environment& environment) {
  if (loaded.file && loaded.problems.empty()) {
    for (const ConfigError& error : parse_config(loaded.text, loaded.settings, *loaded.file)) {
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

}  // namespace

Loaded load_settings(const CommandLine& line, const Environment& environment,
                     const std::filesystem::path& default_file, const NameLookup& names) {
  Loaded loaded;
  loaded.settings.names = names;
  read_file(line, default_file, loaded);
  return finish_loading(std::move(loaded), line, environment);
}

Loaded look_up_again(const Loaded& before, const CommandLine& line,
                     const Environment& environment) {
  Loaded again;
  again.settings.names = before.settings.names;
  again.file = before.file;
  again.text = before.text;
  return finish_loading(std::move(again), line, environment);
}

RuleCounts rules_of(const core::AccessPolicy& policy) {
  return {policy.registration.size(), policy.control.size(), policy.connect.size()};
}

std::string policy_removal_problem(const RuleCounts& before, const Loaded& fresh) {
  const RuleCounts after = rules_of(fresh.settings.policy);
  const NoRules& meant = fresh.settings.no_rules;
  std::string kinds;  // as text, and as none takes them
  std::string list;
  const auto look = [&](std::string_view kind, std::size_t was, std::size_t is, bool is_meant) {
    if (was == 0 || is != 0 || is_meant) return;
    kinds += fmt::format("{}[[policy.{}]] rules any more, and there were {}",
                         kinds.empty() ? "has no " : "; no ", kind, was);
    list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", kind);
  };
  look("register", before.registration, after.registration, meant.registration);
  look("control", before.control, after.control, meant.control);
  look("connect", before.connect, after.connect, meant.connect);
  if (kinds.empty()) return {};
  const std::string file =
      fresh.file ? escape_bytes(fresh.file->native()) : "the configuration file is gone";
  return fmt::format(
      "{}: {}: write them again, or say that it is meant with none = [{}] under [policy]", file,
      kinds, list);
}

std::string policy_change(const core::AccessPolicy& before, const core::AccessPolicy& after) {
  std::string text;
  const auto add = [&](std::string_view kind, std::size_t was, std::size_t is) {
    if (!text.empty()) text += "; ";
    text += was == is ? fmt::format("{} {} rules", is, kind)
                      : fmt::format("{} {} rules, now {}", was, kind, is);
  };
  add("register", before.registration.size(), after.registration.size());
  add("control", before.control.size(), after.control.size());
  add("connect", before.connect.size(), after.connect.size());
  return text;
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
