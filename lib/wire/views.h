// What an operator is shown, as Protobuf messages and back: lists, status, reports, events.
//
// to_proto() and from_proto(): see values.h. Pure functions, any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "muster/access.h"
#include "muster/broker_view.h"
#include "muster/control_error.h"
#include "muster/report.h"
#include "muster/v1/control.pb.h"

#include "model/report_rows.h"
#include "wire/protobuf.h"

namespace muster::wire {

class ReportKeys;

// --- views.cpp

void to_proto(const BackendInfo& info, v1::BackendInfo& out);
[[nodiscard]] std::string from_proto(const v1::BackendInfo& in, BackendInfo& info);
void to_proto(const std::vector<BackendInfo>& backends, v1::BackendList& out);
[[nodiscard]] std::string from_proto(const v1::BackendList& in, std::vector<BackendInfo>& backends);
void to_proto(const DryRun& dry_run, v1::DryRun& out);
[[nodiscard]] std::string from_proto(const v1::DryRun& in, DryRun& dry_run);
void to_proto(const ControlError& error, v1::ControlError& out);
[[nodiscard]] std::string from_proto(const v1::ControlError& in, ControlError& error);

void to_proto(const BrokerStatus& status, v1::Status& out);
void from_proto(const v1::Status& in, BrokerStatus& status);

void to_proto(const PolicyExplanation& explanation, v1::PolicyExplanation& out);
void from_proto(const v1::PolicyExplanation& in, PolicyExplanation& explanation);

// --- report_read.cpp

[[nodiscard]] std::string from_proto(const v1::BackendOutcome& in, BackendOutcome& outcome);
[[nodiscard]] std::string from_proto(const v1::BroadcastReport& in,
                                     std::optional<BroadcastReport>& report);
[[nodiscard]] std::string from_proto(const v1::ControlEvent& in, Event& event);

// --- report_write.cpp: reports and events as the bytes of their messages. They are written without
// Protobuf's classes, as their size grows with the number of backends.

// Whether a report is written with its details and notes.
enum class Texts { kAll, kNone };

// A v1.BroadcastReport, a v1.ControlEvent. Text is made UTF-8.
[[nodiscard]] std::string message_of(const BroadcastReport& report, Texts texts);
[[nodiscard]] std::string message_of(const Event& event);
// A report's fields alone, for a message that has it inside.
void write(const BroadcastReport& report, Texts texts, MessageWriter& out);
// One that is read from its rows.
struct RowsOfReport {
  const ReportSource& report;
  ReportKeys& keys;
};
void write(const RowsOfReport& report, Texts texts, MessageWriter& out);
// A v1.BackendOutcome's fields.
void write(const BackendOutcome& outcome, MessageWriter& out);
// A v1.BackendKey's fields.
void write(const BackendKey& key, MessageWriter& out);

}  // namespace muster::wire
