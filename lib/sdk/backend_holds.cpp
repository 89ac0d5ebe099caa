// BackendCore: holds and quiesces, from the ack to their end.
#include <utility>
#include <variant>

#include "sdk/backend_core.h"

namespace muster {
namespace {

HandlerCall as_call(HoldMemory::ToTell what) {
  return std::visit([](auto& one) { return HandlerCall(std::move(one)); }, what);
}

}  // namespace

bool BackendCore::holds_path(const OutgoingOperation& operation) {
  return operation.hold_id && operation.operation.as_release_handles() != nullptr;
}

// Not an idle quiesce: that ends with the next work.
bool BackendCore::is_to_last(const OutgoingOperation& operation) {
  const auto* quiesce = operation.operation.as_quiesce();
  return operation.hold_id &&
         (quiesce == nullptr || quiesce->reason != QuiesceReason::kIdleTimeout);
}

// In this order: one that is answered counts as acked before it stops to be asked.
bool BackendCore::is_quiesced() const {
  return holds_.has_quiesce() || (quiesced_.load() && holds_.is_here());
}

void BackendCore::note_acked(const InHand& done) noexcept {
  const OutgoingOperation& operation = done.state->message;
  const auto* quiesce = operation.operation.as_quiesce();
  if (quiesce == nullptr) return holds_.acked(*done.state);
  const HoldId id = operation.hold_id.value_or(operation.broadcast_id);
  if (quiesce->reason == QuiesceReason::kBrokerShutdown) {
    shutdown_quiesce_ = id;
  } else if (done.hold_ended) {
    over_ = HoldEnded{id, *done.hold_ended};
  } else {
    quiesces_.add(id, quiesce->reason);
  }
  note_quiesced();
  holds_.dropped(*done.state);
}

void BackendCore::note_quiesced() noexcept { quiesced_ = quiesces_.any() || shutdown_quiesce_; }

// It may come for a hold whose request is still in its handler's hands, or was never acked.
void BackendCore::on(HoldEnded& ended, std::uint64_t /*id*/) {
  const HoldId id = ended.hold_id;
  for (auto& [broadcast, in_hand] : running_) {
    const OutgoingOperation& operation = in_hand.state->message;
    if (operation.hold_id.value_or(broadcast) == id) in_hand.hold_ended = ended.why;
  }
  const bool is_of_quiesce = quiesces_.end(id) || shutdown_quiesce_ == id;
  if (shutdown_quiesce_ == id) shutdown_quiesce_.reset();
  note_quiesced();
  const bool is_told = holds_.ended(id, ended.why);
  if (is_of_quiesce && !is_told) over_ = ended;
  tell_of_holds();
  tell_of_quiesce();
}

void BackendCore::note_listed(const std::vector<ActiveHold>& holds) {
  holds_.listed(holds, [this](HoldId id) {
    return quiesces_.contains(id) || shutdown_quiesce_ == id || (over_ && over_->hold_id == id);
  });
}

// What is not taken now comes with the next registration.
void BackendCore::tell_of_holds() {
  while (const auto next = holds_.next_to_tell()) {
    if (!tell(as_call(*next))) return;
    holds_.told(*next);
  }
}

void BackendCore::tell_of_quiesce() {
  if (over_ && tell(*over_)) over_.reset();
}

}  // namespace muster
