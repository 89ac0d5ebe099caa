// The [[policy...]] rules of the configuration file. Includes toml++: for config_file.cpp alone.
#pragma once

#include <filesystem>
#include <vector>

#include "config/config_file.h"
#include "config/toml.h"
#include "core/access_policy.h"

namespace muster::daemon {

// Appends what `section` (a table of arrays of tables) says, in its order. `file` is where the
// rules say that they stand.
[[nodiscard]] std::vector<ConfigError> read_policy(const toml::table& section,
                                                   const std::filesystem::path& file,
                                                   core::AccessPolicy& policy);

}  // namespace muster::daemon
