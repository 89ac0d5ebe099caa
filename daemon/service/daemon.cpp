#include "service/daemon.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
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
#include "service/roster_keeper.h"
#include "service/sockets.h"
#include "state/broadcast_ids.h"
#include "state/operation_keys.h"
#include "state/roster.h"

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

broker::ServerOptions server_options(const Settings& settings, BroadcastIds& ids, KeyStore& keys,
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
  options.key_used = [&keys](const core::UsedKey& used) {
    keys.note_started({used.uid, used.key, used.broadcast, used.request, used.used_unix_ms});
  };
  options.last_id_is_durable = [&ids] { return ids.last_is_durable(); };
  return options;
}

std::vector<Door> doors_of(const ServerSockets& sockets) {
  std::vector<Door> doors;
  for (const auto& [list, lane] : {std::pair(&sockets.backend, core::Lane::kBackend),
                                   std::pair(&sockets.control, core::Lane::kControl)}) {
    for (const os::UniqueFd& socket : *list) {
      if (auto door = door_of(socket.get(), lane)) doors.push_back(std::move(*door));
    }
  }
  return doors;
}

// A name that cannot be looked up is tried again after this.
constexpr std::chrono::seconds kLookUpAgainAfter{2};
// Whoever connects by name must get here, or hear of it, within 2 s.
constexpr std::chrono::seconds kLookAtPlaceEvery{1};

class Daemon {
 public:
  // Reading the configuration again, and looking up names of it again: both may block.
  struct Reading {
    std::function<Loaded()> again;
    std::function<Loaded(const Loaded& before)> names;
  };

  Daemon(asio::io_context& loop, const Loaded& loaded, ServerSockets& sockets, BroadcastIds& ids,
         RosterStore& roster, KeyStore& keys, Worker& files, Worker& configuration, Log& log,
         Reading reading)
      : loop_(loop),
        log_(log),
        ids_(ids),
        sockets_(sockets),
        configuration_(configuration),
        reading_(std::move(reading)),
        loaded_(std::make_shared<const Loaded>(loaded)),
        started_(unix_ms()),
        policy_(effective_policy(loaded.settings.policy, ::geteuid())),
        control_(loop.get_executor(), loaded.settings.control,
                 ControlFacts{MUSTER_VERSION, sockets.dir, started_, policy_,
                              [this](std::vector<std::string>& all) { add_problems(all); }},
                 log),
        memory_(loop.get_executor(),
                [&files](std::function<void()> work) { (void)files.run(std::move(work)); }),
        roster_store_(roster),
        keys_(keys),
        roster_(loop.get_executor(), roster),
        audience_(log, control_, memory_, &roster_),
        server_(loop, server_options(loaded.settings, ids, keys, policy_, started_), audience_),
        service_(loop.get_executor()),
        signals_(loop),
        names_timer_(loop),
        place_timer_(loop) {
    warn_of_closed_doors();
    control_.serve(server_);
    roster_.begin(server_);
    restore_keys();
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
    service_.start_watchdog([this] { return misplaced_.empty(); });
    tell_unresolved();
    watch_place();
  }

 private:
  void await_signal() {
    signals_.async_wait([this](std::error_code error, int signal) {
      if (error) return;
      await_signal();
      if (signal != SIGHUP) return stop(signal == SIGTERM ? "SIGTERM" : "SIGINT");
      if (stopping_) return;
      service_.reloading();
      read_again();
    });
  }

  void read_again() {
    const auto fresh = std::make_shared<Loaded>();
    const bool taken = configuration_.run([fresh, again = reading_.again] { *fresh = again(); },
                                          [this, fresh](bool finished) {
                                            if (finished) take_fresh(*fresh);
                                            service_.ready(status_);
                                          });
    if (taken) return;
    log_.error("the configuration cannot be read again now: what was asked before is not over");
    service_.ready(status_);
  }

