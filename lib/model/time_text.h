// Moments as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace muster {

// "2026-03-01 14:02:07 UTC"
[[nodiscard]] std::string format_utc(std::uint64_t unix_ms);

}  // namespace muster
