// Asks the brokers for a broadcast and prints the report.
#pragma once

#include <string>
#include <vector>

#include "muster/control.h"

#include "musterctl/options.h"
#include "musterctl/program.h"
#include "musterctl/report_text.h"

namespace muster::ctl {

// `warnings`: what is odd about the request, a sentence each. Returns the exit status.
int run_broadcast(const Invocation& invocation, const BroadcastOptions& options,
                  BroadcastOperation operation, const std::vector<std::string>& warnings = {});

// Prints a report as `result` and a broadcast do.
void print_report(const Invocation& invocation, ControlClient& client,
                  const BroadcastReport& report, ReportStyle style, const Selection& selection,
                  const std::vector<std::string>& warnings = {});

}  // namespace muster::ctl
