#include "model/report_rows.h"

#include <string>
#include <utility>

namespace muster {
namespace {

void add_to(BroadcastResult& result, const OutcomeRow& row) {
  switch (row.outcome) {
    case OutcomeKind::kOpen:
      return;
    case OutcomeKind::kAck:
      result.acks.push_back({*row.key});
      return;
    case OutcomeKind::kTimeout:
      result.timeouts.push_back({*row.key, row.in_force});
      return;
    case OutcomeKind::kFailure:
      result.failures.push_back(
          {*row.key, row.reason.value_or(BroadcastFailureReason::kBackendError)});
      return;
    case OutcomeKind::kSkippedDead:
      result.skipped_dead.push_back(*row.key);
      return;
  }
}

}  // namespace

BackendOutcome to_value(const OutcomeRow& row) {
  BackendOutcome outcome;
  outcome.key = *row.key;
  outcome.incarnation = row.incarnation;
  outcome.pid = row.pid;
  outcome.uid = row.uid;
  outcome.outcome = row.outcome;
  outcome.reason = row.reason;
  outcome.detail = row.detail;
  outcome.ack_timeout = row.ack_timeout;
  outcome.latency = row.latency;
  outcome.note = row.note;
  outcome.percent = row.percent;
  outcome.extensions = row.extensions;
  outcome.redeliveries = row.redeliveries;
  outcome.said_by = row.said_by;
  outcome.cause = row.cause;
  outcome.released = row.released;
  return outcome;
}

BroadcastReport to_value(const ReportSource& source) {
  const ReportHead head = source.head();
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
  source.for_each_backend([&](const OutcomeRow& row) {
    report.backends.push_back(to_value(row));
    add_to(report.result, row);
  });
  source.for_each_late([&](const LateRow& row) {
    auto& list = row.reason ? report.late_failures : report.late_acks;
    list.push_back({*row.key, row.lateness, row.reason, std::string(row.detail)});
  });
  return report;
}

}  // namespace muster
