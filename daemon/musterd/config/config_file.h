// musterd's configuration file: TOML to Settings, with every mistake told at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "musterd/config/settings.h"

namespace muster::daemon {

// Of the system's broker.
inline constexpr std::string_view kSystemConfigFile = "/etc/muster/musterd.toml";

struct ConfigError {
  std::uint32_t line = 0;  // from 1; 0 when it is about the file as a whole
  std::uint32_t column = 0;
  std::string text;  // a sentence: what is wrong, what would be right
};

// "FILE:LINE:COLUMN: sentence"
[[nodiscard]] std::string to_string(const ConfigError& error, const std::filesystem::path& file);

// Puts what `text` says into `settings`. Returns what is wrong with it, in the order of the text;
// with errors, `settings` is not good for anything. `file` is where rules say that they stand.
[[nodiscard]] std::vector<ConfigError> parse_config(
    std::string_view text, Settings& settings,
    const std::filesystem::path& file = kSystemConfigFile);

// What stands in a file. Does not wait, whatever the file is; of devices it takes /dev/null alone,
// as an empty file.
struct ConfigText {
  std::string text;      // valid when problem is empty
  std::string problem;   // a sentence's end
  bool missing = false;  // the problem: there is no such file
};
[[nodiscard]] ConfigText read_config(const std::filesystem::path& file);

// The same of a file.
[[nodiscard]] std::vector<ConfigError> load_config(const std::filesystem::path& file,
                                                   Settings& settings);

}  // namespace muster::daemon
