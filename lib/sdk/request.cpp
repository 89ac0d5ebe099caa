// Request and PendingAnswer: what a handler sees of an operation.
#include <new>
#include <stdexcept>
#include <utility>

#include "muster/backend.h"

#include "sdk/request_state.h"

namespace muster {
namespace {

Failure rejected(std::string detail) {
  return {BroadcastFailureReason::kRejected, std::move(detail)};
}
Failure failed(std::string detail) {
  return {BroadcastFailureReason::kBackendError, std::move(detail)};
}

}  // namespace

std::optional<ActiveHold> hold_of(const OutgoingOperation& operation) {
  if (!operation.hold_id) return std::nullopt;
  ActiveHold hold;
  hold.id = *operation.hold_id;
  hold.expires_unix_ms = operation.hold_expires_unix_ms;
  if (const ReleaseHandles* release = operation.operation.as_release_handles()) {
    hold.path_prefix = release->path_prefix;
    hold.alias = release->alias;
  }
  return hold;
}

BroadcastId Request::broadcast_id() const noexcept { return state_->message.broadcast_id; }

const BroadcastOperation& Request::operation() const noexcept { return state_->message.operation; }

bool Request::is_preflight() const noexcept { return operation().is_preflight(); }

std::string_view Request::path_prefix() const noexcept {
  const ReleaseHandles* release = operation().about_release();
  return release == nullptr ? std::string_view() : std::string_view(release->path_prefix);
}

std::string_view Request::path_alias() const noexcept {
  const ReleaseHandles* release = operation().about_release();
  return release == nullptr ? std::string_view() : std::string_view(release->alias);
}

bool Request::covers(std::string_view path) const {
  const ReleaseHandles* release = operation().about_release();
  if (release == nullptr) return false;
  return path_is_under(release->path_prefix, path) ||
         (!release->alias.empty() && path_is_under(release->alias, path));
}

QuiesceReason Request::reason() const noexcept {
  const Quiesce* quiesce = operation().about_quiesce();
  return quiesce == nullptr ? QuiesceReason::kMaintenance : quiesce->reason;
}

std::chrono::system_clock::time_point Request::deadline() const noexcept {
  using Clock = std::chrono::system_clock;
  const auto moved = state_->until() - state_->first_deadline;
  return Clock::time_point(std::chrono::milliseconds(state_->message.deadline_unix_ms) +
                           std::chrono::floor<std::chrono::milliseconds>(moved));
}

bool Request::cancelled() const noexcept {
  const bool over = state_->over();
  if (over) state_->seen_over = true;
  return over;
}

std::optional<ActiveHold> Request::hold() const { return hold_of(state_->message); }

std::string_view Request::traceparent() const noexcept { return state_->message.traceparent; }

std::string_view Request::tracestate() const noexcept { return state_->message.tracestate; }

void Request::released(std::uint64_t handles) noexcept { state_->handles_released = handles; }

void Request::reject(std::string detail) { state_->answer(rejected(std::move(detail))); }

void Request::fail(std::string detail) { state_->answer(failed(std::move(detail))); }

void Request::working(std::chrono::milliseconds extend, std::string note,
                      std::optional<std::uint32_t> percent) {
  state_->working(extend, std::move(note), percent);
}

PendingAnswer Request::defer() {
  if (std::exchange(state_->deferred, true)) {
    throw std::logic_error("the answer of this request was deferred before");
  }
  return PendingAnswer(state_);
}

PendingAnswer::PendingAnswer(std::shared_ptr<Request::State> state) : state_(std::move(state)) {}

PendingAnswer::PendingAnswer(PendingAnswer&&) noexcept = default;

PendingAnswer& PendingAnswer::operator=(PendingAnswer&& other) noexcept {
  if (this == &other) return *this;
  PendingAnswer before(std::move(*this));  // answers, if it was still owed
  state_ = std::move(other.state_);
  return *this;
}

PendingAnswer::~PendingAnswer() {
  if (!state_ || state_->answered) return;
  if (state_->sink->in_handler() && state_->in_handler) {
    // Perhaps an exception is on its way out of the handler: what it says is worth more.
    state_->dropped = true;
    return;
  }
  try {
    state_->answer(failed(kDroppedDetail));
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): the broker's timer says it
  }
}

BroadcastId PendingAnswer::broadcast_id() const noexcept {
  return state_ ? state_->message.broadcast_id : 0;
}

bool PendingAnswer::cancelled() const noexcept { return !state_ || state_->over(); }

void PendingAnswer::working(std::chrono::milliseconds extend, std::string note,
                            std::optional<std::uint32_t> percent) {
  if (state_) state_->working(extend, std::move(note), percent);
}

void PendingAnswer::ack(std::optional<std::uint64_t> released) {
  if (state_) state_->answer(Ack{released ? released : state_->handles_released});
}

void PendingAnswer::reject(std::string detail) {
  if (state_) state_->answer(rejected(std::move(detail)));
}

void PendingAnswer::fail(std::string detail) {
  if (state_) state_->answer(failed(std::move(detail)));
}

}  // namespace muster