  // What can change while running is the log level and the policy.
  void take_fresh(const Loaded& fresh) {
    std::vector<std::string> problems = fresh.problems;
    if (auto removal = policy_removal_problem(*loaded_, fresh);
        problems.empty() && !removal.empty())
      problems.push_back(std::move(removal));
    for (const std::string& problem : problems) log_.error(problem);
    if (!problems.empty()) {
      log_.error("the configuration is not taken: all stays as it was");
      return;
    }
    const std::string change = policy_change(loaded_->settings.policy, fresh.settings.policy);
    loaded_ = std::make_shared<const Loaded>(fresh);
    log_.set_level(fresh.settings.log.level);
    log_.info(
        "the configuration was read again: log level and policy are taken now, all else at the "
        "next start",
        {{"file", fresh.file ? std::string_view(fresh.file->native()) : "none"},
         {"level", to_string(log_.level())},
         {"policy", change}});
    take(effective_policy(fresh.settings.policy, ::geteuid()));
    tell_unresolved();
  }

  void restore_keys() {
    std::vector<core::UsedKey> used;
    for (KeyEntry& entry : keys_.load()) {
      used.push_back({entry.uid, std::move(entry.key), entry.id, std::move(entry.request),
                      entry.started_unix_ms});
    }
    server_.core().restore_keys(std::move(used), server_.now());
  }

  // A word for each name that cannot be looked up, and another try.
  void tell_unresolved() {
    for (const UnresolvedName& name : loaded_->settings.unresolved) {
      log_.warning(name.in_policy
                       ? "a name cannot be looked up now: its rule only denies until it can"
                       : "a name cannot be looked up now: what it is about does not hold "
                         "until a restart",
                   {{"name", name.name}, {"where", name.where}, {"why", name.why}});
    }
    look_up_later();
  }

  void look_up_later() {
    const auto& names = loaded_->settings.unresolved;
    const auto in_policy = [](const UnresolvedName& name) { return name.in_policy; };
    if (stopping_ || std::none_of(names.begin(), names.end(), in_policy)) return;
    names_timer_.expires_after(kLookUpAgainAfter);
    names_timer_.async_wait([this](std::error_code error) {
      if (!error && !stopping_) look_up_again();
    });
  }

  void look_up_again() {
    const auto fresh = std::make_shared<Loaded>();
    const auto before = loaded_;
    const bool taken = configuration_.run(
        [fresh, before, names = reading_.names] { *fresh = names(*before); },
        [this, fresh, before](bool finished) {
          if (before != loaded_ || stopping_) return;  // a newer one has a try of its own
          if (!finished || fresh->settings.unresolved == before->settings.unresolved) {
            return look_up_later();
          }
          names_found(std::move(*fresh));
        });
    if (!taken) look_up_later();
  }

  void names_found(Loaded fresh) {
    for (const std::string& problem : fresh.problems) log_.error(problem);
    if (!fresh.problems.empty()) {
      log_.error("a rule of the policy names nobody: it only denies until the file is corrected");
      return;
    }
    loaded_ = std::make_shared<const Loaded>(std::move(fresh));
    take(effective_policy(loaded_->settings.policy, ::geteuid()));
    log_.info("names of the policy are looked up now",
              {{"still_unknown", loaded_->settings.unresolved.size()}});
    look_up_later();
  }

  // Whether modes and owners of the sockets fit the policy: takes the name service.
  void warn_of_closed_doors() {
    const auto problems = std::make_shared<std::vector<std::string>>();
    (void)configuration_.run(
        [problems, policy = policy_, doors = doors_of(sockets_)] {
          for (const Door& door : doors) {
            for (std::string& problem : door_problems(*policy, door)) {
              problems->push_back(std::move(problem));
            }
          }
        },
        [this, problems](bool) {
          for (const std::string& problem : *problems) log_.warning(problem);
        });
  }

