// BackendCore: operations, their answers, and activity.
#include <algorithm>
#include <exception>
#include <utility>

#include "sdk/backend_core.h"
#include "sdk/notify.h"

namespace muster {
namespace {

constexpr std::chrono::milliseconds kActivityInterval{1000};

}  // namespace

void BackendCore::on(OutgoingOperation& operation, BroadcastId id) {
  if (operation.deadline_unix_ms == 0) {
    operation.deadline_unix_ms =
        port_.now_unix_ms() + static_cast<std::uint64_t>(operation.ack_timeout.count());
  }
  if (running_.contains(id)) return;  // it came again after a reconnect; the answer will follow
  if (answers_.knows(id)) {
    if (const Answer* answer = answers_.redelivered(id, connection_)) send_answer(id, *answer);
    return;
  }
  const bool release = operation.operation.as_release_handles() != nullptr;
  const auto state = std::make_shared<Request::State>(std::move(operation), sink_);
  running_.emplace(id, state);
  hand_over(release ? handlers_.release_handles : handlers_.quiesce, state);
}

void BackendCore::hand_over(const Backend::Handler& handler, const StatePtr& state) {
  const auto fail = [&](BroadcastFailureReason reason, std::string detail) {
    state->answer(Failure{reason, std::move(detail)});
  };
  if (!handler) {
    return fail(BroadcastFailureReason::kUnsupportedOperation,
                "this backend has no handler for " + state->message.operation.to_string());
  }
  Request request(state);
  state->in_handler = true;
  try {
    handler(request);
    state->in_handler = false;
    if (!state->deferred) state->answer(Ack{});
    if (state->dropped) fail(BroadcastFailureReason::kBackendError, kDroppedDetail);
  } catch (const std::exception& e) {
    state->in_handler = false;
    fail(BroadcastFailureReason::kBackendError, e.what());
  } catch (...) {
    state->in_handler = false;
    fail(BroadcastFailureReason::kBackendError, "unknown exception");
  }
}

void BackendCore::on(wire::Cancel& /*cancel*/, BroadcastId id) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  found->second->cancelled = true;
  notify(handlers_.cancel, id);
}

void BackendCore::answered(BroadcastId id, Answer answer) {
  if (running_.erase(id) == 0) return;
  const bool connected = phase_ == Phase::kRegistered;
  if (connected) send_answer(id, answer);
  answers_.remember(id, std::move(answer), connected ? connection_ : 0);
}

void BackendCore::send_answer(BroadcastId id, const Answer& answer) {
  std::visit([&](const auto& what) { port_.send({id, what}); }, answer);
}

void BackendCore::send_unsent_answers() {
  while (const auto unsent = answers_.next_unsent(connection_)) {
    send_answer(unsent->id, unsent->answer);
  }
}

void BackendCore::drop_running() {
  for (const auto& [id, state] : running_) state->cancelled = true;
  running_.clear();
}

void BackendCore::working(BroadcastId id, const Working& working) {
  const auto found = running_.find(id);
  // While there is no connection it is dropped: it counts from now, and now is over when there is
  // one again.
  if (found == running_.end() || phase_ != Phase::kRegistered) return;
  port_.send({id, working});

  // As the broker does: more time, never less, and no more than it gives to anybody.
  Request::State& state = *found->second;
  const OutgoingOperation& message = state.message;
  const auto since_epoch = [](std::chrono::milliseconds ms) {
    return static_cast<std::uint64_t>(ms.count());
  };
  std::uint64_t until = port_.now_unix_ms() + since_epoch(working.extend);
  if (limits_.max_ack_timeout.count() > 0) {
    const std::uint64_t started = message.deadline_unix_ms - since_epoch(message.ack_timeout);
    until = std::min(until, started + since_epoch(limits_.max_ack_timeout));
  }
  state.deadline_unix_ms = std::max(state.deadline_unix_ms.load(), until);
}

void BackendCore::activity_seen() {
  // Not connected: the flag stays raised, and the next registration looks at it.
  if (phase_ != Phase::kRegistered || activity_waits_) return;
  const auto next = activity_sent_ + kActivityInterval;
  const auto now = port_.now();
  if (now >= next) return send_activity();
  activity_waits_ = true;
  port_.arm(BackendPort::Timer::kActivity,
            std::chrono::ceil<std::chrono::milliseconds>(next - now));
}

void BackendCore::send_activity() {
  activity_.lower();
  activity_sent_ = port_.now();
  port_.send({next_request_id_++, Activity{}});
}

}  // namespace muster
