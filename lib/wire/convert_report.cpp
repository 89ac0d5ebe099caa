// Reports of broadcasts.
#include "wire/convert.h"
#include "wire/enums.h"
#include "wire/text.h"

namespace muster::wire {
namespace {

using std::chrono::milliseconds;

constexpr EnumTable<OutcomeKind, v1::BackendOutcome::Outcome, 5> kOutcomes{{
    {OutcomeKind::kOpen, v1::BackendOutcome::OPEN},
    {OutcomeKind::kAck, v1::BackendOutcome::ACK},
    {OutcomeKind::kTimeout, v1::BackendOutcome::TIMEOUT},
    {OutcomeKind::kFailure, v1::BackendOutcome::FAILURE},
    {OutcomeKind::kSkippedDead, v1::BackendOutcome::SKIPPED_DEAD},
}};

constexpr EnumTable<BroadcastState, v1::BroadcastReport::State, 3> kStates{{
    {BroadcastState::kRunning, v1::BroadcastReport::RUNNING},
    {BroadcastState::kFinished, v1::BroadcastReport::FINISHED},
    {BroadcastState::kCancelled, v1::BroadcastReport::CANCELLED},
}};

void put_result(const BroadcastResult& result, v1::BroadcastResult& out) {
  to_proto(result.operation, *out.mutable_operation());
  for (const auto& ack : result.acks) to_proto(ack.key, *out.add_acks()->mutable_key());
  for (const auto& timeout : result.timeouts) {
    auto& added = *out.add_timeouts();
    to_proto(timeout.key, *added.mutable_key());
    added.set_timeout_ms(to_ms(timeout.timeout));
  }
  for (const auto& failure : result.failures) {
    auto& added = *out.add_failures();
    to_proto(failure.key, *added.mutable_key());
    added.set_reason(to_proto(failure.reason));
  }
  for (const auto& key : result.skipped_dead) to_proto(key, *out.add_skipped_dead());
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
    if (problem.empty()) problem = from_proto(failure.reason(), added.reason);
    if (!problem.empty()) return problem;
  }
  for (const auto& key : in.skipped_dead()) {
    problem = from_proto(key, result.skipped_dead.emplace_back());
    if (!problem.empty()) return problem;
  }
  return {};
}

void put_late(const LateAnswer& late, Texts texts, v1::LateAnswer& out) {
  to_proto(late.key, *out.mutable_key());
  out.set_lateness_ms(to_fractional_ms(late.lateness));
  if (late.reason) out.set_reason(to_proto(*late.reason));
  if (texts == Texts::kAll) out.set_detail(to_utf8(late.detail, kMaxDetailBytes));
}

std::string take_late(const v1::LateAnswer& in, LateAnswer& late) {
  auto problem = from_proto(in.key(), late.key);
  if (problem.empty()) problem = from_fractional_ms("lateness_ms", in.lateness_ms(), late.lateness);
  if (problem.empty()) problem = from_proto(in.reason(), late.reason);
  late.detail = in.detail();
  return problem;
}

}  // namespace

void to_proto(const BackendOutcome& outcome, Texts texts, v1::BackendOutcome& out) {
  to_proto(outcome.key, *out.mutable_key());
  out.set_incarnation(outcome.incarnation);
  out.set_pid(outcome.pid);
  out.set_uid(outcome.uid);
  out.set_outcome(proto_of(kOutcomes, outcome.outcome));
  if (outcome.reason) out.set_reason(to_proto(*outcome.reason));
  out.set_ack_timeout_ms(to_ms(outcome.ack_timeout));
  out.set_latency_ms(to_fractional_ms(outcome.latency));
  if (outcome.percent) out.set_percent(*outcome.percent);
  out.set_extensions(outcome.extensions);
  out.set_redeliveries(outcome.redeliveries);
  if (texts == Texts::kNone) return;
  out.set_detail(to_utf8(outcome.detail, kMaxDetailBytes));
  out.set_note(to_utf8(outcome.note, kMaxNoteBytes));
}

std::string from_proto(const v1::BackendOutcome& in, BackendOutcome& outcome) {
  auto problem = from_proto(in.key(), outcome.key);
  if (problem.empty()) {
    problem = value_of(kOutcomes, "a backend's outcome", in.outcome(), outcome.outcome);
  }
  if (problem.empty()) problem = from_proto(in.reason(), outcome.reason);
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
  return problem;
}

void to_proto(const BroadcastReport& report, Texts texts, v1::BroadcastReport& out) {
  out.set_broadcast_id(report.broadcast_id);
  out.set_state(proto_of(kStates, report.state));
  put_result(report.result, *out.mutable_result());
  for (const auto& backend : report.backends) to_proto(backend, texts, *out.add_backends());
  for (const auto& late : report.late_acks) put_late(late, texts, *out.add_late_acks());
  for (const auto& late : report.late_failures) put_late(late, texts, *out.add_late_failures());
  out.set_started_unix_ms(report.started_unix_ms);
  out.set_duration_ms(to_fractional_ms(report.duration));
  out.set_operation_key(to_utf8(report.operation_key));
}

std::string from_proto(const v1::BroadcastReport& in, std::optional<BroadcastReport>& report) {
  std::optional<BroadcastOperation> operation;
  auto problem = from_proto(in.result().operation(), operation);
  if (!problem.empty()) return problem;
  auto& out = report.emplace(std::move(*operation));
  out.broadcast_id = in.broadcast_id();
  problem = value_of(kStates, "a broadcast's state", in.state(), out.state);
  if (problem.empty()) problem = take_result(in.result(), out.result);
  if (problem.empty()) problem = from_fractional_ms("duration_ms", in.duration_ms(), out.duration);
  out.started_unix_ms = in.started_unix_ms();
  out.operation_key = in.operation_key();
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

}  // namespace muster::wire
