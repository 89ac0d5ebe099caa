#include "musterd/control/control_plane.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <map>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <asio/co_spawn.hpp>
#include <asio/error.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>

#include "muster/path.h"

#include "broker/broker_server.h"
#include "core/quota.h"
#include "musterd/control/control_session.h"
#include "musterd/control/retry_turns.h"
#include "musterd/history/history.h"
#include "net/spawn.h"
#include "os/listener.h"
#include "os/peer.h"

namespace muster::daemon {
namespace {

using Acceptor = asio::local::stream_protocol::acceptor;
constexpr std::chrono::milliseconds kAcceptPause{100};

// Who was about to be accepted is gone, or another took it.
bool passes(const std::error_code& error) {
  const int value = error.value();
  return value == EAGAIN || value == EWOULDBLOCK || value == ECONNABORTED || value == EINTR;
}

}  // namespace

struct ControlPlane::State : std::enable_shared_from_this<ControlPlane::State> {
  explicit State(std::shared_ptr<ControlContext> shared)
      : context(std::move(shared)), retries(context->loop) {}

  // A listening socket and the task that accepts from it.
  struct Listener {
    explicit Listener(const asio::any_io_executor& loop) : acceptor(loop), pause(loop) {}
    Acceptor acceptor;
    asio::steady_timer pause;
    bool served = false;  // the task runs, or is about to be started again
    bool lost = false;    // another process shut it down: the task ends
  };

  void serve_listener(const std::shared_ptr<Listener>& listener);
  // The task threw: it is counted, and started again after a pause.
  void accepting_failed(const std::shared_ptr<Listener>& listener, std::string_view what) noexcept;
  static asio::awaitable<void> accept_all(std::shared_ptr<State> self,
                                          std::shared_ptr<Listener> listener);
  static asio::awaitable<void> serve(std::shared_ptr<State> self,
                                     std::shared_ptr<ControlSession> session);
  void accepted(os::UniqueFd socket);
  // Nothing when one more of `uid` has a place; else why not. May close one that is idle for it.
  std::optional<ControlError> no_place_for(uid_t uid);
  // Whether there was one, of `uid` if it is given.
  bool close_idle(std::optional<uid_t> uid);
  // Lets in one who waits when there are no more descriptors, in the place of the spare one. False
  // when it is in use already, or nobody waits.
  bool accept_with_spare(Acceptor& acceptor);
  void keep_spare();
  // Answers who could not be answered when its broadcast ended.
  void answer_later() noexcept;
  // Names the backends among the holders, and tells the core.
  void scanned(BroadcastId id, HolderScan scan) const;

  void task_failed(const char* task, std::string_view what) const noexcept {
    ++context->server->core().counters().task_failures;
    try {
      context->log.error("a task failed", {{"task", task}, {"what", what}});
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): it is counted
    }
  }

  std::shared_ptr<ControlContext> context;
  std::vector<std::shared_ptr<Listener>> listeners;
  std::vector<std::shared_ptr<ControlSession>> sessions;
  os::UniqueFd spare;
  RetryTurns retries;
  bool closing = false;
};

ControlPlane::ControlPlane(const asio::any_io_executor& loop, ControlSettings settings,
                           ControlFacts facts, Log& log)
    : state_(std::make_shared<State>(std::make_shared<ControlContext>(
          ControlContext{loop, std::move(settings), std::move(facts), log}))) {
  state_->keep_spare();
}

ControlPlane::~ControlPlane() = default;

void ControlPlane::serve(broker::BrokerServer& server) { state_->context->server = &server; }

void ControlPlane::listen(os::UniqueFd socket) {
  auto listener = std::make_shared<State::Listener>(state_->context->loop);
  listener->acceptor.assign(asio::local::stream_protocol(), socket.release());
  const auto lost = std::find_if(state_->listeners.begin(), state_->listeners.end(),
                                 [](const auto& one) { return one->lost; });
  if (lost != state_->listeners.end()) state_->listeners.erase(lost);
  state_->listeners.push_back(listener);
  state_->serve_listener(listener);
}

bool ControlPlane::is_serving() const noexcept {
  const auto& listeners = state_->listeners;
  return !listeners.empty() && std::all_of(listeners.begin(), listeners.end(), [](const auto& one) {
    return one->served && !one->lost && one->acceptor.is_open();
  });
}

bool ControlPlane::has_lost_listener() {
  bool any = false;
  for (const auto& one : state_->listeners) {
    if (!one->lost && os::is_shut_down(one->acceptor.native_handle())) {
      one->lost = true;
      std::error_code ignored;
      one->acceptor.close(ignored);
      one->pause.cancel();
    }
    any = any || one->lost;
  }
  return any;
}

void ControlPlane::State::serve_listener(const std::shared_ptr<Listener>& listener) {
  listener->served = true;
  net::spawn(context->loop, "control accept", accept_all(shared_from_this(), listener),
             [self = shared_from_this(), listener](const char*, std::string_view what) {
               self->accepting_failed(listener, what);
             });
}

