#include <algorithm>
#include <utility>

#include "wire/control_lane.h"
#include "wire/holds.h"
#include "wire/operations.h"
#include "wire/protobuf.h"
#include "wire/values.h"
#include "wire/views.h"

namespace muster::wire {
namespace {

// What reports and events are made of.
class FieldWriter {
 public:
  FieldWriter(Texts texts, MessageWriter& out) : texts_(texts), out_(out) {}

  // But for its key.
  void outcome(const OutcomeView& outcome) {
    using Field = v1::BackendOutcome;
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
    if (outcome.cause == Cause::kAnswer && outcome.said_by == SaidBy::kBackend) {  // most are
      out_.present_number(Field::kSaidByFieldNumber, v1::Statement::BACKEND);
      out_.present_number(Field::kCauseFieldNumber, v1::Statement::ANSWER);
    } else {
      enumerator(Field::kSaidByFieldNumber, proto_of(kSaidBy, outcome.said_by));
      enumerator(Field::kCauseFieldNumber, proto_of(kCauses, outcome.cause));
    }
    if (outcome.released) out_.present_number(Field::kReleasedFieldNumber, *outcome.released);
  }

  // But for its key.
  void late(const LateView& answer) {
    using Field = v1::LateAnswer;
    out_.real(Field::kLatenessMsFieldNumber, to_fractional_ms(answer.lateness));
    reason(Field::kReasonFieldNumber, answer.reason);
    detail(Field::kDetailFieldNumber, answer.detail, kMaxDetailBytes);
  }

  void key(const BackendKey& key) {
    using Field = v1::BackendKey;
    instance(Field::kInstanceFieldNumber, key.instance);
    text(Field::kServiceNameFieldNumber, key.service_name);
    text(Field::kServiceVersionFieldNumber, key.service_version);
    text(Field::kReplicaFieldNumber, key.replica);
  }
  void key(unsigned field, const BackendKey& key) {
    out_.message(field, [&] { this->key(key); });
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
    if (text.empty()) return;  // most details and notes are
    if (is_utf8(text, max_bytes)) return out_.text(field, text);
    out_.text(field, to_utf8(text, max_bytes));
  }
  void detail(unsigned field, std::string_view detail, std::size_t max_bytes) {
    if (texts_ == Texts::kAll) text(field, detail, max_bytes);
  }

  void asked_by(unsigned field, const Operator& who) {
    using Field = v1::Operator;
    out_.message(field, [&] {
      out_.number(Field::kUidFieldNumber, who.uid);
      pid(Field::kPidFieldNumber, who.pid);
      text(Field::kCommandFieldNumber, who.command);
    });
  }
  void operation(unsigned field, const BroadcastOperation& operation) {
    converted<v1::ReportedOperation>(field, operation);
  }
  template <class Proto>
  void converted(unsigned field, const auto& value) {
    Proto message;
    to_proto(value, message);
    out_.present_text(field, serialize(message));
  }

  // A report's fields before its lists, and those after.
  void before_lists(const ReportHead& head) {
    using Field = v1::BroadcastReport;
    out_.number(Field::kBroadcastIdFieldNumber, head.broadcast_id);
    enumerator(Field::kStateFieldNumber, proto_of(kBroadcastStates, head.state));
  }
  void after_lists(const ReportHead& head) {
    using Field = v1::BroadcastReport;
    out_.number(Field::kStartedUnixMsFieldNumber, head.started_unix_ms);
    out_.real(Field::kDurationMsFieldNumber, to_fractional_ms(head.duration));
    text(Field::kOperationKeyFieldNumber, head.operation_key);
    if (head.asked_by != nullptr) asked_by(Field::kAskedByFieldNumber, *head.asked_by);
    if (head.deadline) out_.present_number(Field::kDeadlineMsFieldNumber, to_ms(*head.deadline));
    out_.number(Field::kIdNotDurableFieldNumber, head.id_not_durable ? 1 : 0);
    out_.number(Field::kBackendsUnknownFieldNumber, head.backends_unknown ? 1 : 0);
    out_.number(Field::kVerifyFieldNumber, head.verify ? 1 : 0);
    if (head.verification != nullptr) {
      converted<v1::Verification>(Field::kVerificationFieldNumber, *head.verification);
    }
    if (head.hold != nullptr) converted<v1::HoldState>(Field::kHoldFieldNumber, *head.hold);
    out_.number(Field::kInterruptedFieldNumber, head.interrupted ? 1 : 0);
  }

