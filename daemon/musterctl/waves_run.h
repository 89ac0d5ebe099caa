// Asks the broker wave by wave, and prints what became of it.
#pragma once

#include <string>
#include <vector>

#include "musterctl/options.h"
#include "musterctl/program.h"

namespace muster::ctl {

// REQUIRES: options.in_waves() and options.check() passed. Returns the exit status; throws
// ControlFailure only while no backend has been asked.
int run_waves(const Invocation& to, const BroadcastOptions& options,
              const BroadcastRequest& request, const std::vector<std::string>& warnings);

}  // namespace muster::ctl
