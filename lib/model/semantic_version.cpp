#include "model/semantic_version.h"

#include <algorithm>

namespace muster {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_identifier_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

// A number without a leading zero.
bool is_numeric(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return false;
  return text.size() == 1 || text.front() != '0';
}

// Takes the text before the next `separator` (or all of it) off the front of `rest`.
std::string_view take(std::string_view& rest, char separator) {
  const auto end = std::min(rest.find(separator), rest.size());
  const auto part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

// Dot-separated identifiers, none empty; in a pre-release numbers have no leading zero.
bool are_identifiers(std::string_view text, bool pre_release) {
  if (text.empty() || text.back() == '.') return false;
  while (!text.empty()) {
    const auto part = take(text, '.');
    if (part.empty() || !std::all_of(part.begin(), part.end(), is_identifier_char)) return false;
    const bool number = std::all_of(part.begin(), part.end(), is_digit);
    if (pre_release && number && !is_numeric(part)) return false;
  }
  return true;
}

}  // namespace

bool is_semantic_version(std::string_view text) {
  if (const auto plus = text.find('+'); plus != std::string_view::npos) {
    if (!are_identifiers(text.substr(plus + 1), false)) return false;
    text = text.substr(0, plus);
  }
  if (const auto dash = text.find('-'); dash != std::string_view::npos) {
    if (!are_identifiers(text.substr(dash + 1), true)) return false;
    text = text.substr(0, dash);
  }
  if (std::count(text.begin(), text.end(), '.') != 2) return false;
  for (int part = 0; part < 3; ++part) {
    if (!is_numeric(take(text, '.'))) return false;
  }
  return true;
}

}  // namespace muster