 protected:
  Texts texts_;
  MessageWriter& out_;
};

class EventWriter : FieldWriter {
 public:
  using FieldWriter::FieldWriter;

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
      out_.message(Field::kBackendOutcomeFieldNumber, [&] {
        key(v1::BackendOutcome::kKeyFieldNumber, event.backend_outcome->key);
        outcome(view_of(*event.backend_outcome));
      });
    }
    out_.number(Field::kTargetsFieldNumber, event.targets);
    out_.number(Field::kAcksFieldNumber, event.acks);
    out_.number(Field::kTimeoutsFieldNumber, event.timeouts);
    out_.number(Field::kFailuresFieldNumber, event.failures);
    out_.number(Field::kSkippedDeadFieldNumber, event.skipped_dead);
    text(Field::kOperationFieldNumber, event.operation);
    if (event.joined) out_.present_number(Field::kJoinedFieldNumber, 1);
    if (event.asked_by) asked_by(Field::kAskedByFieldNumber, *event.asked_by);
    if (event.was_refused) out_.present_number(Field::kWasRefusedFieldNumber, 1);
    if (event.backends_unknown) out_.present_number(Field::kBackendsUnknownFieldNumber, 1);
  }
};

// A report that is a value.
class ReportWriter : FieldWriter {
 public:
  using FieldWriter::FieldWriter;

  void report(const BroadcastReport& report) {
    using Field = v1::BroadcastReport;
    const ReportHead head = head_of(report);
    before_lists(head);
    out_.message(Field::kResultFieldNumber, [&] { result(report.result); });
    for (const BackendOutcome& backend : report.backends) {
      out_.message(Field::kBackendsFieldNumber, [&] {
        key(v1::BackendOutcome::kKeyFieldNumber, backend.key);
        outcome(view_of(backend));
      });
    }
    late(Field::kLateAcksFieldNumber, report.late_acks);
    late(Field::kLateFailuresFieldNumber, report.late_failures);
    after_lists(head);
  }

 private:
  void late(unsigned field, const std::vector<LateAnswer>& answers) {
    for (const LateAnswer& answer : answers) {
      out_.message(field, [&] {
        key(v1::LateAnswer::kKeyFieldNumber, answer.key);
        FieldWriter::late(view_of(answer));
      });
    }
  }

  void result(const BroadcastResult& result) {
    using Field = v1::BroadcastResult;
    operation(Field::kOperationFieldNumber, result.operation);
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
};

// One that is read row by row, once: the lists that a row belongs to grow beside each other, and a
// key is written once for all of them.
class RowsWriter {
 public:
  RowsWriter(Texts texts, ReportKeys& keys) : texts_(texts), keys_(keys) {}

  void add(const OutcomeView& view) {
    const std::string_view key = keys_.find(view.incarnation, [&] { return written(*view.key); });
    add_to_result(view, key);
    backends_.message(v1::BroadcastReport::kBackendsFieldNumber, [&] {
      backends_.present_text(v1::BackendOutcome::kKeyFieldNumber, key);
      FieldWriter(texts_, backends_).outcome(view);
    });
  }

  void add(const LateView& answer) {
    using Field = v1::BroadcastReport;
    const std::string_view key = written(*answer.key);
    const bool failed = answer.reason.has_value();
    MessageWriter& list = failed ? late_failures_ : late_acks_;
    list.message(failed ? Field::kLateFailuresFieldNumber : Field::kLateAcksFieldNumber, [&] {
      list.present_text(v1::LateAnswer::kKeyFieldNumber, key);
      FieldWriter(texts_, list).late(answer);
    });
  }

