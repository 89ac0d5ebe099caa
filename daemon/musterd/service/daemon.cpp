#include "musterd/service/daemon.h"

#include <chrono>
#include <unistd.h>
#include <utility>

#include <asio/io_context.hpp>

#include "broker/clock.h"
#include "musterd/config/command_line.h"
#include "musterd/history/history.h"
#include "musterd/runtime/run_loop.h"
#include "musterd/runtime/worker.h"
#include "musterd/service/left_backends.h"
#include "musterd/service/live_settings.h"
#include "musterd/service/running_daemon.h"
#include "musterd/service/sockets.h"
#include "musterd/state/broadcast_ids.h"
#include "musterd/state/holds.h"
#include "musterd/state/operation_keys.h"
#include "musterd/state/roster.h"
#include "os/process_setup.h"

namespace muster::daemon {
namespace {

constexpr std::chrono::seconds kDiskIsSlow{1};  // of kLastWrites: from then on it is said

}  // namespace

int run_daemon(const Loaded& loaded, const CommandLine& line, const Environment& environment,
               Log& log) {
  const Settings& settings = loaded.settings;
  (void)os::raise_descriptor_limit();
  ServerSockets sockets = claim_sockets(settings.sockets);
  if (!sockets.problem.empty()) {
    log.error(sockets.problem);
    return kExitCannotRun;
  }
  if (!sockets.warning.empty()) log.warning(sockets.warning);
  asio::io_context loop(1);
  Worker worker(loop.get_executor());  // of files
  const auto state_dir = find_state_dir(settings, environment, ::geteuid() == 0);
  auto opened = BroadcastIds::open(loop.get_executor(), worker, state_dir, log,
                                   [] { return broker::Clock().now().unix_ms; });
  if (!opened.problem.empty()) {
    log.error(opened.problem);
    return kExitCannotRun;
  }
  // After the state is known to be nobody else's: nobody is let in by a broker that cannot run.
  if (auto problem = make_sockets(sockets, settings.sockets); !problem.empty()) {
    log.error(problem);
    return kExitCannotRun;
  }
  if (!sockets.dir.empty()) remove_left_backends(sockets.dir);
  History history(loop.get_executor(), settings.history, state_dir, opened.ids->next_at_start(),
                  log);
  {
    // Not the worker of files: the name service may keep it.
    Worker configuration(loop.get_executor());
    const NameLookup names = settings.names;
    LiveSettings::Reading reading{[line, environment, names] {
                                    return load_settings(
                                        line, environment,
                                        find_config_file(environment, ::geteuid() == 0), names);
                                  },
                                  [line, environment](const Loaded& before) {
                                    return look_up_again(before, line, environment);
                                  }};
    // In the directory of the ids, whose lock is held.
    RosterStore roster(loop.get_executor(), worker, state_dir, log, opened.ids->had_predecessor());
    KeyStore keys(loop.get_executor(), worker, state_dir, log, broker::Clock().now().unix_ms);
    HoldStore holds(loop.get_executor(), worker, state_dir, log);
    Daemon daemon(loop, loaded, sockets, *opened.ids, roster, keys, holds, history, worker,
                  configuration, log, std::move(reading), state_dir);
    if (!run_loop(loop, log, [&daemon] { daemon.handler_failed(); })) {
      daemon.end_at_once(kExitCannotRun);
    }
    configuration.close(std::chrono::milliseconds(100));
  }
  if (!worker.wait_until_idle(kDiskIsSlow)) {
    log.warning("stopping: waiting for the disk, 5 s at most", {{"directory", state_dir.native()}});
  }
  if (!opened.ids->close(kLastWrites - kDiskIsSlow)) {
    (void)worker.close(std::chrono::milliseconds::zero());
    (void)history.close(std::chrono::milliseconds::zero());
    log.error(
        "the disk did not answer for 5 s, exiting: the state directory is not up to date: look at "
        "its file system",
        {{"directory", state_dir.native()}});
    return kExitStateNotWritten;
  }
  (void)worker.close();
  if (!history.close(kLastHistory)) {
    log.warning("stopping: the history's disk does not answer: the last entries are missing there",
                {{"directory", state_dir.native()}});
  }
  log.info("stopped");
  return kExitClean;
}

}  // namespace muster::daemon
