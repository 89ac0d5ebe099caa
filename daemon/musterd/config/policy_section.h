// The [[policy...]] rules of the configuration file. Includes toml++: for config_file.cpp alone.
#pragma once

#include <filesystem>
#include <vector>

#include "musterd/config/config_file.h"
#include "musterd/config/settings.h"
#include "musterd/config/toml.h"

namespace muster::daemon {

// Appends what `section` (a table of arrays of tables) says to settings.policy, in its order.
// `file` is where the rules say that they stand.
//
// A name that cannot be looked up now is added to settings.unresolved. Its rule only denies until
// it can: one that allows does not allow that name; one that denies could mean anybody, so it
// denies everybody (but root and the broker's own user, see effective_policy()).
[[nodiscard]] std::vector<ConfigError> read_policy(const toml::table& section,
                                                   const std::filesystem::path& file,
                                                   Settings& settings);

}  // namespace muster::daemon
