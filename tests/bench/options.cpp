#include "bench/options.h"

#include <iostream>
#include <sstream>
#include <stdexcept>

#include <CLI/CLI.hpp>

namespace muster::bench {
namespace {

constexpr char kFooter[] =
    "A round: the operator asks, the server asks all clients, every client answers. The floor "
    "does\n"
    "the same exchange with a bare epoll loop; all servers take turns, and ratios are taken "
    "within\n"
    "a turn. Times are by the server's own clock, from the operator's request to the last answer;\n"
    "the column 'with result' is what the operator waits until the whole result is in its hands.\n"
    "Exit status: 0 measured, 1 a round or a server failed, 2 usage, 3 an aim was missed "
    "(--check).";

std::filesystem::path musterd_beside_this_program() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path() / "musterd";
}

}  // namespace

NamedMusterd parse_named(const std::string& text) {
  const std::size_t equals = text.find('=');
  NamedMusterd named;
  named.name = text.substr(0, equals);
  if (equals == std::string::npos || named.name.empty()) {
    throw std::invalid_argument("--subject '" + text +
                                "' is not NAME=WORDS, like 'uring=--transport io_uring'");
  }
  std::istringstream words(text.substr(equals + 1));
  for (std::string word; words >> word;) named.words.push_back(word);
  return named;
}

ParsedOptions parse_options(int argc, const char* const* argv) {
  ParsedOptions parsed;
  Options& options = parsed.options;
  options.musterd = musterd_beside_this_program();
  bool rows_only = false;
  bool scenarios_only = false;
  bool quick = false;
  std::vector<std::string> named;

  CLI::App app("Measures musterd against a bare epoll loop that does the same exchange.");
  app.name("muster-bench");
  app.footer(kFooter);
  const auto list = [&](const char* names, std::vector<std::size_t>& to, const char* text) {
    return app.add_option(names, to, text)->delimiter(',')->check(CLI::Range(0, 100'000));
  };
  auto* counts = list("-n,--n", options.counts,
                      "clients in one process (10,100,1000,5000,10000); 0: leave these out");
  auto* process_counts = list("--processes", options.process_counts,
                              "clients that are a process each (100,1000); 0: leave these out");
  auto* repetitions =
      app.add_option("--repetitions", options.repetitions, "servers started anew so often (3)")
          ->check(CLI::Range(1, 100));
  auto* turns = app.add_option("--turns", options.turns, "turns in each repetition (5)")
                    ->check(CLI::Range(1, 1'000));
  auto* turn_ms = app.add_option("--turn-ms", options.turn_ms, "about how long a turn is (120)")
                      ->check(CLI::Range(1, 60'000));
  app.add_option("--musterd", options.musterd, "the program (beside this one)")->type_name("FILE");
  app.add_option("--musterd-arg", options.musterd_arguments, "an argument for it; repeatable")
      ->allow_extra_args(false)
      ->take_all();
  app.add_option("--transport", options.transports,
                 "musterd once with each of these (all that there are)")
      ->delimiter(',')
      ->type_name("NAME,..");
  app.add_option("--subject", named,
                 "a musterd beside or instead of these: [PROGRAM] [ARGUMENT..]; repeatable")
      ->allow_extra_args(false)
      ->take_all()
      ->type_name("NAME=WORDS");
  app.add_flag("--peers", options.with_peers,
               "beside it what one could use instead: nng, ZeroMQ, dbus-broker");
  app.add_flag("--bare-uring", options.with_bare_uring,
               "beside it a bare io_uring loop, as the floor is one of epoll");
  app.add_flag("--floor-only", options.floor_only, "measures the floor alone");
  auto* only_rows = app.add_flag("--rows-only", rows_only, "rounds, and no scenarios");
  app.add_flag("--scenarios-only", scenarios_only, "no rounds")->excludes(only_rows);
  app.add_flag("--check", options.check,
               "compares with what it should be; 3 when an aim is missed");
  app.add_option("--json", options.json, "writes all figures to FILE")->type_name("FILE");
  app.add_flag("--quick", quick, "a few seconds: shows that it works, not how fast");
  try {
    app.parse(argc, argv);
    for (const std::string& each : named) options.named.push_back(parse_named(each));
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    parsed.exit = true;
    return parsed;
  } catch (const std::exception& error) {
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
    options.idle_seconds = 1;
  }
  std::erase(options.counts, 0U);
  std::erase(options.process_counts, 0U);
  options.with_rows = !scenarios_only;
  options.with_scenarios = !rows_only && !options.floor_only;
  return parsed;
}

}  // namespace muster::bench
