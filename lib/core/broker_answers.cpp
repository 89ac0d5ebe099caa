// Answers of backends: in time, late, a second one, or to an unknown broadcast.
#include <algorithm>
#include <memory>
#include <new>

#include "core/broker_state.h"
#include "core/report_bytes.h"

namespace muster::core {
namespace {

// What an entry owes is in the order in which it was asked: ids ascend.
std::vector<OpenOperation>::iterator place_of(std::vector<OpenOperation>& open, BroadcastId id) {
  if (!open.empty() && open.front().id == id) return open.begin();
  return std::lower_bound(open.begin(), open.end(), id,
                          [](const OpenOperation& one, BroadcastId i) { return one.id < i; });
}

OpenOperation* find_open(Entry& entry, BroadcastId id) {
  const auto found = place_of(entry.open, id);
  return found == entry.open.end() || found->id != id ? nullptr : &*found;
}

}  // namespace

void Broker::acked(ConnectionId connection, BroadcastId id, const Ack& ack, Now now) {
  auto& state = *state_;
  auto* entry = state.answering(connection, "Ack", now);
  if (entry == nullptr) return;
  const auto* open = find_open(*entry, id);
  if (open == nullptr) return state.stray_answer(state.find(connection)->entry, id, nullptr, now);
  auto& broadcast = *open->broadcast;
  auto& target = broadcast.targets[open->target];
  target.answered = true;
  target.released = ack.released;
  state.note_quiesced(broadcast, *entry, now);
  if (broadcast.request.hold) {
    state.note_held(broadcast, state.find(connection)->entry, now);
  }
  state.settle(broadcast, open->target, OutcomeKind::kAck, Cause::kAnswer, now);
}

void Broker::failed(ConnectionId connection, BroadcastId id, const Failure& failure, Now now) {
  auto& state = *state_;
  auto* entry = state.answering(connection, "Failure", now);
  if (entry == nullptr) return;
  const auto* open = find_open(*entry, id);
  if (open == nullptr) return state.stray_answer(state.find(connection)->entry, id, &failure, now);
  auto& broadcast = *open->broadcast;
  broadcast.targets[open->target].answered = true;
  if (!failure.detail.empty()) {
    unless_out_of_memory(
        [&] { broadcast.keep(broadcast.text_of(open->target).detail, failure.detail); });
  }
  state.settle(broadcast, open->target, OutcomeKind::kFailure, Cause::kAnswer, now, failure.reason);
}

void Broker::working(ConnectionId connection, BroadcastId id, const Working& working, Now now) {
  auto& state = *state_;
  auto* entry = state.answering(connection, "Working", now);
  if (entry == nullptr) return;
  const auto* open = find_open(*entry, id);
  if (open == nullptr) return;  // it crossed the outcome on the way: nothing to extend any more
  auto& broadcast = *open->broadcast;
  auto& target = broadcast.targets[open->target];
  // More time, never less: a note with a short extension does not cut a budget. The cap is looked
  // at first, so that no extension overflows.
  const auto latest = broadcast.latest_end(state.config.max_ack_timeout);
  const auto until = working.extend > state.config.max_ack_timeout
                         ? latest
                         : std::min(now.steady + working.extend, latest);
  if (until > target.deadline_at) {
    state.disarm(target.deadline);
    target.deadline_at = until;
    Deadline deadline;
    deadline.kind = Deadline::Kind::kTarget;
    deadline.broadcast = &broadcast;
    deadline.index = open->target;
    try {
      target.deadline = state.arm(deadline, until);
    } catch (const std::bad_alloc&) {  // it would never end
      return state.settle(broadcast, open->target, OutcomeKind::kFailure, Cause::kBrokerError, now);
    }
    ++target.extensions;
  }
  unless_out_of_memory([&] {
    auto& text = broadcast.text_of(open->target);
    broadcast.keep(text.note, working.note);
    text.percent = working.percent;
  });
  if (state.shell.wants_every_outcome()) {
    state.tell_outcome(Event::Kind::kWorking, broadcast, open->target, now);
  }
}

void Broker::State::stray_answer(EntryId id_of_entry, BroadcastId id, const Failure* failure,
                                 Now now) {
  auto& entry = registry.at(id_of_entry);
  const auto& who = *entry.enrolment;
  auto* broadcast = log.find(id);
  const auto index = broadcast == nullptr ? std::nullopt : broadcast->find(who.order);
  const auto was_asked = [&](const Target& target) {
    return target.sent &&
           (target.who->incarnation == who.incarnation || target.who->peer.same_process(who.peer));
  };
  const bool asked = index && was_asked(broadcast->targets[*index]);
  if (!asked) {
    // The broker restarted, or the report has expired: not an error.
    ++counters.unmatched_answers;
    unless_out_of_memory([&] {
      tell(Event::Kind::kUnmatchedAnswer, who, now,
           "answers broadcast " + std::to_string(id) + ", which is not known here (any more)");
    });
    return;
  }
  auto& target = broadcast->targets[*index];
  if (target.answered) {
    ++counters.duplicate_answers;
    tell_outcome(Event::Kind::kDuplicateAnswer, *broadcast, *index, now);
    return;
  }
  target.answered = true;
  ++counters.late_answers;
  if (failure == nullptr) note_quiesced(*broadcast, entry, now);
  if (failure == nullptr && broadcast->request.hold) note_held(*broadcast, id_of_entry, now);
  // A cancelled or lost target has no deadline that passed: late is what came after its outcome.
  const auto due = target.outcome == OutcomeKind::kTimeout ? target.deadline_at
                                                           : broadcast->started + target.latency;
  const std::size_t late_before = broadcast->late.size();
  unless_out_of_memory([&] {
    LateRecord& record = broadcast->late.emplace_back();
    record.target = *index;
    record.lateness = std::chrono::duration_cast<std::chrono::microseconds>(now.steady - due);
    if (failure != nullptr) {
      record.reason = failure->reason;
      broadcast->keep(record.detail, failure->detail);
    }
  });
  tell_outcome(Event::Kind::kLateAnswer, *broadcast, *index, now);
  if (!is_over(broadcast->state) || broadcast->late.size() == late_before) return;
  log.has_grown(*broadcast, bytes_of(broadcast->late.back()));
  expire_reports(now);
}

// Late or not, it is quiesced now.
void Broker::State::note_quiesced(const Broadcast& broadcast, Entry& entry, Now now) noexcept {
  const auto* quiesce = broadcast.request.operation.as_quiesce();
  if (quiesce == nullptr || quiesce->reason == QuiesceReason::kBrokerShutdown) return;
  entry.quiesced.add({broadcast.id, quiesce->reason, false, now.unix_ms, broadcast.quiesced_by});
  shell.record_changed(entry.enrolment->key());
}

void Broker::State::target_deadline(Broadcast& broadcast, std::uint32_t index, Now now) {
  auto& target = broadcast.targets[index];
  target.deadline = {};
  const auto& entry = registry.at(target.entry);
  const auto& whole = broadcast.request.deadline;
  const bool whole_passed = whole && target.deadline_at >= broadcast.started + *whole;
  if (entry.state != BackendState::kLive && !whole_passed) {
    settle(broadcast, index, OutcomeKind::kFailure, entry.cause, now);
    return;
  }
  // Before it is settled: that may be the last outcome of a broker that goes down.
  tell_cancelled(entry, broadcast.id);
  settle(broadcast, index, OutcomeKind::kTimeout,
         whole_passed ? Cause::kDeadline : Cause::kAckTimeout, now);
}

void Broker::State::settle(Broadcast& broadcast, std::uint32_t index, OutcomeKind outcome,
                           Cause cause, Now now, BroadcastFailureReason reason) {
  if (!broadcast.settle(index, outcome, cause, now.steady, reason)) return;
  auto& target = broadcast.targets[index];
  disarm(target.deadline);
  auto& open = registry.at(target.entry).open;
  const auto done = place_of(open, broadcast.id);
  if (done != open.end() && done->id == broadcast.id) open.erase(done);
  switch (outcome) {
    case OutcomeKind::kAck:
      ++counters.acks;
      break;
    case OutcomeKind::kTimeout:
      ++counters.timeouts;
      break;
    default:
      ++counters.failures;
      break;
  }
  if (outcome != OutcomeKind::kAck || shell.wants_every_outcome()) {
    tell_outcome(Event::Kind::kOutcome, broadcast, index, now);
  }
  if (broadcast.complete()) completed(broadcast, now);  // it was the last
}

void Broker::State::completed(Broadcast& broadcast, Now now) {
  if (broadcast.request.hold) begin_hold(broadcast, now);
  if (broadcast.state == BroadcastState::kVerifying) return verify(broadcast, now);
  finish(broadcast, now);
}

void Broker::State::finish(Broadcast& broadcast, Now now) {
  ++counters.broadcasts_finished;
  if (broadcast.charged) accounts.give_back(Resource::kBroadcast, *broadcast.charged);
  log.finished(broadcast);
  tell(Event::Kind::kBroadcastFinished, broadcast, now);
  shell.ended(broadcast.id);  // before its report can be dropped for others
  expire_reports(now);
  maybe_drained();
}

}  // namespace muster::core
