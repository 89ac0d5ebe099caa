// The command line of muster-soak.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace muster::soak {

struct Options {
  std::filesystem::path musterd;
  std::vector<std::string> musterd_arguments;
  std::chrono::duration<double> time{60};
  std::uint64_t seed = 0;
  // How much more memory musterd may hold at the end than after it was warm.
  double growth_percent = 10;
};

struct ParsedOptions {
  Options options;
  bool exit = false;  // with this status
  int status = 0;
};
[[nodiscard]] ParsedOptions parse_options(int argc, const char* const* argv);

}  // namespace muster::soak
