#include "service/daemon.h"

#include <chrono>
#include <csignal>
#include <exception>
#include <memory>
#include <unistd.h>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <fmt/format.h>

#include "muster/path.h"

#include "broker/broker_server.h"
#include "config/effective_policy.h"
#include "config/exit_status.h"
#include "control/control_plane.h"
#include "os/descriptor_limit.h"
#include "runtime/worker.h"
#include "service/audience.h"
#include "service/door.h"
#include "service/memory_trim.h"
#include "service/notify.h"
#include "service/sockets.h"
#include "state/broadcast_ids.h"

namespace muster::daemon {
namespace {

std::uint64_t unix_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

// Kept beside one for each operator: for what the broker opens for a moment (the id file, files of
// /proc), a connection of a backend that waits for its process to be looked up, and the spare one.
constexpr std::uint64_t kOwnDescriptors = 16;

broker::ServerOptions server_options(const Settings& settings, BroadcastIds& ids,
                                     core::AccessPolicyPtr policy, std::uint64_t started) {
  broker::ServerOptions options;
  options.core = settings.broker;
  options.core.policy = std::move(policy);
  options.core.broker_version = MUSTER_VERSION;
  options.core.started_unix_ms = started;
  options.core.first_id_ever = ids.first_ever();
  options.core.next_id_at_start = ids.next_at_start();
  options.max_queued_bytes = settings.send_queue;
  options.transport = settings.transport;
  options.descriptor_reserve = settings.control.connections + kOwnDescriptors;
  options.next_broadcast_id = [&ids] { return ids.next(); };
  return options;
}

void warn_of_closed_doors(const core::AccessPolicy& policy, const ServerSockets& sockets,
                          Log& log) {
  for (const auto& [list, lane] : {std::pair(&sockets.backend, core::Lane::kBackend),
                                   std::pair(&sockets.control, core::Lane::kControl)}) {
    for (const os::UniqueFd& socket : *list) {
      const auto door = door_of(socket.get(), lane);
      if (!door) continue;
      for (const std::string& problem : door_problems(policy, *door)) log.warning(problem);
    }
  }
}

class Daemon {
 public:
  // Reads the configuration again. Null: it is not good, and nothing of it is taken.
  using Reload = std::function<core::AccessPolicyPtr()>;

  Daemon(asio::io_context& loop, const Settings& settings, ServerSockets& sockets,
         BroadcastIds& ids, Log& log, Reload reload)
      : loop_(loop),
        log_(log),
        ids_(ids),
        reload_(std::move(reload)),
        started_(unix_ms()),
        policy_(effective_policy(settings.policy, ::geteuid())),
        control_(loop.get_executor(), settings.control,
                 ControlFacts{MUSTER_VERSION, sockets.dir, started_, policy_}, log),
        memory_(loop.get_executor()),
        audience_(log, control_, memory_),
        server_(loop, server_options(settings, ids, policy_, started_), audience_),
        service_(loop.get_executor()),
        signals_(loop) {
    warn_of_closed_doors(*policy_, sockets, log);
    control_.serve(server_);
    for (auto& socket : sockets.backend) server_.listen(std::move(socket));
    for (auto& socket : sockets.control) control_.listen(std::move(socket));
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) signals_.add(signal);
    await_signal();
    server_.measure_descriptors();
    const std::string where = escape_bytes(sockets.dir);
    log.info("listening", {{"version", MUSTER_VERSION},
                           {"pid", static_cast<std::int64_t>(::getpid())},
                           {"sockets", sockets.dir},
                           {"passed", std::string_view(sockets.passed ? "yes" : "no")},
                           {"transport", server_.transport_name()}});
    if (const auto why = server_.transport_fell_back(); !why.empty()) {
      log.info("io_uring unavailable, using epoll", {{"why", why}});
    }
    service_.ready(status_ = fmt::format("Listening in {}", where));
    service_.start_watchdog();
  }

