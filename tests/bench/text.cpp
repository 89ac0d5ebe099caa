#include "bench/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace muster::bench {

std::string format(const char* pattern, ...) {
  std::array<char, 512> text{};
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text.data(), text.size(), pattern, arguments);
  va_end(arguments);
  return text.data();
}

std::string three_digits(double value) {
  const double size = std::abs(value);
  return format(size < 1 ? "%.3f" : size < 10 ? "%.2f" : size < 100 ? "%.1f" : "%.0f", value);
}

std::string thousands(double value) { return value > 0 ? format("%.1fk", value / 1e3) : "-"; }

std::string grouped(std::size_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string figure(std::string_view name, double value) {
  std::string words(name);
  std::string unit;
  for (const std::string_view each : {"_ms", "_us", "_mb", "_per_s"}) {
    if (!name.ends_with(each)) continue;
    unit = each == "_mb" ? " MB" : each == "_per_s" ? "/s" : " " + std::string(each.substr(1));
    words.erase(words.size() - each.size());
  }
  std::replace(words.begin(), words.end(), '_', ' ');
  const bool is_whole = value == std::floor(value) && std::abs(value) < 1e9;
  return words + ' ' + (is_whole ? format("%.0f", value) : three_digits(value)) + unit;
}

}  // namespace muster::bench
