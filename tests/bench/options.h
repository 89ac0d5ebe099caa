// The command line of muster-bench.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace muster::bench {

// A musterd that was named: NAME=WORDS.
struct NamedMusterd {
  std::string name;
  std::vector<std::string> words;  // a program if the first does not begin with '-', and arguments
};

struct Options {
  std::vector<std::size_t> counts{10, 100, 1'000, 5'000, 10'000};  // one process holds all clients
  std::vector<std::size_t> process_counts{100, 1'000};             // each client is a process
  std::size_t repetitions = 3;
  std::size_t turns = 5;
  double turn_ms = 120;  // how long a turn of the floor takes, about

  bool floor_only = false;
  std::filesystem::path musterd;
  std::vector<std::string> musterd_arguments;  // of each musterd
  std::vector<std::string> transports;         // none: all that musterd and the kernel have
  std::vector<NamedMusterd> named;             // beside or instead of the transports
  bool with_peers = false;
  bool with_bare_uring = false;

  bool with_rows = true;
  bool with_scenarios = true;
  std::size_t idle_seconds = 5;
  bool check = false;
  std::filesystem::path json;  // empty: none is written
};

struct ParsedOptions {
  Options options;
  bool exit = false;  // --help was asked for, or the command line is wrong: told already
  int status = 0;
};

[[nodiscard]] ParsedOptions parse_options(int argc, const char* const* argv);

// "NAME=WORD WORD": throws std::invalid_argument with a sentence.
[[nodiscard]] NamedMusterd parse_named(const std::string& text);

}  // namespace muster::bench
