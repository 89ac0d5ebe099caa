#include "wire/history.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "muster/v1/control.pb.h"
#include "muster/v1/history.pb.h"
#include "muster/v1/report.pb.h"

#include "model/report_rows.h"
#include "wire/holds.h"
#include "wire/operations.h"
#include "wire/protobuf.h"
#include "wire/values.h"
#include "wire/views.h"

namespace muster::wire {

// --- the question

void to_proto(const HistoryQuery& query, v1::GetHistory& out) {
  out.set_since_unix_ms(query.since_unix_ms);
  out.set_until_unix_ms(query.until_unix_ms);
  out.set_failed(query.failed);
  out.set_service(to_utf8(query.service));
  if (query.uid) out.set_uid(*query.uid);
  out.set_user(to_utf8(query.user));
  out.set_limit(query.limit);
  out.set_own(query.own);
  out.set_refusals(query.refusals);
}

std::string from_proto(const v1::GetHistory& in, HistoryQuery& query) {
  query.since_unix_ms = in.since_unix_ms();
  query.until_unix_ms = in.until_unix_ms();
  query.failed = in.failed();
  query.service = in.service();
  if (in.has_uid()) query.uid = in.uid();
  query.user = in.user();
  query.limit = in.limit() == 0 ? HistoryQuery::kDefaultLimit : in.limit();
  query.own = in.own();
  query.refusals = in.refusals();
  if (query.limit > HistoryQuery::kMostLimit) {
    return "the history was asked for " + std::to_string(query.limit) + " entries; the most is " +
           std::to_string(HistoryQuery::kMostLimit);
  }
  auto problem = over_limit("the service", query.service, BackendKey::kMaxServiceName);
  if (problem.empty()) {
    problem = over_limit("the user's name", query.user, HistoryQuery::kMaxUserBytes);
  }
  return problem;
}

// --- the answer

namespace {

void write_entry(const HistoryEntry& entry, v1::HistoryEntry& out) {
  out.set_broadcast_id(entry.id);
  out.set_operation(to_utf8(entry.operation));
  out.set_path(entry.path);
  if (entry.asked_by) to_proto(*entry.asked_by, *out.mutable_asked_by());
  out.set_user(to_utf8(entry.user));
  out.set_started_unix_ms(entry.started_unix_ms);
  out.set_duration_ms(to_fractional_ms(entry.duration));
  out.set_state(proto_of(kBroadcastStates, entry.state));
  out.set_interrupted(entry.interrupted);
  out.set_targets(entry.targets);
  out.set_acks(entry.acks);
  out.set_timeouts(entry.timeouts);
  out.set_failures(entry.failures);
  out.set_skipped_dead(entry.skipped_dead);
  out.set_late_answers(entry.late_answers);
  out.set_backends_unknown(entry.backends_unknown);
  out.set_verify(entry.verify);
  if (entry.verdict) out.set_verdict(proto_of(kVerdicts, *entry.verdict));
  out.set_hold(entry.hold);
  if (entry.hold_ended) out.set_hold_ended(proto_of(kHoldEnds, *entry.hold_ended));
  out.set_violations(entry.violations);
  out.set_operation_key(to_utf8(entry.operation_key));
  out.set_failed(entry.failed);
}

std::string read_entry(const v1::HistoryEntry& in, HistoryEntry& entry) {
  entry.id = in.broadcast_id();
  entry.operation = in.operation();
  entry.path = in.path();
  if (in.has_asked_by()) entry.asked_by = operator_of(in.asked_by());
  entry.user = in.user();
  entry.started_unix_ms = in.started_unix_ms();
  entry.state = value_or(kBroadcastStates, in.state(), BroadcastState::kRunning);
  entry.interrupted = in.interrupted();
  entry.targets = in.targets();
  entry.acks = in.acks();
  entry.timeouts = in.timeouts();
  entry.failures = in.failures();
  entry.skipped_dead = in.skipped_dead();
  entry.late_answers = in.late_answers();
  entry.backends_unknown = in.backends_unknown();
  entry.verify = in.verify();
  if (in.has_verdict()) {
    entry.verdict = value_or(kVerdicts, in.verdict(), HolderVerdict::kUnknown);
  }
  entry.hold = in.hold();
  // What a newer broker says has ended in any case.
  if (in.hold_ended() != v1::HoldEnded::UNSPECIFIED) {
    entry.hold_ended = value_or(kHoldEnds, in.hold_ended(), HoldEnd::kExpired);
  }
  entry.violations = in.violations();
  entry.operation_key = in.operation_key();
  entry.failed = in.failed();
  return from_fractional_ms("duration_ms", in.duration_ms(), entry.duration);
}

}  // namespace

void to_proto(const HistoryPage& page, v1::HistoryList& out) {
  for (const HistoryEntry& entry : page.broadcasts) write_entry(entry, *out.add_broadcasts());
  for (const HistoryRefusal& refusal : page.refusals) {
    v1::HistoryRefusal& added = *out.add_refusals();
    added.set_first_unix_ms(refusal.first_unix_ms);
    added.set_last_unix_ms(refusal.last_unix_ms);
    added.set_times(refusal.times);
    added.set_uid(refusal.uid);
    added.set_user(to_utf8(refusal.user));
    added.set_pid(refusal.pid);
    added.set_command(to_utf8(refusal.command));
    added.set_key(to_utf8(refusal.key));
    added.set_why(to_utf8(refusal.why));
  }
  out.set_more(page.more);
  out.set_missing(page.missing);
  out.set_problem(to_utf8(page.problem));
}

std::string from_proto(const v1::HistoryList& in, HistoryPage& page) {
  for (const v1::HistoryEntry& entry : in.broadcasts()) {
    auto problem = read_entry(entry, page.broadcasts.emplace_back());
    if (!problem.empty()) return problem;
  }
  for (const v1::HistoryRefusal& refusal : in.refusals()) {
    page.refusals.push_back({refusal.first_unix_ms(), refusal.last_unix_ms(), refusal.times(),
                             refusal.uid(), refusal.user(), refusal.pid(), refusal.command(),
                             refusal.key(), refusal.why()});
  }
  page.more = in.more();
  page.missing = in.missing();
  page.problem = in.problem();
  return {};
}

// --- reports

namespace {

void count_outcomes(const v1::BroadcastReport& report, HistoryEntry& entry) {
  for (const v1::BackendOutcome& backend : report.backends()) {
    switch (backend.outcome()) {
      case v1::BackendOutcome::ACK:
        ++entry.acks;
        break;
      case v1::BackendOutcome::TIMEOUT:
        ++entry.timeouts;
        break;
      case v1::BackendOutcome::FAILURE:
        ++entry.failures;
        break;
      case v1::BackendOutcome::SKIPPED_DEAD:
        ++entry.skipped_dead;
        continue;
      default:
        break;
    }
    ++entry.targets;
  }
}

bool is_failed(const HistoryEntry& entry) {
  if (entry.interrupted) return true;
  if (!is_over(entry.state)) return false;
  return entry.acks != entry.targets || entry.backends_unknown || entry.violations != 0 ||
         (entry.verify && entry.verdict != HolderVerdict::kClear);
}

}  // namespace

std::string digest_report(std::string_view bytes, ReportDigest& digest) {
  v1::BroadcastReport report;
  if (!parse(report, bytes)) return "the report is malformed";
  std::optional<BroadcastOperation> operation;
  if (auto problem = from_proto(report.result().operation(), operation); !problem.empty()) {
    return problem;
  }
  HistoryEntry& entry = digest.entry;
  entry.id = report.broadcast_id();
  entry.operation = operation->to_string();
  if (const auto* release = operation->about_release()) entry.path = release->path_prefix;
  if (report.has_asked_by()) entry.asked_by = operator_of(report.asked_by());
  entry.started_unix_ms = report.started_unix_ms();
  entry.state = value_or(kBroadcastStates, report.state(), BroadcastState::kRunning);
  entry.interrupted = report.interrupted();
  count_outcomes(report, entry);
  entry.late_answers =
      static_cast<std::uint32_t>(report.late_acks_size() + report.late_failures_size());
  entry.backends_unknown = report.backends_unknown();
  entry.verify = report.verify();
  if (report.has_verification()) {
    entry.verdict =
        value_or(kVerdicts, report.verification().scan().verdict(), HolderVerdict::kUnknown);
  }
  if (report.has_hold()) {
    entry.hold = true;
    if (report.hold().ended() != v1::HoldEnded::UNSPECIFIED) {
      entry.hold_ended = value_or(kHoldEnds, report.hold().ended(), HoldEnd::kExpired);
    }
    entry.violations = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(static_cast<std::uint64_t>(report.hold().violations_size()) +
                                    report.hold().more_violations(),
                                UINT32_MAX));
  }
  entry.operation_key = report.operation_key();
  entry.failed = is_failed(entry);
  const Quiesce* quiesce = operation->as_quiesce();
  digest.own = quiesce != nullptr && quiesce->reason == QuiesceReason::kIdleTimeout;
  std::set<std::string_view> services;
  for (const v1::BackendOutcome& backend : report.backends()) {
    services.insert(backend.key().service_name());
  }
  digest.services.assign(services.begin(), services.end());
  return from_fractional_ms("duration_ms", report.duration_ms(), entry.duration);
}

