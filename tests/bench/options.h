// The command line of muster-bench.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace muster::bench {

struct Options {
  std::vector<std::size_t> counts{10, 100, 1'000};      // one process holds all peers
  std::vector<std::size_t> process_counts{100, 1'000};  // each peer is a process
  std::size_t repetitions = 3;
  std::size_t turns = 5;
  double turn_ms = 150;           // how long a turn of the floor takes, about
  std::filesystem::path musterd;  // empty: the floor alone
  std::vector<std::string> musterd_arguments;
  std::filesystem::path json;  // empty: none is written
};

struct ParsedOptions {
  Options options;
  bool exit = false;  // --help was asked for, or the command line is wrong: told already
  int status = 0;
};

[[nodiscard]] ParsedOptions parse_options(int argc, const char* const* argv);

}  // namespace muster::bench
