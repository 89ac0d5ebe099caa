// What the broker leaves for others when it ends in order: which of its backends run on without
// having drained (os/left_running.h).
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "muster/registration.h"

#include "core/broker.h"
#include "musterd/log/log.h"
#include "musterd/runtime/worker.h"
#include "os/left_running.h"

namespace muster::daemon {

// All that are not dead, but those that acked broadcast `quiesce` (0: none was sent), in time or
// late. One without a pid stands for backends that the broker does not know.
[[nodiscard]] std::vector<os::LeftProcess> left_backends(const core::Broker& broker,
                                                         BroadcastId quiesce, bool knows_all,
                                                         core::Now now);
// Writes the file there, or none when nobody is left. A sentence's end when that fails; any thread.
[[nodiscard]] std::string write_left_backends(const std::filesystem::path& sockets,
                                              const std::vector<os::LeftProcess>& left);

// It does so at the end of a broker, unless a service manager has the sockets: it starts the
// broker again when somebody connects. The loop's thread.
class LeftBackends {
 public:
  // All outlive it.
  LeftBackends(std::string sockets, Worker& files, Log& log)
      : sockets_(std::move(sockets)), files_(files), log_(log) {}

  // The newest broadcast is the last one, which asks the backends to quiesce.
  void note_quiesce(const core::Broker& broker, core::Now now);
  void leave(const core::Broker& broker, bool knows_all, core::Now now);

 private:
  const std::string sockets_;
  Worker& files_;
  Log& log_;
  BroadcastId quiesce_ = 0;  // 0: none
};

// Of the broker before: this one knows whom to expect. Any thread.
void remove_left_backends(const std::filesystem::path& sockets) noexcept;

}  // namespace muster::daemon