void ControlPlane::State::accepting_failed(const std::shared_ptr<Listener>& listener,
                                           std::string_view what) noexcept {
  listener->served = false;
  task_failed("control accept", what);
  try {
    listener->pause.expires_after(kAcceptPause);
    listener->pause.async_wait([self = shared_from_this(), listener](std::error_code cancelled) {
      if (cancelled || self->closing || listener->lost) return;
      try {
        self->serve_listener(listener);
      } catch (const std::exception& e) {
        self->accepting_failed(listener, e.what());
      }
    });
    listener->served = true;
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): see is_serving()
  }
}

asio::awaitable<void> ControlPlane::State::accept_all(std::shared_ptr<State> self,
                                                      std::shared_ptr<Listener> listener) {
  Acceptor& acceptor = listener->acceptor;
  bool failing = false;
  while (!self->closing && !listener->lost) {
    // Not async_accept(): where there is no memory for a socket of Asio's, it ends the loop.
    auto [error] = co_await acceptor.async_wait(Acceptor::wait_read, net::kUseTuple);
    if (self->closing || listener->lost) break;
    os::UniqueFd socket(
        ::accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) error = {errno, std::system_category()};
    if (socket) {
      failing = false;
      self->keep_spare();
      self->accepted(std::move(socket));
      continue;
    }
    if (passes(error)) continue;
    // Descriptors that ran out come back; leaving this loop would not.
    const bool is_let_in = self->accept_with_spare(acceptor);
    if (!std::exchange(failing, true)) {
      self->context->log.error(
          is_let_in ? "descriptors exhausted: accepted an operator with the spare one"
                    : "cannot accept operators, retrying",
          {{"why", error.message()}});
    }
    if (is_let_in) continue;
    listener->pause.expires_after(kAcceptPause);
    co_await listener->pause.async_wait(net::kUseTuple);
    self->keep_spare();
  }
}

bool ControlPlane::State::accept_with_spare(Acceptor& acceptor) {
  if (!spare) return false;
  spare.reset();
  os::UniqueFd socket(
      ::accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) {
    keep_spare();
    return false;
  }
  accepted(std::move(socket));
  return true;
}

