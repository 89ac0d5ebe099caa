// Lets operators in: accepts from the listening sockets, also where descriptors run out, and finds
// a place for one more.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <fcntl.h>
#include <optional>
#include <sys/socket.h>
#include <utility>

#include <asio/awaitable.hpp>
#include <fmt/format.h>

#include "muster/path.h"

#include "broker/broker_server.h"
#include "core/quota.h"
#include "musterd/control/control_plane_state.h"
#include "musterd/control/control_session.h"
#include "net/spawn.h"
#include "os/peer.h"

namespace muster::daemon {
namespace {

constexpr std::chrono::milliseconds kAcceptPause{100};

// Who was about to be accepted is gone, or another took it.
bool passes(const std::error_code& error) {
  const int value = error.value();
  return value == EAGAIN || value == EWOULDBLOCK || value == ECONNABORTED || value == EINTR;
}

}  // namespace

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

}  // namespace muster::daemon