std::string_view report_in(std::string_view payload) {
  const char* at = payload.data();
  const char* const end = at + payload.size();
  constexpr std::uint64_t kReport = v1::ControlResponse::kReportFieldNumber << 3 | 2;
  std::uint64_t tag = 0;
  std::uint64_t size = 0;
  if (!read_varint(at, end, 5, tag) || tag != kReport) return {};
  if (!read_varint(at, end, 9, size) || size != static_cast<std::uint64_t>(end - at)) return {};
  return {at, static_cast<std::size_t>(size)};
}

std::string payload_of_report(std::string_view report) {
  MessageWriter out;
  out.present_text(v1::ControlResponse::kReportFieldNumber, report);
  return std::move(out).take();
}

// Of a field that is there twice the last counts.
std::string interrupted_report(std::string report) {
  MessageWriter flag;
  flag.present_number(v1::BroadcastReport::kInterruptedFieldNumber, 1);
  report += flag.view();
  return report;
}

// Of a message that is there twice Protobuf makes one.
std::string report_with_hold(std::string report, const HoldState& change) {
  v1::HoldState message;
  to_proto(change, message);
  MessageWriter field;
  field.present_text(v1::BroadcastReport::kHoldFieldNumber, serialize(message));
  report += field.view();
  return report;
}

std::string report_of_head(const ReportHead& head) {
  return message_of(to_value(head), Texts::kAll);
}

}  // namespace muster::wire
