// muster-bench: musterd against the least that could do the same.
#include <csignal>
#include <exception>
#include <fstream>
#include <iostream>

#include "bench/options.h"
#include "bench/run.h"
#include "bench/table.h"
#include "os/descriptor_limit.h"

namespace muster::bench {
namespace {

CaseOptions case_options(const Options& options, Mode mode, std::size_t count) {
  CaseOptions one;
  one.mode = mode;
  one.count = count;
  one.repetitions = options.repetitions;
  one.turns = options.turns;
  // Processes of their own make a round take about four times as long.
  const double turn_ms = mode == Mode::kOneProcess ? options.turn_ms : options.turn_ms / 4;
  one.rounds = rounds_for(count, turn_ms);
  return one;
}

int run(const Options& options) {
  const auto limit = static_cast<std::size_t>(os::raise_descriptor_limit().now);
  const bool with_musterd = !options.musterd.empty();
  StartMusterd start;
  if (with_musterd) {
    start = [&](const std::filesystem::path& directory) {
      return start_musterd(options.musterd, options.musterd_arguments, directory);
    };
  }

  std::vector<Case> cases;
  print_head(std::cout, with_musterd);
  const auto measure = [&](Mode mode, std::size_t count) {
    Case one;
    one.options = case_options(options, mode, count);
    one.skipped = why_impossible(count, limit);
    if (one.skipped.empty()) one = run_case(one.options, start);
    print_line(std::cout, one, with_musterd);
    cases.push_back(std::move(one));
  };
  for (const std::size_t count : options.counts) measure(Mode::kOneProcess, count);
  for (const std::size_t count : options.process_counts) measure(Mode::kProcessEach, count);

  if (options.json.empty()) return 0;
  std::ofstream file(options.json);
  file << to_json(cases, with_musterd) << std::flush;
  if (file) return 0;
  std::cerr << "muster-bench: cannot write " << options.json.native() << '\n';
  return 1;
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    const muster::bench::ParsedOptions parsed = muster::bench::parse_options(argc, argv);
    if (parsed.exit) return parsed.status;
    return muster::bench::run(parsed.options);
  } catch (const std::exception& error) {
    std::cerr << "muster-bench: " << error.what() << '\n';
    return 1;
  }
}
