// musterd, put together: sockets, broker, control plane, signals, service manager. Runs until it is
// told to stop.
#pragma once

#include "musterd/config/load.h"
#include "musterd/log/log.h"

namespace muster::daemon {

// Serves until SIGTERM or SIGINT and what follows from it. Returns the exit status. One thread,
// which becomes the loop's; `line` is for reading the configuration again.
[[nodiscard]] int run_daemon(const Loaded& loaded, const CommandLine& line,
                             const Environment& environment, Log& log);

}  // namespace muster::daemon
