// Framing: [u8 framing_version = 1][u32 little-endian body length][body].
//
// Pure functions over bytes. The length is checked before anybody allocates for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster::wire {

inline constexpr std::uint8_t kFramingVersion = 1;
inline constexpr std::size_t kHeaderBytes = 5;
inline constexpr std::size_t kMaxFirstBody = 64 * 1024;    // the first message on either lane
inline constexpr std::size_t kMaxBackendBody = 64 * 1024;  // backend lane
inline constexpr std::size_t kMaxControlBody = 16 * 1024 * 1024;  // control lane

struct FrameView {
  enum class Status {
    kIncomplete,  // `bytes` are needed in all; what is there may be the beginning of a good frame
    kComplete,    // the frame takes `bytes` bytes and `body` points into the input
    kBad,         // `problem` says why; the stream cannot be read any further
  };
  Status status = Status::kIncomplete;
  std::size_t bytes = 0;
  std::string_view body;
  std::string problem;
};

// Looks at the beginning of `input` for one frame. A body of more than `max_body` bytes is bad as
// soon as its length is known.
[[nodiscard]] FrameView next_frame(std::string_view input, std::size_t max_body);

// A whole frame but for a payload that is written elsewhere and stands between the two parts.
struct FrameAround {
  std::string before;
  std::string after;
};

// Writes the 5 header bytes of a body of `body_bytes`. REQUIRES: body_bytes <= kMaxControlBody.
void put_header(char* out, std::size_t body_bytes) noexcept;

}  // namespace muster::wire
