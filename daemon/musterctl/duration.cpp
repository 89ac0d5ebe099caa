#include "musterctl/duration.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <limits>

#include "muster/path.h"

namespace muster::ctl {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::uint64_t kLongest = std::numeric_limits<std::uint32_t>::max();  // ms

struct Unit {
  std::string_view name;
  std::uint64_t ms;
};
constexpr std::array<Unit, 4> kUnits{{{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

ParsedDuration wrong(std::string_view text, const std::string& why) {
  return {{}, quote(text) + ' ' + why};
}

std::string decimal(double value, int digits) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

// "3 min 12 s": the largest unit that says something and at most `more` below it.
std::string in_units(std::int64_t seconds, std::size_t more) {
  struct Large {
    std::int64_t seconds;
    const char* name;
  };
  constexpr std::array<Large, 4> kLarge{{{86'400, " d"}, {3'600, " h"}, {60, " min"}, {1, " s"}}};
  std::string text;
  for (const Large& unit : kLarge) {
    const std::int64_t count = seconds / unit.seconds;
    seconds %= unit.seconds;
    if (text.empty() && count == 0) continue;
    if (!text.empty() && more-- == 0) break;
    if (count != 0) text += (text.empty() ? "" : " ") + std::to_string(count) + unit.name;
  }
  return text.empty() ? "0 s" : text;
}

}  // namespace

ParsedDuration parse_duration(std::string_view text) {
  if (text.empty()) return wrong(text, "is no duration: write 500ms, 2s, 1m or 1h30m");
  std::uint64_t total = 0;
  std::size_t next_unit = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error == std::errc::result_out_of_range)
      return wrong(text, "is too long: the most is 49 days");
    if (error != std::errc()) return wrong(text, "is no duration: write 500ms, 2s, 1m or 1h30m");
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const std::string_view name = rest.substr(0, rest.find_first_of("0123456789"));
    if (name.empty()) {
      return wrong(text, "has a number without a unit: write " + std::to_string(number) +
                             "s for seconds or " + std::to_string(number) + "ms for milliseconds");
    }
    std::size_t unit = 0;
    while (unit < kUnits.size() && kUnits[unit].name != name) ++unit;
    if (unit == kUnits.size()) {
      return wrong(text,
                   "is no duration (the units are h, m, s and ms, the numbers whole): write "
                   "500ms, 2s, 1m or 1h30m");
    }
    if (unit < next_unit) return wrong(text, "has its units out of order: write 1h30m, not 30m1h");
    next_unit = unit + 1;
    if (number > kLongest / kUnits[unit].ms) return wrong(text, "is too long: the most is 49 days");
    total += number * kUnits[unit].ms;
    if (total > kLongest) return wrong(text, "is too long: the most is 49 days");
    rest.remove_prefix(name.size());
  }
  if (total == 0) return wrong(text, "is too short: the least is 1ms");
  return {milliseconds(total), {}};
}

std::string show_exactly(milliseconds duration) {
  const std::int64_t ms = duration.count();
  if (ms > 0 && ms < 1'000) return std::to_string(ms) + " ms";
  if (ms % 1'000 == 0) return in_units(ms / 1'000, 3);
  std::string text = decimal(static_cast<double>(ms) / 1'000, 3);
  text.erase(text.find_last_not_of('0') + 1);
  return text + " s";
}

std::string show_measured(microseconds duration) {
  const std::int64_t us = duration.count() < 0 ? 0 : duration.count();
  if (us < 9'950) return decimal(static_cast<double>(us) / 1e3, 1) + " ms";
  if (us < 999'500) return decimal(static_cast<double>(us) / 1e3, 0) + " ms";
  if (us < 59'950'000) return decimal(static_cast<double>(us) / 1e6, 1) + " s";
  return in_units((us + 500'000) / 1'000'000, 1);
}

}  // namespace muster::ctl
