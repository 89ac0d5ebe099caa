#include "musterctl/text.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "muster/text.h"

#include "model/utf8.h"

namespace muster::ctl {
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

}  // namespace muster::ctl
