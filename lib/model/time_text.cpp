#include "model/time_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <ctime>

#include "muster/text.h"

namespace muster {
namespace {

using std::chrono::milliseconds;

struct TimeUnit {
  std::string_view name;
  std::uint64_t ms;
};

constexpr std::array<TimeUnit, 5> kTimeUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::string_view kLike = ": write 500ms, 2s, 1m or 1h30m";

ParsedDuration no_duration(std::string_view text, std::string_view why) {
  return {{}, quote(text).append(" ").append(why)};
}

}  // namespace

ParsedDuration parse_duration(std::string_view text, milliseconds least, milliseconds most) {
  const auto no_form = [&](std::string_view why) {
    return no_duration(text, std::string(why).append(kLike));
  };
  const auto limit = static_cast<std::uint64_t>(most.count());
  const auto too_long = [&] {
    return no_duration(text, "is too long: the most is " + format_duration(most));
  };
  if (text.empty()) return no_form("is no duration");
  std::uint64_t total = 0;
  std::size_t next_unit = 0;
  for (std::string_view rest = text; !rest.empty();) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error == std::errc::result_out_of_range) return too_long();
    if (error != std::errc()) return no_form("is no duration");
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const std::string_view name = rest.substr(0, rest.find_first_of("0123456789"));
    if (name.empty()) {
      return no_duration(text, "has a number without a unit: write " + std::to_string(number) +
                                   "s for seconds or " + std::to_string(number) +
                                   "ms for milliseconds");
    }
    std::size_t unit = 0;
    while (unit < kTimeUnits.size() && kTimeUnits[unit].name != name) ++unit;
    if (unit == kTimeUnits.size()) {
      return no_form("is no duration (the units are d, h, m, s and ms, the numbers whole)");
    }
    if (unit < next_unit) {
      return no_duration(text, "has its units out of order: write 1h30m, not 30m1h");
    }
    next_unit = unit + 1;
    if (number > (limit - total) / kTimeUnits[unit].ms) return too_long();
    total += number * kTimeUnits[unit].ms;
    rest.remove_prefix(name.size());
  }
  const milliseconds value(static_cast<std::int64_t>(total));
  if (value < least) {
    return no_duration(text, "is too short: the least is " + format_duration(least));
  }
  return {value, {}};
}

std::string format_duration(milliseconds duration) {
  auto left = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
  if (left == 0) return "0s";
  std::string text;
  for (const TimeUnit& unit : kTimeUnits) {
    if (left < unit.ms) continue;
    text += std::to_string(left / unit.ms).append(unit.name);
    left %= unit.ms;
  }
  return text;
}

std::string format_utc(std::uint64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  const auto length = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return {text.data(), length};
}

}  // namespace muster
