// The other side of the sockets: peers that register and ack, in a process of their own, so that
// whatever watches the broker's process does not see them.
#pragma once

#include <filesystem>

namespace muster::guard {

// Does what it is told through `turns` until the broker's side is gone.
void run_peers(int turns, const std::filesystem::path& socket);

}  // namespace muster::guard
