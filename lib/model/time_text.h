// Times as people read and write them: durations and moments. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster {

// Durations as people write them, on command lines and in the configuration: "500ms", "1h30m". The
// only grammar for them. Pure.
struct ParsedDuration {
  std::chrono::milliseconds value{};  // valid when problem is empty
  std::string problem;                // one sentence: what is wrong, what would be right
};

// Whole numbers, each with its unit, the longest first: d, h, m, s, ms. A number without a unit is
// refused: programs disagree about what it means. So is what is not between `least` and `most`.
[[nodiscard]] ParsedDuration parse_duration(
    std::string_view text, std::chrono::milliseconds least = std::chrono::milliseconds(0),
    std::chrono::milliseconds most = std::chrono::milliseconds::max());

// The shortest text that parse_duration() reads back: "5s", "1m30s". A negative one is "0s".
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);

// Moments as people read them.

// "2026-03-01 14:02:07 UTC"
[[nodiscard]] std::string format_utc(std::uint64_t unix_ms);

}  // namespace muster
