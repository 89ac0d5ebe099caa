// Keeps one kind of line, which peers can bring about as often as they like, from drowning the log.
//
// A token bucket: `burst` lines at once, then `per_second`. Time comes in. One thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace muster::daemon {

class LineLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;

  LineLimit(std::int64_t burst, std::int64_t per_second)
      : step_(std::chrono::nanoseconds(std::chrono::seconds(1)) / per_second),
        depth_(step_ * (burst - 1)) {}

  // Nothing when the line is to be left out; else how many were left out since the last one.
  [[nodiscard]] std::optional<std::uint64_t> admit(Time now) {
    const Time start = std::max(full_at_ - depth_, Time{});
    if (now < start) {
      ++left_out_;
      return std::nullopt;
    }
    full_at_ = std::max(full_at_, now) + step_;
    return std::exchange(left_out_, 0);
  }

 private:
  std::chrono::nanoseconds step_;
  std::chrono::nanoseconds depth_;
  Time full_at_{};  // when the bucket will be full again
  std::uint64_t left_out_ = 0;
};

}  // namespace muster::daemon
