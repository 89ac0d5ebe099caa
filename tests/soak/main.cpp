// muster-soak: a real musterd under a random load whose every result is known.
#include <csignal>
#include <exception>
#include <iostream>

#include "soak/options.h"
#include "soak/soak.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const auto parsed = muster::soak::parse_options(argc, argv);
  if (parsed.exit) return parsed.status;
  const auto& options = parsed.options;
  std::cout << "seed " << options.seed << std::endl;
  try {
    muster::soak::Soak(options).run();
  } catch (const std::exception& error) {
    std::cout << "muster-soak: seed " << options.seed << ": " << error.what() << std::endl;
    return 1;
  }
  std::cout << "all good" << std::endl;
  return 0;
}
