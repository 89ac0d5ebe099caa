// BackendCore: operations, their answers, and activity.
#include <algorithm>
#include <utility>

#include "sdk/backend_core.h"

namespace muster {
namespace {

constexpr std::chrono::milliseconds kActivityInterval{1000};
// As many as a broker has in flight, and as many again that were answered late.
constexpr std::size_t kMaxInHand = 2048;
constexpr std::chrono::hours kNoLimit(24 * 365);

bool is_of_shutdown(const Request::State& request) {
  const auto* quiesce = request.message.operation.as_quiesce();
  return quiesce != nullptr && quiesce->reason == QuiesceReason::kBrokerShutdown;
}

}  // namespace

void BackendCore::on(OutgoingOperation& operation, BroadcastId id) {
  if (phase_ == Phase::kLeaving) return;  // as if it crossed the Deregister on its way
  if (running_.contains(id)) return;      // it came again after a reconnect; the answer will follow
  if (answers_.knows(id)) {
    if (const Answer* answer = answers_.redelivered(id, connection_)) send_answer(id, *answer);
    return;
  }
  const auto left = clock_.left(operation, port_.now(), port_.now_unix_ms());
  if (left <= std::chrono::milliseconds(0)) return;  // nobody waits for it any more
  if (operation.operation.is_unknown()) {
    std::string detail = "this version of the SDK does not know the operation: ";
    detail += registration_.sdk_name;
    detail += ' ';
    detail += registration_.sdk_version;
    return refuse(id, BroadcastFailureReason::kUnsupportedOperation, std::move(detail));
  }
  if (!port_.handles(operation.operation.real_kind())) {
    return refuse(id, BroadcastFailureReason::kUnsupportedOperation,
                  "this backend has no handler for " + operation.operation.real().to_string());
  }
  // A preflight without a handler: nothing speaks against what this backend can do.
  if (!port_.handles(operation.operation.kind())) return answer_at_once(id, Ack{});
  if (!make_room()) {
    std::string detail("this backend has ");
    detail += std::to_string(kMaxInHand);
    detail += " operations in hand already";
    return refuse(id, BroadcastFailureReason::kBackendError, std::move(detail));
  }
  if (holds_path(operation) && holds_.is_full()) {
    return refuse(id, BroadcastFailureReason::kBackendError,
                  "this backend keeps to " + std::to_string(HoldMemory::kMost) + " holds already");
  }
  hand_over(operation, left);
}

void BackendCore::hand_over(OutgoingOperation& operation, std::chrono::milliseconds left) {
  const BroadcastId id = operation.broadcast_id;
  if (operation.deadline_unix_ms == 0) {
    operation.deadline_unix_ms = port_.now_unix_ms() + static_cast<std::uint64_t>(left.count());
  }
  const auto until = port_.now() + left;
  const auto most = limits_.max_ack_timeout.count() > 0
                        ? std::chrono::nanoseconds(limits_.max_ack_timeout)
                        : std::chrono::nanoseconds(kNoLimit);
  const auto latest = std::max(until, until - operation.ack_timeout + most);
  const auto state =
      std::make_shared<Request::State>(std::move(operation), ++last_serial_, sink_, until, latest);
  running_[id].state = state;
  bool taken = false;
  try {
    if (state->message.operation.as_quiesce() != nullptr) quiesces_.reserve();
    if (is_to_last(state->message)) holds_.asked(state);
    taken = port_.call(state);
  } catch (...) {
    drop(running_.find(id));
    throw;
  }
  if (!taken) drop(running_.find(id));
}

// It is in no handler's hands any more, and was not answered.
void BackendCore::drop(Running::iterator in_hand) noexcept {
  holds_.dropped(*in_hand->second.state);
  running_.erase(in_hand);
}

// No handler is asked.
void BackendCore::refuse(BroadcastId id, BroadcastFailureReason reason, std::string detail) {
  answer_at_once(id, Failure{reason, std::move(detail)});
}

void BackendCore::answer_at_once(BroadcastId id, Answer answer) {
  send_answer(id, answer);
  answers_.remember(id, std::move(answer), connection_);
}

// False when there is none: all that is in hand is waited for.
bool BackendCore::make_room() {
  if (running_.size() < kMaxInHand) return true;
  std::erase_if(running_, [this](const auto& entry) {
    const RequestPtr& state = entry.second.state;
    if (!state->over()) return false;
    state->cancelled = true;
    (void)port_.withdraw(state->ref.serial);
    holds_.dropped(*state);
    return true;
  });
  return running_.size() < kMaxInHand;
}

void BackendCore::on(wire::Cancel& /*cancel*/, BroadcastId id) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  const RequestPtr state = found->second.state;
  state->cancelled = true;
  if (port_.withdraw(state->ref.serial)) {  // no handler has seen it, and none will
    drop(found);
    return;
  }
  tell(CancelSeen{id});
}

