#include "musterd/service/running_daemon.h"

#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <set>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "muster/path.h"

#include "broker/clock.h"
#include "musterd/config/command_line.h"
#include "musterd/config/effective_policy.h"
#include "musterd/service/socket_permissions.h"
#include "musterd/state/policy_record.h"

namespace muster::daemon {
namespace {

// Beside one for each operator: files open for a moment, a backend being looked up, the spare one.
constexpr std::uint64_t kOwnDescriptors = 16;

// Whoever connects by name must get here, or hear of it, within 2 s.
constexpr std::chrono::seconds kLookEvery{1};

broker::ServerOptions server_options(const Settings& settings, BroadcastIds& ids,
                                     const RosterStore& roster, KeyStore& keys,
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
  options.hold_registered = true;  // until the roster has it
  options.key_used = [&keys](const core::UsedKey& used) {
    keys.begin(used.uid, used.key);
    keys.note_started({used.uid, used.key, used.broadcast, used.request, used.used_unix_ms});
  };
  options.knows_all_backends = [&roster] { return roster.knows_all(); };
  options.last_id_is_durable = [&ids, &keys] { return ids.last_is_durable() && !keys.at_risk(); };
  return options;
}

}  // namespace

Daemon::Daemon(asio::io_context& loop, const Loaded& loaded, ServerSockets& sockets,
               BroadcastIds& ids, RosterStore& roster, KeyStore& keys, HoldStore& holds,
               History& history, Worker& files, Worker& configuration, Log& log,
               LiveSettings::Reading reading, std::filesystem::path state_dir)
    : loop_(loop),
      log_(log),
      ids_(ids),
      sockets_(sockets),
      files_(files),
      state_dir_(std::move(state_dir)),
      configuration_(configuration),
      live_(loop.get_executor(), loaded, configuration, log, std::move(reading),
            [this](core::AccessPolicyPtr policy) { take(std::move(policy)); }),
      started_(broker::Clock().now().unix_ms),
      policy_(effective_policy(loaded.settings.policy, ::geteuid())),
      control_(loop.get_executor(), loaded.settings.control,
               ControlFacts{
                   MUSTER_VERSION, sockets.dir, started_, policy_,
                   [this](std::vector<std::string>& all) { add_problems(all); },
                   std::chrono::steady_clock::now(), [this] { return roster_.forget_lost(); },
                   [this](std::function<void()> done) { roster_.when_written(std::move(done)); },
                   [this](std::function<void()> done) { holds_.when_written(std::move(done)); },
                   &keys, &history},
               log),
      memory_(loop.get_executor(),
              [&files](std::function<void()> work) { (void)files.run(std::move(work)); }),
      roster_store_(roster),
      keys_(keys),
      holds_(holds),
      history_(history),
      roster_(loop.get_executor(), roster),
      fanout_(log, control_, memory_, &roster_, &holds, &history),
      server_(loop, server_options(loaded.settings, ids, roster, keys, policy_, started_), fanout_),
      service_(loop.get_executor()),
      stop_reason_(loop.get_executor()),
      signals_(loop),
      socket_watch_(sockets, loaded.settings.sockets, server_, control_, log),
      look_timer_(loop),
      left_(sockets.dir, files, log) {
  warn_of_permissions();
  control_.serve(server_);
  history_.serve(server_, [this](BroadcastId id) { return control_.report_payload(id); });
  roster_.begin(server_);
  restore_keys();
  restore_holds();
  begin_history();
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
  service_.start_watchdog([this] { return stopping_ || socket_watch_.all_served(); });
  live_.tell_unresolved();
  record_policy();
  look_again();
}

Daemon::~Daemon() {
  sigset_t ended;
  ::sigemptyset(&ended);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&ended, signal);
  ::pthread_sigmask(SIG_BLOCK, &ended, nullptr);
}

void Daemon::end_at_once(int status) {
  roster_.finish();
  history_.stop();
  roster_store_.close();
  keys_.close();
  holds_.close();
  (void)ids_.close(kLastWrites);  // waits for the worker, which has done the others by then
  (void)history_.close(kLastHistory);
  leave(status);
}

void Daemon::leave(int status) {
  (void)::close_range(STDERR_FILENO + 1, ~0U, 0);
  std::_Exit(status);
}

void Daemon::await_signal() {
  signals_.async_wait([this](std::error_code error, int signal) {
    if (error || has_drained_) return;  // to wait for one more would keep the loop running
    await_signal();
    if (signal != SIGHUP) return stop(signal);
    if (stopping_) return;
    service_.reloading();
    live_.read_again([this] { service_.ready(status_); });
  });
}

void Daemon::restore_keys() {
  std::vector<core::UsedKey> used;
  for (KeyEntry& entry : keys_.load()) {
    used.push_back({entry.uid, std::move(entry.key), entry.id, std::move(entry.request),
                    entry.started_unix_ms});
  }
  server_.core().restore_keys(std::move(used), server_.now());
}

