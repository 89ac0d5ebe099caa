// The sockets that musterd listens on: passed by a service manager, or its own.
//
// Nothing is left behind when it fails. The loop's thread.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

#include "musterd/config/settings.h"
#include "musterd/service/socket_permissions.h"
#include "os/listener.h"
#include "os/place_lock.h"
#include "os/unique_fd.h"

namespace muster::broker {
class BrokerServer;
}

namespace muster::daemon {

class ControlPlane;

struct ServerSockets {
  std::vector<os::UniqueFd> backend;  // at least one of each after make_sockets()
  std::vector<os::UniqueFd> control;
  os::PlaceLock place;       // keeps a second broker away, even when the directory is deleted
  os::SocketDirClaim claim;  // of those that we made: removes them at the end
  std::string dir;           // where they are
  bool passed = false;       // by a service manager
  std::string problem;       // a sentence
  std::string warning;       // a sentence: what a second broker would not notice
  // Of those that were passed: what had their names at the start.
  struct Place {
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;
  };
  std::vector<Place> places = {};
};

// Takes the place: nobody listens yet. With sockets from a service manager ($LISTEN_FDS, whose
// names are "backend" and "control") the settings do not count.
[[nodiscard]] ServerSockets claim_sockets(const SocketSettings& settings);
// Listens there, unless the sockets were passed. A sentence when that fails.
[[nodiscard]] std::string make_sockets(ServerSockets& sockets, const SocketSettings& settings);

// What another process shut down.
struct LostSockets {
  bool backend = false;
  bool control = false;
  [[nodiscard]] bool any() const noexcept { return backend || control; }
};

// Whether those who connect by the sockets' names still get here. A sentence's end when they do
// not: what is gone, is somebody else's, or was shut down.
[[nodiscard]] std::string misplaced(const ServerSockets& sockets, LostSockets lost);
// Makes sockets anew that are lost or whose name is gone, and puts them into `backend` and
// `control`. A sentence when that cannot be done: the service manager made them, or another broker
// is there now.
[[nodiscard]] std::string put_back(ServerSockets& sockets, const SocketSettings& settings,
                                   LostSockets lost);

// Of those that are files.
[[nodiscard]] std::vector<SocketPermissions> permissions_of(const ServerSockets& sockets);
// A sentence when a socket is there and nobody accepts from it, or there is none; else empty.
[[nodiscard]] std::string not_served(const broker::BrokerServer& backends,
                                     const ControlPlane& operators);

}  // namespace muster::daemon
