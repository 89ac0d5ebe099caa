// How many descriptors this process may have.
#pragma once

#include <cstdint>
#include <system_error>

namespace muster::os {

struct DescriptorLimit {
  std::uint64_t now = 0;     // in force
  std::uint64_t before = 0;  // what it was
  std::error_code error;     // why it could not be raised, if it could not
};

// The soft RLIMIT_NOFILE as it is now; the largest number there is when it cannot be had.
[[nodiscard]] std::uint64_t descriptor_limit() noexcept;
// How many descriptors this process has open. Reads a directory: not for a hot path. 0 when /proc
// is not there.
[[nodiscard]] std::uint64_t count_open_descriptors();

// Raises the soft RLIMIT_NOFILE to the hard limit: each backend costs one descriptor, and one more
// for its process. Call it before threads are started. Programs that are started later inherit
// it, and those that use select(2) break above 1024: put `before` back for them.
DescriptorLimit raise_descriptor_limit() noexcept;

}  // namespace muster::os
