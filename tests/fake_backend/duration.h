// Durations on the command line of the fake backend.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "model/time_text.h"

namespace muster::fake {

// At most 24 h; "0" needs no unit. Nothing when it is not one.
[[nodiscard]] inline std::optional<std::chrono::milliseconds> read_duration(std::string_view text) {
  if (text == "0") return std::chrono::milliseconds(0);
  const ParsedDuration parsed = parse_duration(text, {}, std::chrono::hours(24));
  if (!parsed.problem.empty()) return std::nullopt;
  return parsed.value;
}

}  // namespace muster::fake
