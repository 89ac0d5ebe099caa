#include "core/broadcast.h"

#include <algorithm>

#include "model/characters.h"

namespace muster::core {
bool Broadcast::settle(std::uint32_t target, OutcomeKind outcome, Cause cause, SteadyTime when,
                       BroadcastFailureReason reason) noexcept {
  auto& settled = targets[target];
  if (settled.outcome != OutcomeKind::kOpen) return false;
  settled.outcome = outcome;
  settled.cause = cause;
  settled.said_by = said_by(cause);
  settled.latency = std::chrono::duration_cast<std::chrono::microseconds>(when - started);
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
  if (complete()) completed(when);
  return true;
}

void Broadcast::completed(SteadyTime when) noexcept {
  ended = when;
  state = request.verify ? BroadcastState::kVerifying : BroadcastState::kFinished;
  if (cancelling) state = BroadcastState::kCancelled;
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

void Broadcast::keep(std::string& kept, std::string_view text) {
  const auto pooled = [](std::size_t length) {
    return length > kTextBeginning ? length - kTextBeginning : 0;
  };
  const std::size_t others = pool_used - pooled(kept.size());
  const std::size_t most = kTextBeginning + (kTextPool - others);
  constexpr std::string_view kMore = "...";
  std::string fresh;  // with no more room than it needs
  if (text.size() <= most) {
    fresh = text;
  } else {
    const auto beginning = text.substr(0, utf8::cut_at(text, most - kMore.size()));
    fresh.reserve(beginning.size() + kMore.size());
    fresh.append(beginning).append(kMore);
  }
  kept.swap(fresh);
  pool_used = others + pooled(kept.size());
}

std::optional<std::uint32_t> Broadcast::find(std::uint64_t order) const {
  const auto found =
      std::lower_bound(targets.begin(), targets.end(), order,
                       [](const Target& target, std::uint64_t o) { return target.who->order < o; });
  if (found == targets.end() || found->who->order != order) return std::nullopt;
  return static_cast<std::uint32_t>(found - targets.begin());
}

OutgoingOperation Broadcast::outgoing(std::chrono::milliseconds budget) const {
  OutgoingOperation outgoing;
  outgoing.broadcast_id = id;
  outgoing.operation = request.operation;
  if (request.operation.as_quiesce() != nullptr || request.hold) outgoing.hold_id = id;
  outgoing.traceparent = request.traceparent;
  outgoing.tracestate = request.tracestate;
  set_budget(outgoing, budget);
  return outgoing;
}

void Broadcast::set_budget(OutgoingOperation& outgoing, std::chrono::milliseconds budget) const {
  outgoing.ack_timeout = budget;
  outgoing.deadline_unix_ms = started_unix_ms + static_cast<std::uint64_t>(budget.count());
}

void Broadcast::give_back_room() {
  constexpr std::size_t kLittle = 2;
  const auto give_back = [](auto& list) {
    if (list.capacity() > list.size() + list.size() / 4 + kLittle) list.shrink_to_fit();
  };
  give_back(targets);
  give_back(skipped);
  give_back(texts);
}

}  // namespace muster::core
