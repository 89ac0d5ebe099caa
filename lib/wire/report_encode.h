// Reports of broadcasts and events as the bytes of their messages: of everything that an operator
// is told what grows with the number of backends in every broadcast.
//
// Pure functions, any thread.
#pragma once

#include <string>

#include "muster/broker_view.h"
#include "muster/report.h"

namespace muster::wire {

// Whether a report is written with its details and notes.
enum class Texts { kAll, kNone };

// A v1.BroadcastReport behind what is in `out`. Text is made UTF-8.
void append(const BroadcastReport& report, Texts texts, std::string& out);
// A v1.ControlEvent.
void append(const Event& event, std::string& out);

}  // namespace muster::wire
