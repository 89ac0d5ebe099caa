#include "sdk/handler_queue.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <new>
#include <type_traits>
#include <utility>

namespace muster {
namespace {

// Calling a handler that only listens.
//
// What it throws goes no further: there is nobody to answer to, and a daemon must not end because
// of what it wanted to note about its broker.
template <class... Wanted, class... Given>
void notify(const std::function<void(Wanted...)>& handler, Given&&... given) noexcept {
  if (!handler) return;
  try {
    handler(std::forward<Given>(given)...);
  } catch (...) {  // NOLINT(bugprone-empty-catch): documented in backend.h
  }
}

bool is_state(const HandlerCall& call) { return std::holds_alternative<StateChange>(call); }
bool is_holds(const HandlerCall& call) {
  return std::holds_alternative<std::vector<ActiveHold>>(call);
}
bool is_of_hold(const HandlerCall& call) {
  return std::holds_alternative<HoldStarted>(call) || std::holds_alternative<HoldEnded>(call);
}

}  // namespace

const Backend::Handler* BackendHandlers::find(OperationKind operation) const {
  const auto index = static_cast<std::size_t>(operation);
  return index < operations.size() && operations.at(index) ? &operations.at(index) : nullptr;
}

std::size_t HandlerQueue::count(Kind kind) const {
  return static_cast<std::size_t>(std::count_if(calls_.begin(), calls_.end(), kind));
}

// All of them but so many.
void HandlerQueue::drop_oldest(Kind kind, std::size_t but) noexcept {
  if (calls_.size() <= but) return;
  std::size_t here = count(kind);
  for (std::size_t i = 0; here > but; ++i) {
    if (!kind(calls_[i])) continue;
    calls_.erase(calls_.begin() + static_cast<std::ptrdiff_t>(i));
    if (i < published_) --published_;
    --i;
    --here;
  }
}

bool HandlerQueue::push(HandlerCall call) {
  const std::lock_guard lock(mutex_);
  if (closed_) return true;
  if (is_of_hold(call) && calls_.size() >= kMaxOfHolds && count(is_of_hold) >= kMaxOfHolds)
    return false;
  const Kind kind = is_state(call) ? is_state : is_holds(call) ? is_holds : nullptr;
  calls_.push_back(std::move(call));
  if (kind == is_state) drop_oldest(is_state, kMaxStates);
  if (kind == is_holds) drop_oldest(is_holds, 1);  // each is all of them
  return true;
}

void HandlerQueue::publish() {
  {
    const std::lock_guard lock(mutex_);
    if (published_ == calls_.size()) return;
    published_ = calls_.size();
  }
  wake_.notify_one();
}

bool HandlerQueue::withdraw(RequestSerial serial) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(calls_.begin(), calls_.end(), [&](const HandlerCall& call) {
    const auto* request = std::get_if<RequestPtr>(&call);
    return request != nullptr && (*request)->ref.serial == serial;
  });
  if (found == calls_.end()) return false;
  if (static_cast<std::size_t>(found - calls_.begin()) < published_) --published_;
  calls_.erase(found);
  return true;
}

bool HandlerQueue::wait() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return closed_ || published_ > 0; });
  return !closed_;
}

bool HandlerQueue::next(HandlerCall& call) {
  const std::lock_guard lock(mutex_);
  if (closed_ || published_ == 0) return false;
  call = std::move(calls_.front());
  calls_.pop_front();
  --published_;
  return true;
}

bool HandlerQueue::run_one() {
  if (is_running_here()) return false;  // a handler that runs its loop itself
  const std::lock_guard running(running_);
  HandlerCall call;
  if (!next(call)) return false;
  runner_ = std::this_thread::get_id();
  run(call);
  if (::getpid() != pid_) return false;  // that handler forked, and this is the child
  runner_ = std::thread::id();
  const std::lock_guard lock(mutex_);
  if (closed_) handlers_ = {};  // by that handler
  return true;
}

void HandlerQueue::run(HandlerCall& call) {
  std::visit(
      [this](auto& what) {
        using T = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<T, RequestPtr>) hand_over(what);
        if constexpr (std::is_same_v<T, CancelSeen>) notify(handlers_.cancel, what.id);
        if constexpr (std::is_same_v<T, StateChange>) notify(handlers_.state, what);
        if constexpr (std::is_same_v<T, std::vector<ActiveHold>>) {
          notify(handlers_.active_holds, what);
        }
        if constexpr (std::is_same_v<T, HoldStarted>) notify(handlers_.hold_started, what.hold);
        if constexpr (std::is_same_v<T, HoldEnded>) notify(handlers_.hold_ended, what);
      },
      call);
}

void HandlerQueue::hand_over(const RequestPtr& state) {
  try {
    if (!state->over()) answer_for(state);
    state->sink->released(state->ref);
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): no answer, so no false one
  }
}

// An ack is given in one place, after the handler returned.
void HandlerQueue::answer_for(const RequestPtr& state) {
  const auto fail = [&](const char* detail) {
    state->answer(Failure{BroadcastFailureReason::kBackendError, detail});
  };
  Request request(state);
  state->in_handler = true;
  state->reached_handler = true;
  try {
    (*handlers_.find(state->message.operation.kind()))(request);
    state->in_handler = false;
  } catch (const std::exception& e) {
    state->in_handler = false;
    return fail(e.what());
  } catch (...) {
    state->in_handler = false;
    return fail("unknown exception");
  }
  // One that returns because it was told to give up has not done it.
  if (!state->deferred && state->seen_over) return fail(kGaveUpDetail);
  if (!state->deferred) return state->answer(Ack{state->handles_released});
  if (state->dropped) fail(kDroppedDetail);
}

void HandlerQueue::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    published_ = 0;
    calls_.clear();
  }
  wake_.notify_all();
  const std::lock_guard running(running_);
  if (!is_running_here()) handlers_ = {};
}

}  // namespace muster
