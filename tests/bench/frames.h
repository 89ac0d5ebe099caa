// The few bytes of musterd's wire that the lean client handles, without Protobuf and without
// allocation. What the floor says is the same.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bench/client_protocol.h"

namespace muster::bench {

// The frame with which client `index` registers. Without a budget the broker's default is in force.
[[nodiscard]] std::string registration_frame(
    std::size_t index, std::optional<std::chrono::milliseconds> ack_timeout = {});

// The request id in the samples.
inline constexpr std::uint64_t kSampleId = 1'000'000;

// What the floor sends for an operation and for a registration's answer: what musterd would send.
[[nodiscard]] std::string sample_operation_frame();
[[nodiscard]] std::string sample_registered_frame();

// The path that is to be released: makes an operation's frame about 100 bytes.
inline constexpr std::string_view kPath = "/var/cache/muster-bench/objects/0123456789abcdef";

// Looks at the frame at the beginning of `input`: an operation, a registration's answer, another.
[[nodiscard]] Seen see_frame(std::string_view input) noexcept;

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

// Of musterd and of the floor.
class MusterProtocol : public ClientProtocol {
 public:
  std::string hello(std::size_t client) const override { return registration_frame(client); }
  Seen see(std::string_view input, bool) const noexcept override { return see_frame(input); }
  std::string_view answer(const Seen& operation, std::size_t) noexcept override {
    return acks_.write(operation.request_id);
  }

 private:
  AckWriter acks_;
};

}  // namespace muster::bench
