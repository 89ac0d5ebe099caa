#include "core/broadcast_rows.h"

namespace muster::core {
namespace {

template <class Duration>
Duration between(SteadyTime from, SteadyTime to) {
  return std::chrono::duration_cast<Duration>(to - from);
}

OutcomeView view_of(const OutcomeRow& row, const Enrolment& who) {
  OutcomeView view{row};
  view.key = &who.key();
  view.incarnation = who.incarnation;
  view.pid = who.peer.process.pid;
  view.uid = who.peer.uid;
  return view;
}

OutcomeView view_of(const SkippedTarget& skipped) {
  OutcomeRow row;
  row.outcome = OutcomeKind::kSkippedDead;
  row.cause = skipped.cause;
  row.said_by = said_by(skipped.cause);
  OutcomeView view = view_of(row, *skipped.who);
  view.detail = to_string(skipped.cause);
  return view;
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
  head.verify = broadcast.request.verify;
  if (broadcast.proof && broadcast.proof->verification.scans != 0) {
    head.verification = &broadcast.proof->verification;
  }
  head.hold = hold_ != nullptr ? hold_ : broadcast.hold.get();
  return head;
}

void BroadcastRows::visit_target(const Target& target, auto&& visit) const {
  OutcomeView view = view_of(target, *target.who);
  view.in_force = between<std::chrono::milliseconds>(broadcast_->started, target.deadline_at);
  if (target.text != Target::kNoText) {
    const TargetText& text = broadcast_->texts[target.text];
    if (target.cause == Cause::kAnswer) view.detail = text.detail;
    view.note = text.note;
    view.percent = text.percent;
  }
  if (target.cause == Cause::kAnswer || target.cause == Cause::kNone) return visit(view);
  const std::string why = explain(target.cause, view.pid);
  view.detail = why;
  visit(view);
}

BackendOutcome BroadcastRows::outcome(std::uint32_t target) const {
  BackendOutcome value;
  visit_target(broadcast_->targets[target],
               [&](const OutcomeView& view) { value = to_value(view); });
  return value;
}

void BroadcastRows::for_each_backend(const std::function<void(const OutcomeView&)>& visit) const {
  auto dead = broadcast_->skipped.begin();
  const auto end = broadcast_->skipped.end();
  for (const Target& target : broadcast_->targets) {
    for (; dead != end && dead->who->order < target.who->order; ++dead) visit(view_of(*dead));
    visit_target(target, visit);
  }
  for (; dead != end; ++dead) visit(view_of(*dead));
}

void BroadcastRows::for_each_late(const std::function<void(const LateView&)>& visit) const {
  for (const LateRecord& record : broadcast_->late) {
    visit({&broadcast_->targets[record.target].who->key(), record.lateness, record.reason,
           record.detail});
  }
}

}  // namespace muster::core
