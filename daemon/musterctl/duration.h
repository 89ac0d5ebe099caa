// Durations as an operator writes them ("500ms", "1h30m") and as musterctl shows them. Pure.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace muster::ctl {

struct ParsedDuration {
  std::chrono::milliseconds value{};  // valid when problem is empty
  std::string problem;                // one sentence: what is wrong, what would be right
};

// Whole numbers, each with its unit, the longest first: h, m, s, ms. A bare number is refused: too
// many programs disagree about what it means. At most 49 days (the wire has 32 bits of
// milliseconds).
[[nodiscard]] ParsedDuration parse_duration(std::string_view text);

// As it was set: "2 s", "500 ms", "2.5 s", "1 min 30 s".
[[nodiscard]] std::string show_exactly(std::chrono::milliseconds duration);
// As it was measured, to two digits or so: "0.4 ms", "312 ms", "1.2 s", "3 min 12 s", "2 d 3 h".
[[nodiscard]] std::string show_measured(std::chrono::microseconds duration);

}  // namespace muster::ctl
