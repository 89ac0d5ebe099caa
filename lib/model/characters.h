// Characters of texts that others wrote: UTF-8, what a terminal shows of them, strings of JSON.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace muster::utf8 {

// Reading UTF-8 one character at a time, strictly (RFC 3629: no surrogates, no overlong forms).
struct Character {
  std::size_t bytes = 1;  // how many bytes it takes; 1 when it is not valid
  std::uint32_t code_point = 0;
  bool valid = false;
};

// REQUIRES: `text` is not empty.
[[nodiscard]] inline Character first(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {1, lead, true};
  std::size_t bytes = 0;
  std::uint32_t code_point = 0;
  std::uint32_t least = 0;
  if ((lead & 0xe0U) == 0xc0U) {
    bytes = 2, code_point = lead & 0x1fU, least = 0x80;
  } else if ((lead & 0xf0U) == 0xe0U) {
    bytes = 3, code_point = lead & 0x0fU, least = 0x800;
  } else if ((lead & 0xf8U) == 0xf0U) {
    bytes = 4, code_point = lead & 0x07U, least = 0x10000;
  } else {
    return {};
  }
  if (text.size() < bytes) return {};
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return {};
    code_point = (code_point << 6U) | (byte(i) & 0x3fU);
  }
  const bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
  if (code_point < least || code_point > 0x10ffff || surrogate) return {};
  return {bytes, code_point, true};
}

// How many bytes at the beginning of `text` are ASCII: nearly always all of them, so they are
// looked at eight at a time.
[[nodiscard]] inline std::size_t ascii_bytes(std::string_view text) noexcept {
  constexpr std::uint64_t kHighBits = 0x8080'8080'8080'8080;
  std::size_t count = 0;
  for (std::uint64_t eight = 0; text.size() - count >= sizeof(eight); count += sizeof(eight)) {
    std::memcpy(&eight, text.data() + count, sizeof(eight));
    if ((eight & kHighBits) != 0) break;
  }
  while (count < text.size() && static_cast<std::uint8_t>(text[count]) < 0x80) ++count;
  return count;
}

[[nodiscard]] inline bool is_valid(std::string_view text) noexcept {
  for (;;) {
    text.remove_prefix(ascii_bytes(text));
    if (text.empty()) return true;
    const auto character = first(text);
    if (!character.valid) return false;
    text.remove_prefix(character.bytes);
  }
}

// How many bytes of `text` to keep so that at most `max_bytes` are left and no character is cut in
// two.
[[nodiscard]] inline std::size_t cut_at(std::string_view text, std::size_t max_bytes) noexcept {
  if (text.size() <= max_bytes) return text.size();
  // A character that begins before the cut and ends behind it takes at most three bytes before it.
  for (std::size_t before = 1; before <= 3 && before <= max_bytes; ++before) {
    const auto character = first(text.substr(max_bytes - before));
    if (character.valid && character.bytes > before) return max_bytes - before;
  }
  return max_bytes;
}

// `text` with U+FFFD for each byte that is not UTF-8, cut at a character's beginning so that it
// takes at most `max_bytes`.
[[nodiscard]] inline std::string sanitize(std::string_view text, std::size_t max_bytes) {
  static constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  std::string out;
  while (!text.empty()) {
    const auto character = first(text);
    const auto piece = character.valid ? text.substr(0, character.bytes) : kReplacement;
    if (out.size() + piece.size() > max_bytes) break;
    out += piece;
    text.remove_prefix(character.bytes);
  }
  return out;
}

}  // namespace muster::utf8

namespace muster::characters {

// What a terminal does with a character: whether it is shown as it is, and how wide.
//
// The one table of both. Pure.

// Whether people see the character, and see it as what it is (muster/text.h names what they do
// not).
[[nodiscard]] bool is_visible(std::uint32_t code_point) noexcept;

// How many columns a terminal takes for a visible character: 0, 1 or 2.
[[nodiscard]] std::size_t columns_of(std::uint32_t code_point) noexcept;
// The same for a text in which all characters are visible.
[[nodiscard]] std::size_t columns_of(std::string_view text) noexcept;

}  // namespace muster::characters

namespace muster {

// Strings of JSON (RFC 8259) that a terminal may show: what is not visible (muster/text.h) stands
// there as \uXXXX, which a reader of JSON takes for the character itself. Pure.

// Appends `text` with its quotes. Each byte that is not UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

// `json`, which means the same as before: characters that are not visible can only stand in its
// strings. Blanks between its tokens must be spaces. REQUIRES: valid JSON in UTF-8.
[[nodiscard]] std::string visible_json(std::string json);

}  // namespace muster
