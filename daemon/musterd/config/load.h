// From command line, environment and file to Settings, in that order of precedence.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "musterd/config/command_line.h"
#include "musterd/config/config_file.h"
#include "musterd/config/settings.h"
#include "musterd/state/policy_record.h"

namespace muster::daemon {

// The variables that musterd reads, empty where they are not set.
struct Environment {
  std::string socket_dir;       // MUSTER_SOCKET_DIR
  std::string state_directory;  // STATE_DIRECTORY: one or more, separated by colons
  std::string xdg_state_home;   // XDG_STATE_HOME
  std::string home;             // HOME
  std::string xdg_config_home;  // XDG_CONFIG_HOME
  std::string xdg_runtime_dir;  // XDG_RUNTIME_DIR
  bool sockets_passed = false;  // LISTEN_FDS, for this process
};
[[nodiscard]] Environment read_environment();

// The configuration file where the command line names none: /etc/muster/musterd.toml for root and
// for a service of the system, else the user's own. Empty where there is no place for that.
[[nodiscard]] std::filesystem::path find_config_file(const Environment& environment, bool is_root);

struct Loaded {
  Settings settings;                          // good when there are no problems
  std::optional<std::filesystem::path> file;  // what was read
  std::string text;                           // what stands in it
  std::vector<std::string> problems;          // each ready to be printed
};

// Reads the file that the command line names, else `default_file`. A default file that does not
// exist, or an empty name, means the defaults. Blocks for as long as `names` does.
[[nodiscard]] Loaded load_settings(const CommandLine& line, const Environment& environment,
                                   const std::filesystem::path& default_file,
                                   const NameLookup& names = {});
// The same text once more, for the names that could not be looked up.
[[nodiscard]] Loaded look_up_again(const Loaded& before, const CommandLine& line,
                                   const Environment& environment);

// Rules of a file.
[[nodiscard]] RuleCounts rules_of(const core::AccessPolicy& policy);
// A reload never takes all rules of a kind away unless the file says so: a sentence when it would.
[[nodiscard]] std::string policy_removal_problem(const RuleCounts& before, const Loaded& fresh);
// "3 register rules, now 2; 1 control rules; 0 connect rules"
[[nodiscard]] std::string policy_change(const core::AccessPolicy& before,
                                        const core::AccessPolicy& after);

// Where the state goes. `settings.sockets.dir` is only not empty when somebody said so. Empty when
// nothing says where.
[[nodiscard]] std::filesystem::path find_state_dir(const Settings& settings,
                                                   const Environment& environment, bool is_root);

}  // namespace muster::daemon
