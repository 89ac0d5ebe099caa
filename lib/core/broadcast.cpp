#include "core/broadcast.h"

#include <algorithm>

namespace muster::core {
namespace {

std::chrono::microseconds between(SteadyTime from, SteadyTime to) {
  return std::chrono::duration_cast<std::chrono::microseconds>(to - from);
}

BackendOutcome describe(const Enrolment& who) {
  BackendOutcome described;
  described.key = who.key();
  described.incarnation = who.incarnation;
  described.pid = who.peer.process.pid;
  described.uid = who.peer.uid;
  return described;
}

}  // namespace

bool Broadcast::settle(std::uint32_t target, OutcomeKind outcome, SteadyTime when,
                       BroadcastFailureReason reason, std::string detail) {
  auto& settled = targets[target];
  if (settled.outcome != OutcomeKind::kOpen) return false;
  settled.outcome = outcome;
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
      if (!detail.empty()) text_of(target).detail = std::move(detail);
      break;
  }
  if (complete()) {
    ended = when;
    state = cancelling ? BroadcastState::kCancelled : BroadcastState::kFinished;
    frames.clear();
  }
  return true;
}

TargetText& Broadcast::text_of(std::uint32_t target) {
  auto& index = targets[target].text;
  if (index == Target::kNoText) {
    index = static_cast<std::uint32_t>(texts.size());
    texts.emplace_back();
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

BackendOutcome Broadcast::outcome_of(std::uint32_t index) const {
  const auto& target = targets[index];
  auto outcome = describe(*target.who);
  outcome.outcome = target.outcome;
  outcome.ack_timeout = target.budget;
  if (target.outcome != OutcomeKind::kOpen) outcome.latency = between(started, target.settled_at);
  if (target.outcome == OutcomeKind::kFailure) outcome.reason = target.reason;
  outcome.extensions = target.extensions;
  outcome.redeliveries = target.redeliveries;
  if (target.text != Target::kNoText) {
    const auto& text = texts[target.text];
    outcome.detail = text.detail;
    outcome.note = text.note;
    outcome.percent = text.percent;
  }
  return outcome;
}

BroadcastReport Broadcast::report(SteadyTime now) const {
  BroadcastReport report(request.operation);
  report.broadcast_id = id;
  report.state = state;
  report.started_unix_ms = started_unix_ms;
  report.duration = between(started, complete() ? ended : now);
  report.operation_key = request.operation_key;

  auto& result = report.result;
  report.backends.reserve(targets.size() + skipped.size());
  auto dead = skipped.begin();
  const auto add_dead_before = [&](std::uint64_t order) {
    for (; dead != skipped.end() && dead->who->order < order; ++dead) {
      auto outcome = describe(*dead->who);
      outcome.outcome = OutcomeKind::kSkippedDead;
      outcome.detail = to_string(dead->gone);
      report.backends.push_back(std::move(outcome));
      result.skipped_dead.push_back(dead->who->key());
    }
  };
  for (std::uint32_t i = 0; i < targets.size(); ++i) {
    const auto& target = targets[i];
    const auto& key = target.who->key();
    add_dead_before(target.who->order);
    report.backends.push_back(outcome_of(i));
    if (target.outcome == OutcomeKind::kAck) result.acks.push_back({key});
    if (target.outcome == OutcomeKind::kFailure) result.failures.push_back({key, target.reason});
    if (target.outcome == OutcomeKind::kTimeout) {
      // What was in force: the budget, and what the backend asked for beyond it.
      const auto in_force =
          std::chrono::duration_cast<std::chrono::milliseconds>(target.deadline_at - started);
      result.timeouts.push_back({key, in_force});
    }
  }
  add_dead_before(~std::uint64_t{0});

  for (const auto& record : late) {
    LateAnswer answer{targets[record.target].who->key(), record.lateness, record.reason,
                      record.detail};
    auto& list = record.reason ? report.late_failures : report.late_acks;
    list.push_back(std::move(answer));
  }
  return report;
}

}  // namespace muster::core
