#include "wire/report_encode.h"

#include "wire/convert.h"
#include "wire/report_enums.h"
#include "wire/serialize.h"
#include "wire/text.h"

namespace muster::wire {
namespace {

class ReportWriter {
 public:
  ReportWriter(Texts texts, MessageWriter& out) : texts_(texts), out_(out) {}

  void report(const BroadcastReport& report) {
    using Field = v1::BroadcastReport;
    out_.number(Field::kBroadcastIdFieldNumber, report.broadcast_id);
    enumerator(Field::kStateFieldNumber, proto_of(kBroadcastStates, report.state));
    out_.message(Field::kResultFieldNumber, [&] { result(report.result); });
    for (const auto& backend : report.backends) {
      out_.message(Field::kBackendsFieldNumber, [&] { outcome(backend); });
    }
    for (const auto& answer : report.late_acks) {
      out_.message(Field::kLateAcksFieldNumber, [&] { late(answer); });
    }
    for (const auto& answer : report.late_failures) {
      out_.message(Field::kLateFailuresFieldNumber, [&] { late(answer); });
    }
    out_.number(Field::kStartedUnixMsFieldNumber, report.started_unix_ms);
    out_.real(Field::kDurationMsFieldNumber, to_fractional_ms(report.duration));
    text(Field::kOperationKeyFieldNumber, report.operation_key);
  }

  void event(const Event& event) {
    using Field = v1::ControlEvent;
    enumerator(Field::kKindFieldNumber, proto_of(kEventKinds, event.kind));
    out_.number(Field::kUnixMsFieldNumber, event.unix_ms);
    out_.number(Field::kBroadcastIdFieldNumber, event.broadcast_id);
    if (event.key) key(Field::kKeyFieldNumber, *event.key);
    pid(Field::kPidFieldNumber, event.pid);
    out_.number(Field::kUidFieldNumber, event.uid);
    detail(Field::kDetailFieldNumber, event.detail, kMaxDetailBytes);
    if (event.backend_outcome) {
      out_.message(Field::kBackendOutcomeFieldNumber, [&] { outcome(*event.backend_outcome); });
    }
    out_.number(Field::kTargetsFieldNumber, event.targets);
    out_.number(Field::kAcksFieldNumber, event.acks);
    out_.number(Field::kTimeoutsFieldNumber, event.timeouts);
    out_.number(Field::kFailuresFieldNumber, event.failures);
    out_.number(Field::kSkippedDeadFieldNumber, event.skipped_dead);
    text(Field::kOperationFieldNumber, event.operation);
  }

 private:
  void outcome(const BackendOutcome& outcome) {
    using Field = v1::BackendOutcome;
    key(Field::kKeyFieldNumber, outcome.key);
    out_.number(Field::kIncarnationFieldNumber, outcome.incarnation);
    pid(Field::kPidFieldNumber, outcome.pid);
    out_.number(Field::kUidFieldNumber, outcome.uid);
    enumerator(Field::kOutcomeFieldNumber, proto_of(kOutcomes, outcome.outcome));
    reason(Field::kReasonFieldNumber, outcome.reason);
    detail(Field::kDetailFieldNumber, outcome.detail, kMaxDetailBytes);
    out_.number(Field::kAckTimeoutMsFieldNumber, to_ms(outcome.ack_timeout));
    out_.real(Field::kLatencyMsFieldNumber, to_fractional_ms(outcome.latency));
    detail(Field::kNoteFieldNumber, outcome.note, kMaxNoteBytes);
    if (outcome.percent) out_.present_number(Field::kPercentFieldNumber, *outcome.percent);
    out_.number(Field::kExtensionsFieldNumber, outcome.extensions);
    out_.number(Field::kRedeliveriesFieldNumber, outcome.redeliveries);
  }

  void result(const BroadcastResult& result) {
    using Field = v1::BroadcastResult;
    v1::ReportedOperation operation;
    to_proto(result.operation, operation);
    out_.present_text(Field::kOperationFieldNumber, serialize(operation));
    for (const auto& ack : result.acks) {
      out_.message(Field::kAcksFieldNumber,
                   [&] { key(v1::BroadcastAck::kKeyFieldNumber, ack.key); });
    }
    for (const auto& timeout : result.timeouts) {
      out_.message(Field::kTimeoutsFieldNumber, [&] {
        key(v1::BroadcastTimeout::kKeyFieldNumber, timeout.key);
        out_.number(v1::BroadcastTimeout::kTimeoutMsFieldNumber, to_ms(timeout.timeout));
      });
    }
    for (const auto& failure : result.failures) {
      out_.message(Field::kFailuresFieldNumber, [&] {
        key(v1::BroadcastFailure::kKeyFieldNumber, failure.key);
        reason(v1::BroadcastFailure::kReasonFieldNumber, failure.reason);
      });
    }
    for (const auto& dead : result.skipped_dead) key(Field::kSkippedDeadFieldNumber, dead);
  }

  void late(const LateAnswer& answer) {
    using Field = v1::LateAnswer;
    key(Field::kKeyFieldNumber, answer.key);
    out_.real(Field::kLatenessMsFieldNumber, to_fractional_ms(answer.lateness));
    reason(Field::kReasonFieldNumber, answer.reason);
    detail(Field::kDetailFieldNumber, answer.detail, kMaxDetailBytes);
  }

  void key(unsigned field, const BackendKey& key) {
    using Field = v1::BackendKey;
    out_.message(field, [&] {
      instance(Field::kInstanceFieldNumber, key.instance);
      text(Field::kServiceNameFieldNumber, key.service_name);
      text(Field::kServiceVersionFieldNumber, key.service_version);
      text(Field::kReplicaFieldNumber, key.replica);
    });
  }

  void instance(unsigned field, const Instance& instance) {
    // Nearly all are, and need no string.
    if (instance == Instance::shared()) return out_.text(field, "shared");
    text(field, instance.to_string());
  }

  void pid(unsigned field, pid_t pid) {
    // A negative int32 is written as if it were an int64.
    out_.number(field, static_cast<std::uint64_t>(static_cast<std::int64_t>(pid)));
  }
  template <typename Enumerator>
  void enumerator(unsigned field, Enumerator value) {
    out_.number(field, static_cast<std::uint64_t>(value));
  }
  void reason(unsigned field, std::optional<BroadcastFailureReason> reason) {
    if (reason) enumerator(field, to_proto(*reason));
  }
  void text(unsigned field, std::string_view text, std::size_t max_bytes = std::string_view::npos) {
    if (is_utf8(text, max_bytes)) return out_.text(field, text);
    out_.text(field, to_utf8(text, max_bytes));
  }
  void detail(unsigned field, std::string_view detail, std::size_t max_bytes) {
    if (texts_ == Texts::kAll) text(field, detail, max_bytes);
  }

  Texts texts_;
  MessageWriter& out_;
};

}  // namespace

std::string message_of(const BroadcastReport& report, Texts texts) {
  MessageWriter out;
  write(report, texts, out);
  return std::move(out).take();
}

std::string message_of(const Event& event) {
  MessageWriter out;
  ReportWriter(Texts::kAll, out).event(event);
  return std::move(out).take();
}

void write(const BroadcastReport& report, Texts texts, MessageWriter& out) {
  ReportWriter(texts, out).report(report);
}

}  // namespace muster::wire
