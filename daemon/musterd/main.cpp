// musterd: composition only. What it is made of: service/daemon.h.
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include "musterd/config/accounts.h"
#include "musterd/config/command_line.h"
#include "musterd/config/load.h"
#include "musterd/log/log.h"
#include "musterd/service/daemon.h"
#include "musterd/state/policy_record.h"
#include "os/process_setup.h"

namespace musterd = muster::daemon;

namespace {

// Before the working directory is left.
void make_absolute(std::filesystem::path& path) {
  std::error_code error;  // the working directory is gone: the path fails where it is used
  if (path.empty() || path.is_absolute()) return;
  auto absolute = std::filesystem::absolute(path, error);
  if (!error) path = std::move(absolute);
}

// `check_reload`: and is one that the broker takes that runs with that state directory.
int check_config(const musterd::Loaded& loaded, const musterd::Environment& environment,
                 const std::filesystem::path& default_file, bool check_reload) {
  if (check_reload) {
    const auto running = musterd::policy_of_running_broker(
        musterd::find_state_dir(loaded.settings, environment, ::geteuid() == 0));
    const std::string problem = running.problem.empty()
                                    ? musterd::policy_removal_problem(running.record.rules, loaded)
                                    : running.problem;
    if (!problem.empty()) {
      std::fprintf(stderr, "%s\n", problem.c_str());
      return musterd::kExitUsage;
    }
  }
  if (loaded.file) {
    std::printf("%s: ok\n", loaded.file->c_str());
  } else if (!default_file.empty()) {
    std::printf("%s: does not exist, using the defaults: ok\n", default_file.c_str());
  } else {
    std::puts(
        "no configuration file: neither XDG_CONFIG_HOME nor HOME is set; using the defaults: ok");
  }
  return std::fflush(stdout) == 0 ? musterd::kExitClean : musterd::kExitCannotRun;
}

}  // namespace

int main(int argc, char** argv) {
  muster::os::take_over_process(muster::os::ProgramKind::kDaemon);

  auto parsed = musterd::parse_command_line(std::vector<std::string>(argv + 1, argv + argc));
  std::fputs(parsed.out.c_str(), stdout);
  std::fputs(parsed.err.c_str(), stderr);
  if (!parsed.line) return std::fflush(stdout) == 0 ? parsed.status : musterd::kExitCannotRun;
  if (parsed.line->config) make_absolute(*parsed.line->config);

  const musterd::Environment environment = musterd::read_environment();
  const auto default_file = musterd::find_config_file(environment, ::geteuid() == 0);
  musterd::NameService names(std::chrono::seconds(1));
  musterd::Loaded loaded =
      musterd::load_settings(*parsed.line, environment, default_file, names.bounded());
  for (const std::string& problem : loaded.problems) {
    std::fprintf(stderr, "%s\n", problem.c_str());
  }
  if (!loaded.problems.empty()) return musterd::kExitUsage;
  if (parsed.line->check_config || parsed.line->check_reload) {
    return check_config(loaded, environment, default_file, parsed.line->check_reload);
  }

  make_absolute(loaded.settings.sockets.dir);
  make_absolute(loaded.settings.state_dir);
  muster::os::leave_working_directory();
  musterd::Log log(STDERR_FILENO, loaded.settings.log);
  try {
    return musterd::run_daemon(loaded, *parsed.line, environment, log);
  } catch (const std::exception& error) {
    log.error("musterd failed, exiting", {{"why", std::string_view(error.what())}});
    return musterd::kExitCannotRun;
  }
}