 private:
  void await_signal() {
    signals_.async_wait([this](std::error_code error, int signal) {
      if (error) return;
      await_signal();
      if (signal != SIGHUP) return stop(signal == SIGTERM ? "SIGTERM" : "SIGINT");
      if (stopping_) return;
      service_.reloading();
      if (auto policy = reload_()) take(std::move(policy));
      service_.ready(status_);
    });
  }

  void take(core::AccessPolicyPtr policy) {
    policy_ = std::move(policy);
    server_.set_policy(policy_);
    control_.set_policy(policy_);
  }

  void stop(std::string_view signal) {
    if (std::exchange(stopping_, true)) {
      log_.warning("told to stop again: what is still open is cancelled", {{"signal", signal}});
      server_.shut_down({});
      return;
    }
    log_.info("told to stop", {{"signal", signal}});
    server_.shut_down([this] { drained(); });
    service_.stopping("Waiting for the backends to quiesce",
                      [this] { return server_.core().latest_deadline(); });
  }

  // Every outcome is in. Operators who wait for one get it before their connections end: their
  // answers were posted before this.
  void drained() {
    asio::post(loop_, [this] {
      memory_.stop();
      control_.shut_down();
      signals_.cancel();
      service_.done();
      ids_.stop();
    });
  }

  asio::io_context& loop_;
  Log& log_;
  BroadcastIds& ids_;
  Reload reload_;
  std::uint64_t started_;
  core::AccessPolicyPtr policy_;
  ControlPlane control_;
  MemoryTrim memory_;
  Audience audience_;
  broker::BrokerServer server_;
  ServiceManager service_;
  asio::signal_set signals_;
  std::string status_;  // what the service manager shows
  bool stopping_ = false;
};

// SIGHUP: what can change while running is the log level and the policy.
core::AccessPolicyPtr reload(const CommandLine& line, const Environment& environment, Log& log) {
  const Loaded fresh = load_settings(line, environment, std::string(kDefaultConfigFile));
  for (const std::string& problem : fresh.problems) log.error(problem);
  if (!fresh.problems.empty()) {
    log.error("the configuration is not taken: all stays as it was");
    return nullptr;
  }
  log.set_level(fresh.settings.log.level);
  log.info(
      "the configuration was read again: log level and policy are taken now, all else at the next "
      "start",
      {{"file", fresh.file ? std::string_view(fresh.file->native()) : "none"},
       {"level", to_string(log.level())}});
  return effective_policy(fresh.settings.policy, ::geteuid());
}

// What a handler throws ends that handler alone: out of memory for one operator's list, say.
void run(asio::io_context& loop, Log& log) {
  for (;;) {
    try {
      loop.run();
      return;
    } catch (const std::exception& error) {
      log.error("an internal error; going on", {{"what", std::string_view(error.what())}});
    }
  }
}

}  // namespace

int run_daemon(const Loaded& loaded, const CommandLine& line, const Environment& environment,
               Log& log) {
  const Settings& settings = loaded.settings;
  (void)os::raise_descriptor_limit();
  ServerSockets sockets = open_sockets(settings.sockets);
  if (!sockets.problem.empty()) {
    log.error(sockets.problem);
    return kExitCannotRun;
  }
  asio::io_context loop(1);
  Worker worker(loop.get_executor());  // of files
  auto opened =
      BroadcastIds::open(loop.get_executor(), worker,
                         find_state_dir(settings, environment, ::geteuid() == 0), log, unix_ms);
  if (!opened.problem.empty()) {
    log.error(opened.problem);
    return kExitCannotRun;
  }
  {
    const Daemon daemon(loop, settings, sockets, *opened.ids, log,
                        [&] { return reload(line, environment, log); });
    run(loop, log);
  }
  opened.ids->close();
  if (!worker.close())
    log.warning("a write to the state directory does not end: it is left behind");
  log.info("stopped");
  return kExitClean;
}

}  // namespace muster::daemon
