// Reports of broadcasts and events, as they are read. How they are written: report_write.cpp.
//
// An enumeration of a newer broker never makes an operator's tool fail: what is not known counts as
// no ack, no end and no good reason.
#include "wire/holds.h"
#include "wire/operations.h"
#include "wire/values.h"
#include "wire/views.h"

namespace muster::wire {
namespace {

using std::chrono::milliseconds;

void take_reason(v1::Failure::Reason in, std::optional<BroadcastFailureReason>& reason) {
  if (!from_proto(in, reason).empty()) reason = BroadcastFailureReason::kBackendError;
}

// The operation is in `result` already.
std::string take_result(const v1::BroadcastResult& in, BroadcastResult& result) {
  std::string problem;
  for (const auto& ack : in.acks()) {
    problem = from_proto(ack.key(), result.acks.emplace_back().key);
    if (!problem.empty()) return problem;
  }
  for (const auto& timeout : in.timeouts()) {
    auto& added = result.timeouts.emplace_back();
    added.timeout = milliseconds(timeout.timeout_ms());
    problem = from_proto(timeout.key(), added.key);
    if (!problem.empty()) return problem;
  }
  for (const auto& failure : in.failures()) {
    auto& added = result.failures.emplace_back();
    problem = from_proto(failure.key(), added.key);
    if (!from_proto(failure.reason(), added.reason).empty()) {
      added.reason = BroadcastFailureReason::kBackendError;
    }
    if (!problem.empty()) return problem;
  }
  for (const auto& key : in.skipped_dead()) {
    problem = from_proto(key, result.skipped_dead.emplace_back());
    if (!problem.empty()) return problem;
  }
  return {};
}

std::string take_late(const v1::LateAnswer& in, LateAnswer& late) {
  auto problem = from_proto(in.key(), late.key);
  if (problem.empty()) problem = from_fractional_ms("lateness_ms", in.lateness_ms(), late.lateness);
  take_reason(in.reason(), late.reason);
  late.detail = in.detail();
  return problem;
}

}  // namespace

std::string from_proto(const v1::BackendOutcome& in, BackendOutcome& outcome) {
  auto problem = from_proto(in.key(), outcome.key);
  outcome.outcome = value_or(kOutcomes, in.outcome(), kUnknownOutcome);
  take_reason(in.reason(), outcome.reason);
  if (problem.empty() && outcome.outcome == OutcomeKind::kFailure && !outcome.reason) {
    problem = "a backend's outcome is a failure without a reason";
  }
  if (problem.empty()) {
    problem = from_fractional_ms("latency_ms", in.latency_ms(), outcome.latency);
  }
  outcome.incarnation = in.incarnation();
  outcome.pid = in.pid();
  outcome.uid = in.uid();
  outcome.detail = in.detail();
  outcome.ack_timeout = milliseconds(in.ack_timeout_ms());
  outcome.note = in.note();
  if (in.has_percent()) outcome.percent = in.percent();
  outcome.extensions = in.extensions();
  outcome.redeliveries = in.redeliveries();
  outcome.said_by = value_or(kSaidBy, in.said_by(), SaidBy::kBroker);
  outcome.cause = value_or(kCauses, in.cause(), Cause::kNone);
  if (in.has_released()) outcome.released = in.released();
  return problem;
}

std::string from_proto(const v1::BroadcastReport& in, std::optional<BroadcastReport>& report) {
  std::optional<BroadcastOperation> operation;
  auto problem = from_proto(in.result().operation(), operation);
  if (!problem.empty()) return problem;
  auto& out = report.emplace(std::move(*operation));
  out.broadcast_id = in.broadcast_id();
  out.state = value_or(kBroadcastStates, in.state(), BroadcastState::kRunning);
  if (problem.empty()) problem = take_result(in.result(), out.result);
  if (problem.empty()) problem = from_fractional_ms("duration_ms", in.duration_ms(), out.duration);
  out.started_unix_ms = in.started_unix_ms();
  out.operation_key = in.operation_key();
  if (in.has_asked_by()) out.asked_by = operator_of(in.asked_by());
  if (in.has_deadline_ms()) out.deadline = milliseconds(in.deadline_ms());
  out.id_not_durable = in.id_not_durable();
  out.backends_unknown = in.backends_unknown();
  out.verify = in.verify();
  if (problem.empty() && in.has_verification()) {
    problem = from_proto(in.verification(), out.verification.emplace());
  }
  if (problem.empty() && in.has_hold()) problem = from_proto(in.hold(), out.hold.emplace());
  out.interrupted = in.interrupted();
  for (const auto& backend : in.backends()) {
    if (problem.empty()) problem = from_proto(backend, out.backends.emplace_back());
  }
  for (const auto& late : in.late_acks()) {
    if (problem.empty()) problem = take_late(late, out.late_acks.emplace_back());
  }
  for (const auto& late : in.late_failures()) {
    if (problem.empty()) problem = take_late(late, out.late_failures.emplace_back());
  }
  return problem;
}

std::string from_proto(const v1::ControlEvent& in, Event& event) {
  event.kind = value_or(kEventKinds, in.kind(), kUnknownEventKind);
  std::string problem;
  if (in.has_key()) problem = from_proto(in.key(), event.key.emplace());
  if (problem.empty() && in.has_backend_outcome()) {
    problem = from_proto(in.backend_outcome(), event.backend_outcome.emplace());
  }
  event.unix_ms = in.unix_ms();
  event.broadcast_id = in.broadcast_id();
  event.pid = in.pid();
  event.uid = in.uid();
  event.detail = in.detail();
  event.targets = in.targets();
  event.acks = in.acks();
  event.timeouts = in.timeouts();
  event.failures = in.failures();
  event.skipped_dead = in.skipped_dead();
  event.operation = in.operation();
  event.joined = in.joined();
  event.was_refused = in.was_refused();
  if (in.has_asked_by()) event.asked_by = operator_of(in.asked_by());
  event.backends_unknown = in.backends_unknown();
  return problem;
}

}  // namespace muster::wire