void Daemon::restore_holds() {
  for (core::KeptHold& hold : holds_.load()) {
    server_.core().expect_hold(std::move(hold), server_.now());
  }
  holds_.keep([this] { return server_.core().holds_to_keep(); });
}

void Daemon::begin_history() {
  std::set<BroadcastId> held;
  for (const core::KeptHold& hold : server_.core().holds_to_keep()) held.insert(hold.id);
  history_.begin(std::move(held));
}

void Daemon::warn_of_permissions() {
  const auto problems = std::make_shared<std::vector<std::string>>();
  (void)configuration_.run(
      [problems, policy = policy_, all = permissions_of(sockets_)] {
        *problems = permission_problems(*policy, all);
      },
      [this, problems](bool) {
        for (const std::string& problem : *problems) log_.warning(problem);
      });
}

void Daemon::add_problems(std::vector<std::string>& all) const {
  if (!ids_.problem().empty()) all.push_back(ids_.problem());
  if (auto problem = roster_store_.problem(); !problem.empty()) all.push_back(std::move(problem));
  if (auto problem = keys_.problem(); !problem.empty()) all.push_back(std::move(problem));
  if (auto problem = holds_.problem(); !problem.empty()) all.push_back(std::move(problem));
  history_.add_problems(all);
  live_.add_problems(all);
  socket_watch_.add_problems(all);
}

void Daemon::look_again() {
  look_timer_.expires_after(kLookEvery);
  look_timer_.async_wait([this](std::error_code error) {
    if (error || stopping_) return;
    look_again();  // first: what follows may throw
    if (const auto status = socket_watch_.look()) end_at_once(*status);
    roster_.check();
    look_at_state();
  });
}

void Daemon::look_at_state() {
  ids_.check([this](BroadcastIds::Place place) {
    if (place == BroadcastIds::Place::kTaken) {
      log_.error("another broker uses the state directory, exiting without writing there",
                 {{"directory", state_dir_.native()}});
      leave(kExitCannotRun);
    }
    if (place == BroadcastIds::Place::kDeleted) record_policy();
    roster_store_.check();
    keys_.check();
    holds_.check();
    history_.check();
  });
}

void Daemon::take(core::AccessPolicyPtr policy) {
  policy_ = std::move(policy);
  server_.set_policy(policy_);
  control_.set_policy(policy_);
  record_policy();
}

void Daemon::record_policy() {
  const PolicyRecord record{::getpid(), rules_of(live_.settings().policy)};
  const auto failed = std::make_shared<std::string>("cannot be written: no memory");
  const auto told = [this, failed](bool) {
    if (failed->empty()) return;
    log_.warning("cannot write the policy state: `systemctl reload` will fail", {{"why", *failed}});
  };
  const auto write = [failed, record, directory = state_dir_] {
    *failed = write_policy_record(directory, record);
  };
  if (!files_.run(write, told)) told(false);
}

void Daemon::stop(int number) {
  const std::string_view signal = number == SIGTERM ? "SIGTERM" : "SIGINT";
  if (std::exchange(stopping_, true)) {
    log_.warning("second stop signal: cancelling the open broadcasts", {{"signal", signal}});
    stop_reason_.give_up("a second stop signal came");
    server_.shut_down({});
    return;
  }
  live_.stop();
  look_timer_.cancel();
  if (number != SIGTERM || !is_run_by_systemd()) {
    log_.info("stopping", {{"signal", signal}});
    return shut_down(true);
  }
  stop_reason_.ask([this, signal](const ServiceJob& job) { stop_for(job, signal); });
}

void Daemon::stop_for(const ServiceJob& job, std::string_view signal) {
  if (!job.problem.empty()) {
    log_.warning(
        "the service manager does not say whether this is a restart: quiescing the backends as "
        "for a stop",
        {{"why", job.problem}});
  }
  const std::string_view type = job.type.empty() ? std::string_view("none") : job.type;
  log_.info(job.is_restart() ? "restarting: backends are not quiesced" : "stopping",
            {{"signal", signal}, {"job", type}});
  shut_down(!job.is_restart());
}

void Daemon::shut_down(bool quiesce) {
  server_.shut_down([this] { drained(); }, quiesce);
  if (quiesce) left_.note_quiesce(server_.core(), server_.now());
  service_.stopping(quiesce ? "Waiting for the backends to quiesce"
                            : "Restarting: waiting for the broadcasts that run",
                    [this] { return server_.core().latest_deadline(); });
}

void Daemon::drained() {
  holds_.when_written([this] {
    if (!sockets_.passed) left_.leave(server_.core(), roster_store_.knows_all(), server_.now());
    memory_.stop();
    control_.shut_down();
    has_drained_ = true;
    signals_.cancel();
    service_.done();
    ids_.stop();
    roster_.end();
    history_.stop();
    roster_store_.close();
    keys_.close();
    holds_.close();
  });
}

}  // namespace muster::daemon
