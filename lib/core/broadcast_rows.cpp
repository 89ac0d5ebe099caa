#include "core/broadcast_rows.h"

namespace muster::core {
namespace {

template <class Duration>
Duration between(SteadyTime from, SteadyTime to) {
  return std::chrono::duration_cast<Duration>(to - from);
}

OutcomeRow describe(const Enrolment& who) {
  OutcomeRow row;
  row.key = &who.key();
  row.incarnation = who.incarnation;
  row.pid = who.peer.process.pid;
  row.uid = who.peer.uid;
  return row;
}

OutcomeRow describe(const SkippedTarget& skipped) {
  OutcomeRow row = describe(*skipped.who);
  row.outcome = OutcomeKind::kSkippedDead;
  row.cause = skipped.cause;
  row.said_by = said_by(skipped.cause);
  row.detail = to_string(skipped.cause);
  return row;
}

}  // namespace

ReportHead BroadcastRows::head() const {
  const Broadcast& broadcast = *broadcast_;
  ReportHead head;
  head.broadcast_id = broadcast.id;
  head.state = broadcast.state;
  head.operation = &broadcast.request.operation;
  head.started_unix_ms = broadcast.started_unix_ms;
  head.duration = between<std::chrono::microseconds>(broadcast.started,
                                                     broadcast.complete() ? broadcast.ended : now_);
  head.operation_key = broadcast.request.operation_key;
  if (broadcast.asked_by) head.asked_by = &*broadcast.asked_by;
  head.deadline = broadcast.request.deadline;
  head.id_not_durable = broadcast.id_not_durable;
  head.backends_unknown = broadcast.backends_unknown;
  return head;
}

OutcomeRow BroadcastRows::target(std::uint32_t index) const {
  const Target& target = broadcast_->targets[index];
  OutcomeRow row = describe(*target.who);
  row.outcome = target.outcome;
  row.ack_timeout = target.budget;
  row.in_force = between<std::chrono::milliseconds>(broadcast_->started, target.deadline_at);
  if (target.outcome != OutcomeKind::kOpen) {
    row.latency = between<std::chrono::microseconds>(broadcast_->started, target.settled_at);
  }
  if (target.outcome == OutcomeKind::kFailure) row.reason = target.reason;
  row.extensions = target.extensions;
  row.redeliveries = target.redeliveries;
  row.cause = target.cause;
  row.said_by = said_by(target.cause);
  if (target.released != Target::kNotSaid) row.released = target.released;
  if (target.text != Target::kNoText) {
    const TargetText& text = broadcast_->texts[target.text];
    if (target.cause == Cause::kAnswer) row.detail = text.detail;
    row.note = text.note;
    row.percent = text.percent;
  }
  if (target.cause != Cause::kAnswer && target.cause != Cause::kNone) {
    row.detail = explain(target.cause, row.pid);
  }
  return row;
}

void BroadcastRows::for_each_backend(const std::function<void(const OutcomeRow&)>& visit) const {
  const auto& skipped = broadcast_->skipped;
  const auto count = static_cast<std::uint32_t>(broadcast_->targets.size());
  auto dead = skipped.begin();
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t order = broadcast_->targets[i].who->order;
    for (; dead != skipped.end() && dead->who->order < order; ++dead) visit(describe(*dead));
    visit(target(i));
  }
  for (; dead != skipped.end(); ++dead) visit(describe(*dead));
}

void BroadcastRows::for_each_late(const std::function<void(const LateRow&)>& visit) const {
  for (const LateRecord& record : broadcast_->late) {
    visit({&broadcast_->targets[record.target].who->key(), record.lateness, record.reason,
           record.detail});
  }
}

}  // namespace muster::core
