#include "model/report_rows.h"

#include <string>
#include <utility>

namespace muster {
namespace {

void add_to(BroadcastResult& result, const OutcomeView& view) {
  switch (view.outcome) {
    case OutcomeKind::kOpen:
      return;
    case OutcomeKind::kAck:
      result.acks.push_back({*view.key});
      return;
    case OutcomeKind::kTimeout:
      result.timeouts.push_back({*view.key, view.in_force});
      return;
    case OutcomeKind::kFailure:
      result.failures.push_back(
          {*view.key, view.reason.value_or(BroadcastFailureReason::kBackendError)});
      return;
    case OutcomeKind::kSkippedDead:
      result.skipped_dead.push_back(*view.key);
      return;
  }
}

}  // namespace

OutcomeView view_of(const BackendOutcome& outcome) {
  OutcomeView view{static_cast<const OutcomeRow&>(outcome)};
  view.key = &outcome.key;
  view.incarnation = outcome.incarnation;
  view.pid = outcome.pid;
  view.uid = outcome.uid;
  view.detail = outcome.detail;
  view.note = outcome.note;
  view.percent = outcome.percent;
  return view;
}

LateView view_of(const LateAnswer& late) {
  return {&late.key, late.lateness, late.reason, late.detail};
}

ReportHead head_of(const BroadcastReport& report) {
  ReportHead head;
  head.broadcast_id = report.broadcast_id;
  head.state = report.state;
  head.operation = &report.result.operation;
  head.started_unix_ms = report.started_unix_ms;
  head.duration = report.duration;
  head.operation_key = report.operation_key;
  if (report.asked_by) head.asked_by = &*report.asked_by;
  head.deadline = report.deadline;
  head.id_not_durable = report.id_not_durable;
  head.backends_unknown = report.backends_unknown;
  head.verify = report.verify;
  if (report.verification) head.verification = &*report.verification;
  if (report.hold) head.hold = &*report.hold;
  head.interrupted = report.interrupted;
  return head;
}

BackendOutcome to_value(const OutcomeView& view) {
  BackendOutcome outcome;
  static_cast<OutcomeRow&>(outcome) = static_cast<const OutcomeRow&>(view);
  outcome.key = *view.key;
  outcome.incarnation = view.incarnation;
  outcome.pid = view.pid;
  outcome.uid = view.uid;
  outcome.detail = view.detail;
  outcome.note = view.note;
  outcome.percent = view.percent;
  return outcome;
}

BroadcastReport to_value(const ReportHead& head) {
  BroadcastReport report(*head.operation);
  report.broadcast_id = head.broadcast_id;
  report.state = head.state;
  report.started_unix_ms = head.started_unix_ms;
  report.duration = head.duration;
  report.operation_key = head.operation_key;
  if (head.asked_by != nullptr) report.asked_by = *head.asked_by;
  report.deadline = head.deadline;
  report.id_not_durable = head.id_not_durable;
  report.backends_unknown = head.backends_unknown;
  report.verify = head.verify;
  if (head.verification != nullptr) report.verification = *head.verification;
  if (head.hold != nullptr) report.hold = *head.hold;
  report.interrupted = head.interrupted;
  return report;
}

BroadcastReport to_value(const ReportSource& source) {
  BroadcastReport report = to_value(source.head());
  source.for_each_backend([&](const OutcomeView& view) {
    report.backends.push_back(to_value(view));
    add_to(report.result, view);
  });
  source.for_each_late([&](const LateView& late) {
    auto& list = late.reason ? report.late_failures : report.late_acks;
    list.push_back({*late.key, late.lateness, late.reason, std::string(late.detail)});
  });
  return report;
}

}  // namespace muster
