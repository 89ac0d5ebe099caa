// Protobuf's variable-length numbers, for the few messages that are read without Protobuf.
#pragma once

#include <cstdint>

namespace muster::wire {

// Reads one of at most `max_bytes` (never more than 9, so that no bit is lost) and moves `at`
// behind it. False when it does not end in time.
inline bool read_varint(const char*& at, const char* end, int max_bytes,
                        std::uint64_t& out) noexcept {
  std::uint64_t value = 0;
  for (int i = 0; i < max_bytes && at != end; ++i) {
    const auto byte = static_cast<unsigned char>(*at++);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) {
      out = value;
      return true;
    }
  }
  return false;
}

}  // namespace muster::wire