void ControlPlane::State::keep_spare() {
  if (!spare) spare.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

void ControlPlane::State::accepted(os::UniqueFd socket) {
  std::error_code error;
  // Nobody asks whether its process lives: what stands for it would be one more descriptor.
  const auto peer = os::credentials_of(socket.get(), error);
  if (!peer) {
    context->log.warning("operator refused: no peer credentials", {{"why", error.message()}});
    return;
  }
  const pid_t pid = peer->process.pid;
  const uid_t uid = peer->uid;
  OperatorPeer who{pid,
                   uid,
                   peer->gid,
                   groups_that_matter(*context, socket.get()),
                   escape_bytes(os::command_of(pid)),
                   os::start_time(pid).value_or(0)};
  const auto turn_away = [&](const ControlError& why) {
    std::make_shared<ControlSession>(context, std::move(socket), who, core::Taken(), nullptr)
        ->turn_away(why);
  };
  if (const auto denied = connect_denied(*context, who)) return turn_away(*denied);
  if (const auto full = no_place_for(uid)) return turn_away(*full);
  const auto& ledger = context->server->core().ledger();
  core::Taken place(ledger, core::Resource::kOperator, uid);
  auto session = std::make_shared<ControlSession>(context, std::move(socket), std::move(who),
                                                  std::move(place), ledger->answers_of(uid));
  if (context->log.admits(LogLevel::kDebug, uid)) {
    context->log.debug("operator connected", {{"pid", static_cast<std::int64_t>(pid)},
                                              {"uid", static_cast<std::uint64_t>(uid)}});
  }
  sessions.push_back(session);
  const auto on_failure = [self = shared_from_this(), session](const char* task,
                                                               std::string_view what) {
    self->task_failed(task, what);
    session->close();
  };
  try {
    net::spawn(context->loop, "control session", serve(shared_from_this(), session), on_failure);
  } catch (...) {
    std::erase(sessions, session);
    throw;
  }
}

std::optional<ControlError> ControlPlane::State::no_place_for(uid_t uid) {
  const auto& ledger = context->server->core().ledger();
  if (auto over = ledger->refusal(core::Resource::kOperator, uid)) {
    if (close_idle(uid)) return std::nullopt;
    ++context->server->core().counters().over_quota;
    return ControlError{ControlError::Code::kBusy,
                        *std::move(over) + "; try again when one is done"};
  }
  const std::size_t most = context->settings.connections;
  if (sessions.size() < core::most_for(uid, most) || close_idle(std::nullopt)) return std::nullopt;
  return ControlError{ControlError::Code::kBusy,
                      fmt::format("{} operators are connected, which is the most that the "
                                  "configuration allows: try again when one is done",
                                  sessions.size())};
}

bool ControlPlane::State::close_idle(std::optional<uid_t> uid) {
  const auto now = std::chrono::steady_clock::now();
  for (const auto& session : sessions) {  // the oldest first
    if (uid && session->who().uid != *uid) continue;
    if (!uid && core::is_privileged(session->who().uid)) continue;
    if (!session->is_idle(now)) continue;
    const uid_t owner = session->who().uid;
    if (context->log.admits(LogLevel::kInfo, owner)) {
      context->log.info("closed the connection of an idle operator to accept another one",
                        {{"pid", static_cast<std::int64_t>(session->who().pid)},
                         {"uid", static_cast<std::uint64_t>(owner)}});
    }
    session->close();
    std::erase(sessions, std::shared_ptr(session));
    return true;
  }
  return false;
}

asio::awaitable<void> ControlPlane::State::serve(std::shared_ptr<State> self,
                                                 std::shared_ptr<ControlSession> session) {
  struct Leave {
    std::shared_ptr<State> plane;
    std::shared_ptr<ControlSession> session;
    ~Leave() {
      session->leave_holds();
      std::erase(plane->sessions, session);
      plane->keep_spare();
    }
  };
  const Leave leave{std::move(self), session};
  co_await ControlSession::run(std::move(session));
}

void ControlPlane::set_policy(core::AccessPolicyPtr policy) noexcept {
  state_->context->facts.policy = std::move(policy);
  for (const auto& session : state_->sessions) session->policy_changed();
}

void ControlPlane::on_event(const Event& event) {
  if (state_->sessions.empty()) return;
  EventDelivery delivery(event, *state_->context->server);
  for (const auto& session : state_->sessions) session->deliver(delivery);
}

void ControlPlane::on_ended(BroadcastId broadcast) noexcept {
  auto& owned = state_->context->owned;
  if (const auto own = owned.find(broadcast); own != owned.end() && !own->second.has_hold) {
    owned.erase(own);
  }
  EndDelivery end(broadcast, *state_->context->server, state_->context->report_keys);
  bool all = true;
  for (const auto& session : state_->sessions) all = session->ended(end) && all;
  if (!all) state_->answer_later();
  History* const history = state_->context->facts.history;
  if (history == nullptr) return;
  try {
    history->ended(broadcast, end.made());
  } catch (const std::exception& e) {
    state_->task_failed("history", e.what());
  }
}

std::shared_ptr<const std::string> ControlPlane::report_payload(BroadcastId broadcast) {
  EndDelivery end(broadcast, *state_->context->server, state_->context->report_keys);
  return end.payload() ? end.made() : nullptr;
}

void ControlPlane::State::answer_later() noexcept {
  retries.run([self = shared_from_this()](bool is_last) {
    bool all = true;
    for (const auto& session : self->sessions) {
      all = session->answer_ended() && all;
      if (!all && is_last) session->close_if_owed();
    }
    return all;
  });
}

void ControlPlane::on_scan(const core::ScanOrder& order) {
  const auto& context = state_->context;
  WantedScan wanted;
  wanted.who = WantedScan::For::kBroadcast;
  wanted.user = order.asked_by ? order.asked_by->uid : ::geteuid();
  wanted.request.path = order.path;
  wanted.request.mount_namespace = order.mount_namespace;
  const auto own = context->owned.find(order.id);
  const ControlSession* session =
      own != context->owned.end() ? own->second.session : context->starting;
  // Where its connection has ended, its process has, or does not wait for this.
  if (session != nullptr) wanted.without = session->own_process();
  const auto done = [weak = state_->weak_from_this(), id = order.id](HolderScan scan) {
    if (const auto self = weak.lock()) self->scanned(id, std::move(scan));
  };
  if (context->scans->scan(std::move(wanted), done)) return;
  asio::post(context->loop, [done, path = order.path] {
    done(failed_scan(path, "other scans wait already: too many releases are verified at a time"));
  });
}

void ControlPlane::State::scanned(BroadcastId id, HolderScan scan) const {
  auto& server = *context->server;
  std::map<pid_t, BackendKey> backends;
  for (const Holder& holder : scan.holders) {
    if (holder.pid != 0) backends.try_emplace(holder.pid);
  }
  if (!backends.empty()) server.core().find_keys(backends);
  for (Holder& holder : scan.holders) {
    const auto found = backends.find(holder.pid);
    if (found != backends.end() && !found->second.service_name.empty()) {
      holder.backend = found->second;
    }
  }
  server.core().scanned(id, std::move(scan), server.now());
}

void ControlPlane::on_hold_ended(HoldId hold) noexcept {
  state_->context->owned.erase(hold);
  for (const auto& session : state_->sessions) session->hold_ended(hold);
}

bool ControlPlane::wants_every_outcome() const noexcept { return state_->context->followers != 0; }

std::size_t ControlPlane::session_count() const noexcept { return state_->sessions.size(); }

void ControlPlane::shut_down() {
  state_->closing = true;
  for (const auto& listener : state_->listeners) {
    std::error_code ignored;
    listener->acceptor.close(ignored);
    listener->pause.cancel();
  }
  state_->listeners.clear();
  const auto sessions = state_->sessions;
  for (const auto& session : sessions) session->finish();
}

}  // namespace muster::daemon
