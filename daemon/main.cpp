// musterd: composition only. What it is made of: service/daemon.h.
#include <csignal>
#include <cstdio>
#include <exception>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <vector>

#include "config/command_line.h"
#include "config/exit_status.h"
#include "config/load.h"
#include "log/log.h"
#include "service/daemon.h"

namespace {

// A descriptor that is closed would be given to the next socket, and log lines with it.
void open_standard_descriptors() {
  int fd = -1;
  do {
    fd = ::open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) ::close(fd);
}

int check_config(const muster::daemon::Loaded& loaded) {
  const std::string file(loaded.file ? loaded.file->native()
                                     : std::string(muster::daemon::kDefaultConfigFile));
  std::printf("%s: %s\n", file.c_str(), loaded.file ? "ok" : "not there, the defaults hold: ok");
  return std::fflush(stdout) == 0 ? muster::daemon::kExitClean : muster::daemon::kExitCannotRun;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace muster::daemon;
  open_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of write(), as a full disk

  const auto parsed = parse_command_line(std::vector<std::string>(argv + 1, argv + argc));
  std::fputs(parsed.out.c_str(), stdout);
  std::fputs(parsed.err.c_str(), stderr);
  if (!parsed.line) return parsed.status;

  const Environment environment = read_environment();
  const Loaded loaded = load_settings(*parsed.line, environment, std::string(kDefaultConfigFile));
  for (const std::string& problem : loaded.problems) {
    std::fprintf(stderr, "%s\n", problem.c_str());
  }
  if (!loaded.problems.empty()) return kExitUsage;
  if (parsed.line->check_config) return check_config(loaded);

  Log log(STDERR_FILENO, loaded.settings.log);
  try {
    return run_daemon(loaded, *parsed.line, environment, log);
  } catch (const std::exception& error) {
    log.error("musterd cannot go on", {{"why", std::string_view(error.what())}});
    return kExitCannotRun;
  }
}
