// The calls of handlers that wait, and the one that runs: one at a time, in their order.
//
// The loop pushes, and whoever runs handlers calls run_one(): a thread of its own, so that a
// handler that blocks holds up nothing but other handlers, or the caller's loop.
//
// A request whose time is over, or that was cancelled, is never handed to its handler. After
// close() no handler runs, nor will one, unless close() was called by it.
//
// Bounded: the core bounds the requests in hand and their cancels; of changes of state and of lists
// of holds what is old is left out when too many wait. Beginnings and ends of holds are never left
// out: when too many wait, no more are taken.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <thread>
#include <unistd.h>
#include <variant>
#include <vector>

#include "muster/backend.h"

#include "sdk/request_state.h"

namespace muster {

struct BackendHandlers {
  std::array<Backend::Handler, BroadcastOperation::kKnown> operations;  // by their kind
  Backend::CancelHandler cancel;
  Backend::StateHandler state;
  Backend::HoldsHandler active_holds;
  Backend::HoldStartHandler hold_started;
  Backend::HoldEndHandler hold_ended;

  // REQUIRES: not the unknown one (throws std::out_of_range).
  [[nodiscard]] Backend::Handler& on(OperationKind operation) {
    return operations.at(static_cast<std::size_t>(operation));
  }
  // Null when there is none for it.
  [[nodiscard]] const Backend::Handler* find(OperationKind operation) const;
  // Nothing would tell a daemon without hold_ended that its quiesce is over.
  [[nodiscard]] bool can_resume() const {
    return !operations.at(static_cast<std::size_t>(OperationKind::kQuiesce)) || hold_ended;
  }
};

struct CancelSeen {
  BroadcastId id = 0;
};
// A hold began.
struct HoldStarted {
  ActiveHold hold;
};
using HandlerCall = std::variant<RequestPtr, CancelSeen, StateChange, std::vector<ActiveHold>,
                                 HoldStarted, HoldEnded>;

class HandlerQueue {
 public:
  static constexpr std::size_t kMaxStates = 64;     // that wait
  static constexpr std::size_t kMaxOfHolds = 4096;  // beginnings and ends that wait

  HandlerQueue() = default;
  HandlerQueue(const HandlerQueue&) = delete;
  HandlerQueue& operator=(const HandlerQueue&) = delete;

  // Before the first push.
  void set_handlers(BackendHandlers handlers) { handlers_ = std::move(handlers); }
  [[nodiscard]] bool handles(OperationKind operation) const {
    return handlers_.find(operation) != nullptr;
  }

  // --- the loop

  // What is pushed waits for publish(). False when it was not taken, because the handlers are too
  // far behind. Throws std::bad_alloc, and then has not taken it.
  [[nodiscard]] bool push(HandlerCall call);
  // Lets run_one() see what was pushed.
  void publish();
  // Takes a request back. False when its handler has begun (or it was dropped as too late).
  bool withdraw(RequestSerial serial) noexcept;

  // --- whoever runs handlers

  // Runs the next call. False when there is none, or it is closed.
  bool run_one();
  // Until there is something to run; false when it is closed.
  bool wait();

  // --- any thread

  // The caller is within run_one().
  [[nodiscard]] bool is_running_here() const noexcept {
    return runner_.load() == std::this_thread::get_id();
  }
  // No further handler is run. Waits for the one that runs, unless it is called by that. Lets go of
  // the handlers then, or once that one has returned.
  void close();

 private:
  [[nodiscard]] bool next(HandlerCall& call);
  void run(HandlerCall& call);
  void hand_over(const RequestPtr& state);
  void answer_for(const RequestPtr& state);
  using Kind = bool (*)(const HandlerCall&);
  [[nodiscard]] std::size_t count(Kind kind) const;
  void drop_oldest(Kind kind, std::size_t but) noexcept;

  const pid_t pid_ = ::getpid();  // in a child that was forked others may hold the locks for ever
  BackendHandlers handlers_;
  std::atomic<std::thread::id> runner_;
  std::recursive_mutex running_;  // kept while a handler runs

  mutable std::mutex mutex_;  // all that follows
  std::condition_variable wake_;
  std::deque<HandlerCall> calls_;
  std::size_t published_ = 0;  // of calls_
  bool closed_ = false;
};

}  // namespace muster
