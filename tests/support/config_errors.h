// What is wrong with a configuration, one error a line.
#pragma once

#include <string>
#include <string_view>

#include "musterd/config/config_file.h"

namespace muster::test {

inline std::string errors_in(std::string_view text) {
  daemon::Settings settings;
  std::string all;
  for (const daemon::ConfigError& error : daemon::parse_config(text, settings)) {
    all += daemon::to_string(error, "m.toml") + '\n';
  }
  return all;
}

}  // namespace muster::test
