// Why a framed stream ended or did not take something, as std::error_code.
#pragma once

#include <system_error>

namespace muster::net {

enum class Errc {
  kEndOfStream = 1,  // the peer closed between two frames
  kTruncated,        // the peer closed in the middle of a frame
  kBadFrame,         // what came is no frame, or is over the limit
  kQueueFull,        // the peer does not read: what is queued would go over its bound
  kClosed,           // closed at this end
  kNoRoom,           // StreamLimits::charge_received refused
};

[[nodiscard]] const std::error_category& stream_category() noexcept;
[[nodiscard]] inline std::error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), stream_category()};
}

}  // namespace muster::net

template <>
struct std::is_error_code_enum<muster::net::Errc> : std::true_type {};
