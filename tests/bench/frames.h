// The few bytes of the wire that the lean client handles, without Protobuf and without allocation.
//
// The client is the same for the floor and for musterd, so that the server is what is compared.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster::bench {

// The frame with which peer `index` registers.
[[nodiscard]] std::string registration_frame(std::size_t index);

// What the floor sends for an operation and for a registration's answer: what musterd would send.
[[nodiscard]] std::string sample_operation_frame();
[[nodiscard]] std::string sample_registered_frame();

// The path that is to be released: makes an operation's frame about 100 bytes.
inline constexpr std::string_view kPath = "/var/cache/muster-bench/objects/0123456789abcdef";

struct SeenFrame {
  enum class Kind : std::uint8_t { kOperation, kOther, kBad };
  Kind kind = Kind::kBad;
  std::size_t bytes = 0;  // 0 where kBad
  std::uint64_t request_id = 0;
};
// Looks at the frame at the beginning of `input`. kBad: it is not whole, or not a frame.
[[nodiscard]] SeenFrame see_frame(std::string_view input) noexcept;

// Writes acks: a frame made once, in which the request id is replaced.
class AckWriter {
 public:
  AckWriter();
  // Good until the next call.
  [[nodiscard]] std::string_view write(std::uint64_t request_id) noexcept;

 private:
  std::array<char, 64> frame_{};
  std::size_t fixed_bytes_ = 0;  // all but the id
};

}  // namespace muster::bench
