#include "core/broadcast.h"

#include <algorithm>

namespace muster::core {
bool Broadcast::settle(std::uint32_t target, OutcomeKind outcome, Cause cause, SteadyTime when,
                       BroadcastFailureReason reason) noexcept {
  auto& settled = targets[target];
  if (settled.outcome != OutcomeKind::kOpen) return false;
  settled.outcome = outcome;
  settled.cause = cause;
  settled.settled_at = when;
  switch (outcome) {
    case OutcomeKind::kAck:
      ++acks;
      break;
    case OutcomeKind::kTimeout:
      ++timeouts;
      break;
    default:
      ++failures;
      settled.reason = reason;
      break;
  }
  if (complete()) {
    ended = when;
    state = cancelling ? BroadcastState::kCancelled : BroadcastState::kFinished;
    frames.clear();
  }
  return true;
}

SteadyTime Broadcast::latest_end(std::chrono::milliseconds max_ack_timeout) const noexcept {
  return started + std::min(max_ack_timeout, request.deadline.value_or(max_ack_timeout));
}

TargetText& Broadcast::text_of(std::uint32_t target) {
  auto& index = targets[target].text;
  if (index == Target::kNoText) {
    texts.emplace_back();  // before the index that points to it: it may throw
    index = static_cast<std::uint32_t>(texts.size() - 1);
  }
  return texts[index];
}

std::optional<std::uint32_t> Broadcast::find(std::uint64_t order) const {
  const auto found =
      std::lower_bound(targets.begin(), targets.end(), order,
                       [](const Target& target, std::uint64_t o) { return target.who->order < o; });
  if (found == targets.end() || found->who->order != order) return std::nullopt;
  return static_cast<std::uint32_t>(found - targets.begin());
}

const FramePtr* Broadcast::frame_for(std::chrono::milliseconds budget) const {
  const auto found = std::lower_bound(
      frames.begin(), frames.end(), budget,
      [](const BudgetFrame& frame, std::chrono::milliseconds b) { return frame.budget < b; });
  return found != frames.end() && found->budget == budget ? &found->frame : nullptr;
}

void Broadcast::add_frame(std::chrono::milliseconds budget, FramePtr frame) {
  const auto place = std::lower_bound(
      frames.begin(), frames.end(), budget,
      [](const BudgetFrame& other, std::chrono::milliseconds b) { return other.budget < b; });
  frames.insert(place, {budget, std::move(frame)});
}

void Broadcast::give_back_room() {
  constexpr std::size_t kLittle = 16;
  const auto give_back = [](auto& list) {
    if (list.capacity() > 2 * list.size() + kLittle) list.shrink_to_fit();
  };
  give_back(targets);
  give_back(skipped);
}

}  // namespace muster::core
