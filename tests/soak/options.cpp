#include "soak/options.h"

#include <random>
#include <sstream>

#include <CLI/CLI.hpp>

namespace muster::soak {
namespace {

constexpr char kFooter[] =
    "Every broadcast's result is compared with the model's; the first that differs is shown, and\n"
    "the seed with it. Exit status: 0 all is well, 1 something is wrong, 2 usage.";

}  // namespace

ParsedOptions parse_options(int argc, const char* const* argv) {
  ParsedOptions parsed;
  Options& options = parsed.options;
  options.seed = std::random_device{}();
  std::error_code ignored;
  options.musterd =
      std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path() / "musterd";
  double minutes = 1;
  std::string transport;

  CLI::App app("Random joins, deaths, broadcasts and misbehaviour against a real musterd.");
  app.name("muster-soak");
  app.footer(kFooter);
  app.add_option("minutes", minutes, "how long (1)")->check(CLI::Range(0.01, 100'000.0));
  app.add_option("--seed", options.seed, "of the random script; a new one by default");
  app.add_option("--musterd", options.musterd, "the program; beside this one by default")
      ->check(CLI::ExistingFile);
  app.add_option("--transport", transport, "musterd's: epoll, io_uring; else its default");
  app.add_option("--growth", options.growth_percent,
                 "per cent of memory that musterd may have gained at the end (10)")
      ->check(CLI::Range(0.0, 10'000.0));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    parsed.exit = true;
    parsed.status = app.exit(error) == 0 ? 0 : 2;
    return parsed;
  }
  if (!transport.empty()) options.musterd_arguments = {"--transport", transport};
  options.time = std::chrono::duration<double>(minutes * 60);
  return parsed;
}

}  // namespace muster::soak
