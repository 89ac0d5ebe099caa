// How long to wait before the next attempt to reach the broker. Pure: no clock, seeded.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace muster {

class Backoff {
 public:
  // REQUIRES: 0 < first <= longest. The same seed gives the same waits.
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds longest, std::uint64_t seed);

  // Doubles from the first wait to the longest, each jittered to between a half and the whole of
  // it. `at_least` (what the broker asked for) is never undercut, and spread over half of itself
  // more, so that all who were told the same do not come back at the same moment.
  [[nodiscard]] std::chrono::milliseconds next(std::chrono::milliseconds at_least = {});
  // One with other waits.
  [[nodiscard]] Backoff with(std::chrono::milliseconds first,
                             std::chrono::milliseconds longest) const {
    Backoff other(*this);
    other.first_ = other.whole_ = first;
    other.longest_ = longest;
    return other;
  }
  // The next wait is the first again.
  void reset() noexcept { whole_ = first_; }

 private:
  std::chrono::milliseconds first_;
  std::chrono::milliseconds longest_;
  std::chrono::milliseconds whole_;
  std::mt19937_64 random_;
};

inline Backoff::Backoff(std::chrono::milliseconds first, std::chrono::milliseconds longest,
                        std::uint64_t seed)
    : first_(first), longest_(longest), whole_(first), random_(seed) {}

inline std::chrono::milliseconds Backoff::next(std::chrono::milliseconds at_least) {
  const std::chrono::milliseconds low =
      std::max((whole_ + std::chrono::milliseconds(1)) / 2, at_least);
  const std::chrono::milliseconds high = std::max(whole_, at_least + at_least / 2);
  whole_ = whole_ > longest_ / 2 ? longest_ : whole_ * 2;
  std::uniform_int_distribution<std::chrono::milliseconds::rep> wait(low.count(), high.count());
  return std::chrono::milliseconds(wait(random_));
}

}  // namespace muster
