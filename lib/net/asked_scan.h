// A scan for holders as a question between musterd and muster-scan asks for it: the same in both.
//
// Blocks, as scan_holders() does. Any thread. Who includes this links muster_holders.
#pragma once

#include <chrono>

#include "os/holders/scan.h"
#include "wire/holders.h"

namespace muster::net {

[[nodiscard]] inline HolderScan scan_as_asked(const wire::ScanRequest& request) {
  os::ScanBounds bounds;
  bounds.mount_namespace = request.mount_namespace;
  bounds.max_holders = request.max_holders;
  bounds.max_unseen = request.max_unseen;
  bounds.leases.max_files = request.max_lease_files;
  bounds.leases.max_time = std::chrono::milliseconds(request.max_lease_ms);
  return os::scan_holders(request.path, bounds);
}

}  // namespace muster::net
