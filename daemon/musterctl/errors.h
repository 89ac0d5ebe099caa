// The one place where musterctl says that something did not work.
#pragma once

#include <string>
#include <string_view>

#include "muster/control.h"

#include "musterctl/console.h"

namespace muster::ctl {

// A sentence on err; with `json` instead {"error":{"code":...,"message":...}} on out, where a
// script looks for its answer. Codes are ControlError's (proto/muster/v1/control.proto) and
// musterctl's own: UNREACHABLE, USAGE, SIGNAL, INTERNAL.
void report_error(Console& console, bool json, std::string_view code, const std::string& message);
// Returns the exit status.
int report_failure(Console& console, bool json, const ControlFailure& failure);

}  // namespace muster::ctl