  void finish(const ReportHead& head, MessageWriter& out) {
    FieldWriter fields(texts_, out);
    fields.before_lists(head);
    out.message(v1::BroadcastReport::kResultFieldNumber, [&] {
      fields.operation(v1::BroadcastResult::kOperationFieldNumber, *head.operation);
      for (MessageWriter* list : {&acks_, &timeouts_, &failures_, &dead_}) {
        out.fields(list->view());
      }
    });
    for (MessageWriter* list : {&backends_, &late_acks_, &late_failures_}) {
      out.fields(list->view());
    }
    fields.after_lists(head);
  }

 private:
  std::string_view written(const BackendKey& key) {
    key_.clear();
    FieldWriter(texts_, key_).key(key);
    return key_.view();
  }

  void add_to_result(const OutcomeView& view, std::string_view key) {
    using Field = v1::BroadcastResult;
    switch (view.outcome) {
      case OutcomeKind::kOpen:
        return;
      case OutcomeKind::kAck:
        return acks_.message(Field::kAcksFieldNumber,
                             [&] { acks_.present_text(v1::BroadcastAck::kKeyFieldNumber, key); });
      case OutcomeKind::kTimeout:
        return timeouts_.message(Field::kTimeoutsFieldNumber, [&] {
          timeouts_.present_text(v1::BroadcastTimeout::kKeyFieldNumber, key);
          timeouts_.number(v1::BroadcastTimeout::kTimeoutMsFieldNumber, to_ms(view.in_force));
        });
      case OutcomeKind::kFailure:
        return failures_.message(Field::kFailuresFieldNumber, [&] {
          failures_.present_text(v1::BroadcastFailure::kKeyFieldNumber, key);
          FieldWriter(texts_, failures_)
              .reason(v1::BroadcastFailure::kReasonFieldNumber, view.reason);
        });
      case OutcomeKind::kSkippedDead:
        return dead_.present_text(Field::kSkippedDeadFieldNumber, key);
    }
  }

  Texts texts_;
  ReportKeys& keys_;
  MessageWriter key_;  // of the row at hand
  MessageWriter acks_, timeouts_, failures_, dead_;
  MessageWriter backends_, late_acks_, late_failures_;
};

}  // namespace

std::string message_of(const BroadcastReport& report, Texts texts) {
  MessageWriter out;
  write(report, texts, out);
  return std::move(out).take();
}

std::string message_of(const Event& event) {
  MessageWriter out;
  EventWriter(Texts::kAll, out).event(event);
  return std::move(out).take();
}

void ReportKeys::keep(Incarnation incarnation, std::string_view written) {
  if (written.size() > Slot{}.bytes.size()) return;
  for (;;) {
    Slot& slot = slots_[incarnation & last_slot_];
    const bool both_are_in_this_report = slot.size != 0 && slot.report == report_;
    if (!both_are_in_this_report || slots_.size() == kMost) {
      slot.incarnation = incarnation;
      slot.report = report_;
      slot.size = static_cast<std::uint8_t>(written.size());
      std::copy(written.begin(), written.end(), slot.bytes.begin());
      return;
    }
    std::vector<Slot> larger(2 * slots_.size());
    const std::size_t last = larger.size() - 1;
    for (const Slot& one : slots_) {
      if (one.size != 0) larger[one.incarnation & last] = one;
    }
    slots_ = std::move(larger);
    last_slot_ = last;
  }
}

void write(const BackendKey& key, MessageWriter& out) { FieldWriter(Texts::kAll, out).key(key); }

void write(const BackendOutcome& outcome, MessageWriter& out) {
  FieldWriter fields(Texts::kAll, out);
  fields.key(v1::BackendOutcome::kKeyFieldNumber, outcome.key);
  fields.outcome(view_of(outcome));
}

void write(const BroadcastReport& report, Texts texts, MessageWriter& out) {
  ReportWriter(texts, out).report(report);
}

void write(const RowsOfReport& report, Texts texts, MessageWriter& out) {
  report.keys.begin_report();
  RowsWriter rows(texts, report.keys);
  report.report.for_each_backend([&](const OutcomeView& view) { rows.add(view); });
  report.report.for_each_late([&](const LateView& answer) { rows.add(answer); });
  rows.finish(report.report.head(), out);
}

}  // namespace muster::wire
