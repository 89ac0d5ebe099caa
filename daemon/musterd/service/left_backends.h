// What the broker leaves for others when it ends in order: which of its backends run on without
// having drained (os/left_running.h).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "muster/registration.h"

#include "core/broker.h"
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
// Of the broker before: this one knows whom to expect. Any thread.
void remove_left_backends(const std::filesystem::path& sockets) noexcept;

}  // namespace muster::daemon
