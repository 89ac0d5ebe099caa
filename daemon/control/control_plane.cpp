#include "control/control_plane.h"

#include <algorithm>
#include <fcntl.h>
#include <list>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include <asio/co_spawn.hpp>
#include <asio/error.hpp>
#include <asio/local/stream_protocol.hpp>
#include <fmt/format.h>

#include "muster/path.h"

#include "control/control_session.h"
#include "net/spawn.h"
#include "net/use_tuple.h"
#include "os/peer.h"
#include "os/process_facts.h"

namespace muster::daemon {
namespace {

using Acceptor = asio::local::stream_protocol::acceptor;
constexpr std::chrono::milliseconds kAcceptPause{100};

}  // namespace

struct ControlPlane::State : std::enable_shared_from_this<ControlPlane::State> {
  explicit State(std::shared_ptr<ControlContext> shared) : context(std::move(shared)) {}

  static asio::awaitable<void> accept_all(std::shared_ptr<State> self,
                                          std::shared_ptr<Acceptor> acceptor);
  static asio::awaitable<void> serve(std::shared_ptr<State> self,
                                     std::shared_ptr<ControlSession> session);
  void accepted(os::UniqueFd socket);
  // Lets in one who waits when there are no more descriptors, in the place of the spare one. False
  // when it is in use already, or nobody waits.
  bool accept_with_spare(Acceptor& acceptor);
  void keep_spare();

  net::TaskFailure on_failure() {
    return [shared = context](const char* task, std::string_view what) {
      shared->log.error("a task failed", {{"task", task}, {"what", what}});
    };
  }

  std::shared_ptr<ControlContext> context;
  std::vector<std::shared_ptr<Acceptor>> acceptors;
  std::vector<std::shared_ptr<ControlSession>> sessions;
  os::UniqueFd spare;
  bool closing = false;
};

ControlPlane::ControlPlane(const asio::any_io_executor& loop, ControlSettings settings,
                           ControlFacts facts, Log& log)
    : state_(std::make_shared<State>(std::make_shared<ControlContext>(
          ControlContext{loop, settings, std::move(facts), log}))) {
  state_->keep_spare();
}

ControlPlane::~ControlPlane() = default;

void ControlPlane::serve(broker::BrokerServer& server) { state_->context->server = &server; }

void ControlPlane::listen(os::UniqueFd listener) {
  auto acceptor = std::make_shared<Acceptor>(state_->context->loop);
  acceptor->assign(asio::local::stream_protocol(), listener.release());
  state_->acceptors.push_back(acceptor);
  net::spawn(state_->context->loop, "control accept", State::accept_all(state_, acceptor),
             state_->on_failure());
}

asio::awaitable<void> ControlPlane::State::accept_all(std::shared_ptr<State> self,
                                                      std::shared_ptr<Acceptor> acceptor) {
  asio::steady_timer pause(self->context->loop);
  bool failing = false;
  while (!self->closing) {
    auto [error, socket] = co_await acceptor->async_accept(net::kUseTuple);
    if (self->closing) break;
    if (!error) {
      failing = false;
      self->keep_spare();
      std::error_code released;
      const int fd = socket.release(released);
      self->accepted(os::UniqueFd(fd));
      continue;
    }
    // Descriptors that ran out come back; leaving this loop would not.
    const bool is_let_in = self->accept_with_spare(*acceptor);
    if (!std::exchange(failing, true)) {
      self->context->log.error(is_let_in ? "an operator was let in on the last descriptor"
                                         : "cannot accept operators; trying again",
                               {{"why", error.message()}});
    }
    if (is_let_in) continue;
    pause.expires_after(kAcceptPause);
    co_await pause.async_wait(net::kUseTuple);
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
    context->log.warning("operator refused: who it is cannot be told", {{"why", error.message()}});
    return;
  }
  const pid_t pid = peer->process.pid;
  const bool is_full = sessions.size() >= context->settings.connections;
  OperatorPeer who{pid, peer->uid, peer->gid, os::groups_of_peer(socket.get()),
                   escape_bytes(os::command_of(pid))};
  auto session = std::make_shared<ControlSession>(context, std::move(socket), std::move(who));
  if (const auto denied = session->connect_denied()) return session->turn_away(*denied);
  if (is_full) {
    session->turn_away({ControlError::Code::kBusy,
                        fmt::format("{} operators are connected, which is the most that the "
                                    "configuration allows: try again when one is done",
                                    sessions.size())});
    return;
  }
  context->log.debug("operator connected", {{"pid", static_cast<std::int64_t>(pid)},
                                            {"uid", static_cast<std::uint64_t>(peer->uid)}});
  sessions.push_back(session);
  net::spawn(context->loop, "control session", serve(shared_from_this(), std::move(session)),
             on_failure());
}

asio::awaitable<void> ControlPlane::State::serve(std::shared_ptr<State> self,
                                                 std::shared_ptr<ControlSession> session) {
  struct Leave {
    std::shared_ptr<State> plane;
    std::shared_ptr<ControlSession> session;
    ~Leave() {
      std::erase(plane->sessions, session);
      plane->keep_spare();
    }
  };
  const Leave leave{std::move(self), session};
  co_await ControlSession::run(std::move(session));
}

void ControlPlane::set_policy(core::AccessPolicyPtr policy) noexcept {
  state_->context->facts.policy = std::move(policy);
}

void ControlPlane::on_event(const Event& event) {
  for (const auto& session : state_->sessions) session->deliver(event);
}

bool ControlPlane::wants_every_outcome() const noexcept { return state_->context->followers != 0; }

std::size_t ControlPlane::session_count() const noexcept { return state_->sessions.size(); }

const AskedBy* ControlPlane::asked_by() const noexcept { return state_->context->asked_by; }

void ControlPlane::shut_down() {
  state_->closing = true;
  for (const auto& acceptor : state_->acceptors) {
    std::error_code ignored;
    acceptor->close(ignored);
  }
  state_->acceptors.clear();
  const auto sessions = state_->sessions;
  for (const auto& session : sessions) session->finish();
}

}  // namespace muster::daemon
