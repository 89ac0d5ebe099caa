// What waits for all backends of one user together. The core owns one for each user that has a
// connection; the transport, which alone knows what waits, counts.
#pragma once

#include <cstdint>
#include <limits>

namespace muster::core {

struct QueueAccount {
  std::uint64_t used = 0;
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();

  [[nodiscard]] bool has_room_for(std::uint64_t bytes) const noexcept {
    return used <= limit && bytes <= limit - used;
  }
};

}  // namespace muster::core