  void add_problems(std::vector<std::string>& all) const {
    if (!ids_.problem().empty()) all.push_back(ids_.problem());
    if (auto problem = roster_store_.problem(); !problem.empty()) all.push_back(std::move(problem));
    if (auto problem = keys_.problem(); !problem.empty()) all.push_back(std::move(problem));
    for (const UnresolvedName& name : loaded_->settings.unresolved) {
      all.push_back(fmt::format(
          "{} of {} cannot be looked up: {}: {}", name.name, name.where, name.why,
          name.in_policy ? "its rule only denies until it can" : "restart the broker when it can"));
    }
    if (!misplaced_.empty()) {
      all.push_back(fmt::format("nobody can connect by {}: {}", misplaced_, not_put_back_));
    }
  }

  void watch_place() {
    place_timer_.expires_after(kLookAtPlaceEvery);
    place_timer_.async_wait([this](std::error_code error) {
      if (error || stopping_) return;
      look_at_place();
      watch_place();
    });
  }

  void look_at_place() {
    misplaced_ = misplaced(sockets_);
    if (misplaced_.empty()) return;
    not_put_back_ = put_back(sockets_, loaded_->settings.sockets);
    if (!not_put_back_.empty()) {
      // Backends go on with the broker that is there now, or with the next one.
      log_.error("the broker's sockets are gone and cannot be made again: ending",
                 {{"gone", misplaced_}, {"why", not_put_back_}});
      ids_.close();
      std::_Exit(kExitCannotRun);
    }
    for (auto& socket : sockets_.backend) {
      if (socket) server_.listen(std::move(socket));
    }
    for (auto& socket : sockets_.control) {
      if (socket) control_.listen(std::move(socket));
    }
    sockets_.backend.clear();
    sockets_.control.clear();
    log_.warning("the broker's sockets were gone and are made again", {{"gone", misplaced_}});
    misplaced_.clear();
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
    names_timer_.cancel();
    place_timer_.cancel();
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
      roster_.end();
      roster_store_.close();
      keys_.close();
    });
  }

  asio::io_context& loop_;
  Log& log_;
  BroadcastIds& ids_;
  ServerSockets& sockets_;
  Worker& configuration_;
  Reading reading_;
  std::shared_ptr<const Loaded> loaded_;  // what is in force
  std::uint64_t started_;
  core::AccessPolicyPtr policy_;
  ControlPlane control_;
  MemoryTrim memory_;
  RosterStore& roster_store_;
  KeyStore& keys_;
  RosterKeeper roster_;
  Audience audience_;
  broker::BrokerServer server_;
  ServiceManager service_;
  asio::signal_set signals_;
  asio::steady_timer names_timer_;
  asio::steady_timer place_timer_;
  std::string misplaced_;     // where nobody who connects gets here; empty: all is well
  std::string not_put_back_;  // why
  std::string status_;        // what the service manager shows
  bool stopping_ = false;
};

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
  const auto state_dir = find_state_dir(settings, environment, ::geteuid() == 0);
  auto opened = BroadcastIds::open(loop.get_executor(), worker, state_dir, log, unix_ms);
  if (!opened.problem.empty()) {
    log.error(opened.problem);
    return kExitCannotRun;
  }
  {
    // Not the worker of files: the name service may keep it.
    Worker configuration(loop.get_executor());
    const NameLookup names = settings.names;
    Daemon::Reading reading{[line, environment, names] {
                              return load_settings(line, environment,
                                                   std::string(kDefaultConfigFile), names);
                            },
                            [line, environment](const Loaded& before) {
                              return look_up_again(before, line, environment);
                            }};
    // In the directory of the ids, whose lock is held.
    RosterStore roster(loop.get_executor(), worker, state_dir, log);
    KeyStore keys(loop.get_executor(), worker, state_dir, log, unix_ms());
    const Daemon daemon(loop, loaded, sockets, *opened.ids, roster, keys, worker, configuration,
                        log, std::move(reading));
    run(loop, log);
    configuration.close(std::chrono::milliseconds(100));
  }
  opened.ids->close();
  if (!worker.close())
    log.warning("a write to the state directory does not end: it is left behind");
  log.info("stopped");
  return kExitClean;
}

}  // namespace muster::daemon
