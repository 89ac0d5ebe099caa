#include "musterctl/text.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <limits>

#include "muster/path.h"
#include "muster/text.h"

#include "model/characters.h"

namespace muster::ctl {

// --- text

namespace {

std::tm local(std::uint64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1'000);
  std::tm time{};
  ::localtime_r(&seconds, &time);
  return time;
}

std::string formatted(const std::tm& time, const char* format) {
  std::array<char, 64> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), format, &time);
  return {text.data(), size};
}

}  // namespace

std::string cut_to(std::string_view text, std::size_t columns) {
  constexpr std::string_view kCut = "...";
  if (columns_of(text) <= columns) return std::string(text);
  if (columns <= kCut.size()) return std::string(kCut.substr(0, columns));
  const std::size_t room = columns - kCut.size();
  std::size_t used = 0;
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const auto character = utf8::first(text.substr(bytes));
    const std::size_t width = columns_of(character.code_point);
    if (used + width > room) break;
    used += width;
    bytes += character.bytes;
  }
  return std::string(text.substr(0, bytes)).append(kCut);
}

std::string padded(std::string text, std::size_t columns) {
  const std::size_t has = columns_of(text);
  if (has < columns) text.append(columns - has, ' ');
  return text;
}

std::vector<std::string> table_lines(const std::vector<std::vector<std::string>>& rows) {
  constexpr std::string_view kBetween = "  ";
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  std::vector<std::string> lines;
  lines.reserve(rows.size());
  for (const auto& row : rows) {
    std::string& line = lines.emplace_back();
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += kBetween;
      line += padded(row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
  }
  return lines;
}

std::string counted(std::uint64_t count, std::string_view what) {
  std::string text = std::to_string(count) + ' ' + std::string(what);
  if (count != 1) text += 's';
  return text;
}

std::string shown(const BackendKey& key) { return escape_bytes(key.to_string()); }

std::string local_time(std::uint64_t unix_ms, std::uint64_t now_unix_ms) {
  const std::tm time = local(unix_ms);
  const std::tm now = local(now_unix_ms);
  const bool today = time.tm_year == now.tm_year && time.tm_yday == now.tm_yday;
  return formatted(time, today ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S");
}

std::string local_time_of_day(std::uint64_t unix_ms) {
  std::array<char, 8> milliseconds{};
  std::snprintf(milliseconds.data(), milliseconds.size(), ".%03u",
                static_cast<unsigned>(unix_ms % 1'000));
  return formatted(local(unix_ms), "%H:%M:%S") + milliseconds.data();
}

std::uint64_t unix_ms_now() {
  using std::chrono::system_clock;
  const auto since_epoch = system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count());
}

// --- durations

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

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
