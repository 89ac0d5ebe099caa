#include "wire/text.h"

#include "model/utf8.h"

namespace muster::wire {

std::string to_utf8(std::string_view text, std::size_t max_bytes) {
  return is_utf8(text, max_bytes) ? std::string(text) : utf8::sanitize(text, max_bytes);
}

bool is_utf8(std::string_view text, std::size_t max_bytes) noexcept {
  return text.size() <= max_bytes && utf8::is_valid(text);
}

std::string over_limit(std::string_view what, std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return {};
  return std::string(what) + " has " + std::to_string(text.size()) + " bytes; the most is " +
         std::to_string(max_bytes);
}

std::string not_known(std::string_view what, int number) {
  return std::string(what) + " is " + std::to_string(number) +
         ", which is not one of those that are known";
}

}  // namespace muster::wire
