#include "ctl/text.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "muster/path.h"

#include "model/utf8.h"

namespace muster::ctl {
namespace {

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

template <std::size_t N>
bool is_in(const std::array<Range, N>& ranges, std::uint32_t code_point) {
  for (const Range& range : ranges) {
    if (code_point >= range.first && code_point <= range.last) return true;
  }
  return false;
}

// Not Unicode's whole table: the blocks whose characters a terminal draws over the one before, and
// those it draws two columns wide. A locale would know better, but only if it is a UTF-8 one.
constexpr std::array<Range, 6> kCombining{{{0x300, 0x36f},
                                           {0x483, 0x489},
                                           {0x591, 0x5bd},
                                           {0x1ab0, 0x1aff},
                                           {0x20d0, 0x20ff},
                                           {0xfe00, 0xfe0f}}};
constexpr std::array<Range, 9> kWide{{{0x1100, 0x115f},
                                      {0x2e80, 0xa4cf},
                                      {0xac00, 0xd7a3},
                                      {0xf900, 0xfaff},
                                      {0xfe30, 0xfe6f},
                                      {0xff00, 0xff60},
                                      {0xffe0, 0xffe6},
                                      {0x1f300, 0x1faff},
                                      {0x20000, 0x3fffd}}};

std::size_t columns_of(std::uint32_t code_point) {
  if (code_point < 0x300) return 1;
  if (is_in(kCombining, code_point)) return 0;
  return is_in(kWide, code_point) ? 2 : 1;
}

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

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const auto character = utf8::first(text);
    columns += columns_of(character.code_point);
    text.remove_prefix(character.bytes);
  }
  return columns;
}

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

std::string counted(std::uint64_t count, std::string_view what) {
  std::string text = std::to_string(count) + ' ' + std::string(what);
  if (count != 1) text += 's';
  return text;
}

std::string in_quotes(std::string_view text) { return '"' + escape_bytes(text) + '"'; }

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

}  // namespace muster::ctl
