// Checks whether a client that connects by the sockets' names reaches this broker, and makes the
// sockets again if not. The loop's thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "musterd/config/settings.h"
#include "musterd/control/control_plane.h"
#include "musterd/log/log.h"
#include "musterd/service/sockets.h"

namespace muster::daemon {

class SocketWatch {
 public:
  // All of them outlive it.
  SocketWatch(ServerSockets& sockets, SocketSettings settings, broker::BrokerServer& server,
              ControlPlane& control, Log& log);

  // Sockets that were deleted or shut down are made again. When that fails, or a task of theirs
  // has failed for good, only another process helps: the exit status to end with.
  [[nodiscard]] std::optional<int> look();
  // Whether all of them can be connected to and are served.
  [[nodiscard]] bool all_served() const;
  void add_problems(std::vector<std::string>& all) const;

 private:
  [[nodiscard]] std::optional<int> look_at_place();
  [[nodiscard]] std::optional<int> look_at_tasks();

  ServerSockets& sockets_;
  const SocketSettings settings_;  // of the start: a reload changes none of them
  broker::BrokerServer& server_;
  ControlPlane& control_;
  Log& log_;
  std::string misplaced_;     // where nobody who connects gets here; empty: all is well
  std::string not_put_back_;  // why
  bool is_served_ = true;     // at the last look
};

}  // namespace muster::daemon
