// What a ControlPlane consists of: its listeners, the connections of operators, and what is owed to
// them. The loop's thread.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>

#include "broker/broker_server.h"
#include "musterd/control/control_plane.h"
#include "musterd/control/control_session.h"
#include "musterd/control/retry_turns.h"
#include "os/unique_fd.h"

namespace muster::daemon {

struct ControlPlane::State : std::enable_shared_from_this<ControlPlane::State> {
  explicit State(std::shared_ptr<ControlContext> shared)
      : context(std::move(shared)), retries(context->loop) {}

  using Acceptor = asio::local::stream_protocol::acceptor;

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

}  // namespace muster::daemon
