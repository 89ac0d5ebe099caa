// Whether nobody else has a file open, by the kernel's own account: fcntl(F_SETLEASE, F_WRLCK)
// succeeds only then, whatever the way in which it is open (but for O_PATH). It does not say who.
//
// Any thread. Blocks: 8 us a file, and whatever a file system takes to open one.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "muster/holders.h"

namespace muster::os {

struct LeaseBounds {
  std::uint64_t max_files = 10'000;
  std::chrono::milliseconds max_time{2'000};
};

// Walks the tree at `root_fd` (a directory or a regular file, O_PATH is enough) and asks for every
// regular file; other mounts below it are not entered. `name` is its path, for the examples.
[[nodiscard]] LeaseResult prove_by_leases(int root_fd, const std::string& name,
                                          const LeaseBounds& bounds);

}  // namespace muster::os
