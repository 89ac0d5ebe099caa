// Random numbers that are the same everywhere for the same seed (SplitMix64): what the standard
// library's distributions give differs between implementations.
#pragma once

#include <cstddef>
#include <cstdint>

namespace muster::simulator {

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }

  // 0 to n - 1; 0 for n = 0. The bias of the remainder does not matter here.
  std::uint32_t below(std::size_t n) noexcept {
    return n == 0 ? 0 : static_cast<std::uint32_t>(next() % n);
  }
  std::int64_t between(std::int64_t low, std::int64_t high) noexcept {
    return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool chance(std::uint32_t percent) noexcept { return below(100) < percent; }

  // REQUIRES: `choices` is not empty.
  template <class Choices>
  const auto& pick(const Choices& choices) noexcept {
    return choices[below(choices.size())];
  }

 private:
  std::uint64_t state_;
};

}  // namespace muster::simulator
