#include "fake_backend/duration.h"

#include <charconv>
#include <cstdint>

namespace muster::fake {

using std::chrono::milliseconds;

std::optional<milliseconds> parse_duration(std::string_view text) {
  std::int64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [unit_begin, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || count < 0 || text.front() == '-') return std::nullopt;

  const std::string_view unit(unit_begin, static_cast<std::size_t>(end - unit_begin));
  std::int64_t scale = 0;
  if (unit == "ms" || (unit.empty() && count == 0)) scale = 1;
  if (unit == "s") scale = 1'000;
  if (unit == "m") scale = 60'000;
  if (unit == "h") scale = 3'600'000;

  constexpr std::int64_t kLongest = 24 * 3'600'000;
  if (scale == 0 || count > kLongest / scale) return std::nullopt;
  return milliseconds(count * scale);
}

std::string to_string(milliseconds duration) {
  const std::int64_t count = duration.count();
  if (count % 1'000 == 0) return std::to_string(count / 1'000) + "s";
  return std::to_string(count) + "ms";
}

}  // namespace muster::fake
