// The time of an event, cheaply.
//
// The steady clock is read for each event; the wall clock once a turn of the loop, so that a clock
// that is set is seen, and followed by the steady one in between.
#pragma once

#include <chrono>
#include <cstdint>

#include "core/types.h"

namespace muster::broker {

class Clock {
 public:
  Clock() noexcept { refresh(); }

  void refresh() noexcept {
    steady_ = std::chrono::steady_clock::now();
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    unix_us_ = std::chrono::duration_cast<std::chrono::microseconds>(since_epoch);
  }

  [[nodiscard]] core::Now now() const noexcept {
    const auto steady = std::chrono::steady_clock::now();
    const auto unix_us =
        unix_us_ + std::chrono::duration_cast<std::chrono::microseconds>(steady - steady_);
    return {steady, static_cast<std::uint64_t>(unix_us.count() / 1000)};
  }

 private:
  core::SteadyTime steady_;
  std::chrono::microseconds unix_us_{};
};

}  // namespace muster::broker
