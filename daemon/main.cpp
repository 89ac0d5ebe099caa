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

namespace musterd = muster::daemon;

namespace {

// A descriptor that is closed would be given to the next socket, and log lines with it.
void open_standard_descriptors() {
  int fd = -1;
  do {
    fd = ::open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) ::close(fd);
}

int check_config(const musterd::Loaded& loaded) {
  const std::string file(loaded.file ? loaded.file->native()
                                     : std::string(musterd::kDefaultConfigFile));
  std::printf("%s: %s\n", file.c_str(), loaded.file ? "ok" : "not there, the defaults hold: ok");
  return std::fflush(stdout) == 0 ? musterd::kExitClean : musterd::kExitCannotRun;
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of write(), as a full disk

  const auto parsed = musterd::parse_command_line(std::vector<std::string>(argv + 1, argv + argc));
  std::fputs(parsed.out.c_str(), stdout);
  std::fputs(parsed.err.c_str(), stderr);
  if (!parsed.line) return parsed.status;

  const musterd::Environment environment = musterd::read_environment();
  const musterd::Loaded loaded =
      musterd::load_settings(*parsed.line, environment, std::string(musterd::kDefaultConfigFile));
  for (const std::string& problem : loaded.problems) {
    std::fprintf(stderr, "%s\n", problem.c_str());
  }
  if (!loaded.problems.empty()) return musterd::kExitUsage;
  if (parsed.line->check_config) return check_config(loaded);

  musterd::Log log(STDERR_FILENO, loaded.settings.log);
  try {
    return musterd::run_daemon(loaded, *parsed.line, environment, log);
  } catch (const std::exception& error) {
    log.error("musterd cannot go on", {{"why", std::string_view(error.what())}});
    return musterd::kExitCannotRun;
  }
}
