// The sockets that musterd listens on: passed by a service manager, or its own.
//
// Start-up only; nothing is left behind when it fails.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"
#include "os/listener.h"
#include "os/unique_fd.h"

namespace muster::daemon {

struct ServerSockets {
  std::vector<os::UniqueFd> backend;  // at least one of each when problem is empty
  std::vector<os::UniqueFd> control;
  os::SocketDirClaim claim;  // of those that we made: removes them at the end
  std::string dir;           // where they are
  bool passed = false;       // by a service manager
  std::string problem;       // a sentence
};

// With sockets from a service manager ($LISTEN_FDS, whose names are "backend" and "control") the
// settings do not count.
[[nodiscard]] ServerSockets open_sockets(const SocketSettings& settings);

}  // namespace muster::daemon
