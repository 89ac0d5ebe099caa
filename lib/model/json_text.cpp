#include "model/json_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

#include "model/characters.h"
#include "model/utf8.h"

namespace muster {
namespace {

bool is_plain_json(char c) { return c >= ' ' && c <= '~'; }

void append_code_unit(std::string& out, std::uint32_t unit) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "\\u%04x", static_cast<unsigned>(unit));
  out += text.data();
}

// JSON's escapes are of UTF-16: two for a character beyond U+FFFF.
void append_json_escape(std::string& out, std::uint32_t code_point) {
  if (code_point < 0x10000) return append_code_unit(out, code_point);
  const std::uint32_t above = code_point - 0x10000;
  append_code_unit(out, 0xd800 + (above >> 10U));
  append_code_unit(out, 0xdc00 + (above & 0x3ffU));
}

// Takes one character from the beginning of `text`, which is not plain ASCII.
void move_character(std::string& out, std::string_view& text) {
  const auto character = utf8::first(text);
  if (!character.valid) {
    out += "\\ufffd";
  } else if (!characters::is_visible(character.code_point)) {
    append_json_escape(out, character.code_point);
  } else {
    out += text.substr(0, character.bytes);
  }
  text.remove_prefix(character.bytes);
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const auto end = std::find_if(text.begin(), text.end(), [](char c) {
      return !is_plain_json(c) || c == '"' || c == '\\';
    });
    const auto plain = static_cast<std::size_t>(end - text.begin());
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    if (text.front() == '"' || text.front() == '\\') {
      out.append(1, '\\').append(1, text.front());
      text.remove_prefix(1);
    } else {
      move_character(out, text);
    }
  }
  out += '"';
}

std::string visible_json(std::string json) {
  if (std::all_of(json.begin(), json.end(), is_plain_json)) return json;
  std::string out;
  out.reserve(json.size());
  for (std::string_view text = json; !text.empty();) {
    const auto end = std::find_if_not(text.begin(), text.end(), is_plain_json);
    const auto plain = static_cast<std::size_t>(end - text.begin());
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (!text.empty()) move_character(out, text);
  }
  return out;
}

}  // namespace muster
