// Durations as they are written on a command line: "200ms", "2s", "1m", "1h".
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace muster::fake {

// A whole number with a unit, at most 24 h; "0" needs none. Nothing when it is not one.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// The shortest that parse_duration() reads back: "300ms", "2s".
[[nodiscard]] std::string to_string(std::chrono::milliseconds duration);

}  // namespace muster::fake
