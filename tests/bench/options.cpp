#include "bench/options.h"

#include <iostream>

#include <CLI/CLI.hpp>

namespace muster::bench {
namespace {

constexpr char kFooter[] =
    "A round: the operator asks, the server asks all peers, every peer acks. The floor does the\n"
    "same exchange with a bare epoll loop; the two take turns, and ratios are taken within a "
    "turn.\n"
    "Times are by the server's own clock, from the operator's request to the last answer; the\n"
    "column 'with result' is what the operator waits until the whole result is in its hands.\n"
    "Exit status: 0 measured, 1 a round or a server failed, 2 usage.";

std::filesystem::path musterd_beside_this_program() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path() / "musterd";
}

}  // namespace

ParsedOptions parse_options(int argc, const char* const* argv) {
  ParsedOptions parsed;
  Options& options = parsed.options;
  options.musterd = musterd_beside_this_program();
  bool floor_only = false;
  bool quick = false;

  CLI::App app("Measures musterd against a bare epoll loop that does the same exchange.");
  app.name("muster-bench");
  app.footer(kFooter);
  auto* counts = app.add_option("-n,--n", options.counts, "peers in one process (10,100,1000)")
                     ->delimiter(',')
                     ->check(CLI::Range(1, 100'000));
  auto* process_counts =
      app.add_option("--processes", options.process_counts,
                     "peers that are a process each (100,1000); 0: leave these out")
          ->delimiter(',')
          ->check(CLI::Range(0, 10'000));
  auto* repetitions =
      app.add_option("--repetitions", options.repetitions, "servers started anew so often (3)")
          ->check(CLI::Range(1, 100));
  auto* turns = app.add_option("--turns", options.turns, "turns in each repetition (5)")
                    ->check(CLI::Range(1, 1'000));
  auto* turn_ms = app.add_option("--turn-ms", options.turn_ms, "about how long a turn is (150)")
                      ->check(CLI::Range(1, 60'000));
  app.add_option("--musterd", options.musterd, "the program (beside this one)")->type_name("FILE");
  app.add_option("--musterd-arg", options.musterd_arguments, "an argument for it; repeatable")
      ->allow_extra_args(false)
      ->take_all();
  app.add_flag("--floor-only", floor_only, "measures the floor alone");
  app.add_option("--json", options.json, "writes all figures to FILE")->type_name("FILE");
  app.add_flag("--quick", quick, "a few seconds: shows that it works, not how fast");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    parsed.exit = true;
    return parsed;
  } catch (const CLI::ParseError& error) {
    std::cerr << "muster-bench: " << error.what() << " (see --help)\n";
    parsed.exit = true;
    parsed.status = 2;
    return parsed;
  }
  if (quick) {
    if (counts->empty()) options.counts = {10, 100};
    if (process_counts->empty()) options.process_counts = {20};
    if (repetitions->empty()) options.repetitions = 1;
    if (turns->empty()) options.turns = 2;
    if (turn_ms->empty()) options.turn_ms = 20;
  }
  std::erase(options.process_counts, 0U);
  if (floor_only) options.musterd.clear();
  return parsed;
}

}  // namespace muster::bench
