// Reports of broadcasts and events as the bytes of their messages: of everything that an operator
// is told what grows with the number of backends in every broadcast.
//
// Pure functions, any thread.
#pragma once

#include <string>

#include "muster/broker_view.h"
#include "muster/report.h"

#include "model/report_rows.h"
#include "wire/message_writer.h"

namespace muster::wire {

// Whether a report is written with its details and notes.
enum class Texts { kAll, kNone };

// A v1.BroadcastReport, a v1.ControlEvent. Text is made UTF-8.
[[nodiscard]] std::string message_of(const BroadcastReport& report, Texts texts);
[[nodiscard]] std::string message_of(const Event& event);
// A report's fields alone, for a message that has it inside.
void write(const BroadcastReport& report, Texts texts, MessageWriter& out);
void write(const ReportSource& report, Texts texts, MessageWriter& out);
// A v1.BackendKey's fields.
void write(const BackendKey& key, MessageWriter& out);

}  // namespace muster::wire
