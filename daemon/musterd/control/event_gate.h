// Decides which events a slow reader still gets: those that fit into its queue. Once one was left
// out, none is sent until half of the queue was read, and then first how many are missing. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace muster::daemon {

class EventGate {
 public:
  // `bound`: bytes that may wait for the reader.
  explicit EventGate(std::size_t bound) noexcept : bound_(bound) {}

  // May an event of `size` bytes join the `queued` ones? Nothing: it is left out. Else how many
  // were left out before it, to be told first.
  [[nodiscard]] std::optional<std::uint64_t> admit(std::size_t queued, std::size_t size) noexcept {
    const bool fits = missing_ != 0 ? has_caught_up(queued) : queued + size <= bound_;
    // An event larger than the bound is sent when nothing waits, or it would never be.
    if (!fits && queued != 0) {
      ++missing_;
      return std::nullopt;
    }
    return take_missing();
  }

  // Events that could not be made or told.
  void leave_out(std::uint64_t count = 1) noexcept { missing_ += count; }

  // Whether it is time to tell what is missing although no event comes.
  [[nodiscard]] bool has_caught_up(std::size_t queued) const noexcept {
    return queued <= bound_ / 2;
  }
  [[nodiscard]] bool is_missing_some() const noexcept { return missing_ != 0; }
  [[nodiscard]] std::uint64_t take_missing() noexcept { return std::exchange(missing_, 0); }

 private:
  std::size_t bound_;
  std::uint64_t missing_ = 0;
};

}  // namespace muster::daemon
