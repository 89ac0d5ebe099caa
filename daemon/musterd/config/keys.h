// The keys of the configuration file: what each takes and where it goes. Knows no TOML.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <variant>
#include <vector>

#include "musterd/config/settings.h"

namespace muster::daemon {

// A value that no key takes: an array, a table, a date.
struct OtherValue {
  std::string_view kind;  // "an array", ...
};
using ConfigValue = std::variant<std::string, std::int64_t, double, bool, OtherValue>;

struct ConfigKey {
  std::string_view section;
  std::string_view name;
  // Puts the value into the settings. Empty when it went well; else the sentence about what is
  // wrong and what would be right, which follows "[section] name".
  std::function<std::string(Settings&, const ConfigValue&)> set;
};

// In the order of the documentation, section by section.
[[nodiscard]] std::span<const ConfigKey> config_keys();
// Null when there is none.
[[nodiscard]] const ConfigKey* find_config_key(std::string_view section, std::string_view name);

// A user's name or number. Empty when it went well, else a sentence as ConfigKey::set() gives. No
// uid for a name that cannot be looked up now, which is added to settings.unresolved.
[[nodiscard]] std::string parse_user(Settings& settings, const ConfigValue& value,
                                     std::optional<uid_t>& uid);

// What the key `name` of [quota] put into `from` becomes that of one user.
void set_own_quota(std::string_view name, const core::Quota& from, core::QuotaOverride& own);

// Two keys of a section that do not fit together: a sentence that follows "[section] name".
struct Contradiction {
  std::string_view section;
  std::string_view name;
  std::string_view other;
  std::string text;
};
[[nodiscard]] std::vector<Contradiction> contradictions(const Settings& settings);

}  // namespace muster::daemon