BackendCore::Running::iterator BackendCore::find(RequestRef request) {
  const auto found = running_.find(request.id);
  const bool same = found != running_.end() && found->second.state->ref.serial == request.serial;
  return same ? found : running_.end();
}

// Remembered before it is sent: where sending fails for want of memory it is given again.
void BackendCore::answered(RequestRef request, const Answer& answer) {
  const auto found = find(request);
  if (found == running_.end()) return;
  answers_.remember(request.id, answer, with_broker() ? connection_ : 0);
  const InHand done = std::move(found->second);
  running_.erase(found);
  if (std::holds_alternative<Ack>(answer)) {
    note_acked(done);
  } else {
    holds_.dropped(*done.state);
  }
  if (with_broker()) {
    if (done.unsent) port_.send({request.id, *done.unsent});
    send_answer(request.id, answer);
  }
  tell_of_holds();
  tell_of_quiesce();
  if (phase_ == Phase::kLeaving && !any_with_handlers()) leave();
}

void BackendCore::released(RequestRef request) {
  const auto found = find(request);
  if (found == running_.end()) return;
  if (found->second.state->deferred) {
    found->second.with_handlers = false;
  } else {
    drop(found);  // too late, and no handler has seen it
  }
  if (phase_ == Phase::kLeaving && !any_with_handlers()) leave();
}

bool BackendCore::any_with_handlers() const {
  return std::any_of(running_.begin(), running_.end(),
                     [](const auto& entry) { return entry.second.with_handlers; });
}

void BackendCore::send_answer(BroadcastId id, const Answer& answer) {
  std::visit([&](const auto& what) { port_.send({id, what}); }, answer);
}

void BackendCore::send_unsent_answers() {
  while (const auto unsent = answers_.next_unsent(connection_)) {
    send_answer(unsent->id, unsent->answer);
  }
}

// While there is no connection it is dropped: it counts from now, and now is over when there is
// one again.
void BackendCore::working(RequestRef request, Working working) {
  const auto found = find(request);
  if (found == running_.end() || !with_broker()) return;
  std::optional<Working>& unsent = found->second.unsent;
  if (unsent) return merge(*unsent, std::move(working));
  if (port_.blocked()) {
    unsent = std::move(working);
  } else {
    port_.send({request.id, std::move(working)});
  }
}

void BackendCore::drained() {
  for (auto& [id, in_hand] : running_) {
    if (port_.blocked() || !with_broker()) return;
    if (!in_hand.unsent) continue;
    port_.send({id, *in_hand.unsent});
    in_hand.unsent.reset();
  }
}

void BackendCore::new_epoch(const std::string& epoch) {
  if (!epoch.empty() && epoch == epoch_) return;
  std::string now = epoch;
  std::vector<BroadcastId> ended;
  ended.reserve(running_.size());
  // From here on nothing fails: what half belongs to the broker before would be taken for this
  // one's.
  drop_waiting();
  for (const auto& [id, in_hand] : running_) {
    ended.push_back(id);
    if (is_of_shutdown(*in_hand.state)) shutdown_quiesce_ = id;
  }
  drop_running();
  answers_.forget_all();
  epoch_ = std::move(now);
  if (shutdown_quiesce_ && !quiesces_.any()) {
    over_ = HoldEnded{*shutdown_quiesce_, HoldEnd::kResumed};
  }
  shutdown_quiesce_.reset();
  note_quiesced();
  for (const BroadcastId id : ended) tell(CancelSeen{id});
}

void BackendCore::drop_waiting() {
  std::erase_if(running_, [this](const auto& entry) {
    if (!entry.second.with_handlers || !port_.withdraw(entry.second.state->ref.serial))
      return false;
    entry.second.state->cancelled = true;
    holds_.dropped(*entry.second.state);
    return true;
  });
}

void BackendCore::drop_running() {
  drop_waiting();
  for (const auto& [id, in_hand] : running_) {
    in_hand.state->cancelled = true;
    holds_.dropped(*in_hand.state);
  }
  running_.clear();
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
