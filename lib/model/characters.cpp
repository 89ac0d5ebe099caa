#include "model/characters.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

#include "muster/text.h"

namespace muster::characters {
namespace {

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

// Not visible (muster/text.h). In ascending order.
constexpr std::array kInvisible = {
    Range{0x0, 0x1f},        Range{0x7f, 0xa0},       Range{0xad, 0xad},
    Range{0x34f, 0x34f},     Range{0x61c, 0x61c},     Range{0x115f, 0x1160},
    Range{0x1680, 0x1680},   Range{0x17b4, 0x17b5},   Range{0x180b, 0x180f},
    Range{0x2000, 0x200f},   Range{0x2028, 0x202f},   Range{0x205f, 0x206f},
    Range{0x2800, 0x2800},   Range{0x3000, 0x3000},   Range{0x3164, 0x3164},
    Range{0xd800, 0xf8ff},   Range{0xfdd0, 0xfdef},   Range{0xfe00, 0xfe0f},
    Range{0xfeff, 0xfeff},   Range{0xffa0, 0xffa0},   Range{0xfff0, 0xfffb},
    Range{0xfffe, 0xffff},   Range{0x13430, 0x1343f}, Range{0x16fe4, 0x16fe4},
    Range{0x1bca0, 0x1bca3}, Range{0x1d159, 0x1d159}, Range{0x1d173, 0x1d17a},
    Range{0x1fffe, 0x1ffff}, Range{0x2fffe, 0x2ffff}, Range{0x3fffe, 0x10ffff}};

// Not Unicode's whole table: the blocks whose characters a terminal draws over the one before, and
// those it draws two columns wide. A locale would know better, but only if it is a UTF-8 one.
constexpr std::array kCombining = {
    Range{0x300, 0x36f},   Range{0x483, 0x489},   Range{0x591, 0x5bd},  Range{0x1ab0, 0x1aff},
    Range{0x1dc0, 0x1dff}, Range{0x20d0, 0x20ff}, Range{0xfe20, 0xfe2f}};
constexpr std::array kWide = {
    Range{0x1100, 0x115f}, Range{0x2e80, 0xa4cf},   Range{0xac00, 0xd7a3},
    Range{0xf900, 0xfaff}, Range{0xfe30, 0xfe6f},   Range{0xff00, 0xff60},
    Range{0xffe0, 0xffe6}, Range{0x1f300, 0x1faff}, Range{0x20000, 0x3fffd}};

template <std::size_t N>
bool is_in(const std::array<Range, N>& ranges, std::uint32_t code_point) noexcept {
  const auto range = std::lower_bound(ranges.begin(), ranges.end(), code_point,
                                      [](const Range& r, std::uint32_t c) { return r.last < c; });
  return range != ranges.end() && code_point >= range->first;
}

}  // namespace

bool is_visible(std::uint32_t code_point) noexcept { return !is_in(kInvisible, code_point); }

std::size_t columns_of(std::uint32_t code_point) noexcept {
  if (code_point < 0x300) return 1;
  if (is_in(kCombining, code_point)) return 0;
  return is_in(kWide, code_point) ? 2 : 1;
}

std::size_t columns_of(std::string_view text) noexcept {
  std::size_t columns = 0;
  while (!text.empty()) {
    const auto character = utf8::first(text);
    columns += columns_of(character.code_point);
    text.remove_prefix(character.bytes);
  }
  return columns;
}

}  // namespace muster::characters

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

namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

// What is escaped beside bytes that are not UTF-8 and characters that are not visible.
enum class Escaped { kNothing, kBackslash, kBackslashAndQuote };

// Takes what stays as it is from the beginning of `text`: nearly always all of it.
std::string_view take_plain_ascii(std::string_view& text, Escaped escaped) {
  const bool quotes = escaped == Escaped::kBackslashAndQuote;
  const auto end = std::find_if(text.begin(), text.end(), [&](char c) {
    return c < ' ' || c > '~' || c == '\\' || (quotes && c == '"');
  });
  const auto plain = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(plain.size());
  return plain;
}

void append_escaped_text(std::string& out, std::string_view text, Escaped escaped) {
  for (;;) {
    out += take_plain_ascii(text, escaped);
    if (text.empty()) return;
    const auto character = utf8::first(text);
    const auto piece = text.substr(0, character.bytes);
    text.remove_prefix(character.bytes);
    if (!character.valid || !characters::is_visible(character.code_point)) {
      for (const char c : piece) {
        const auto byte = static_cast<std::uint8_t>(c);
        out += "\\x";
        out += kHexDigits[byte >> 4U];
        out += kHexDigits[byte & 0xfU];
      }
    } else {
      const bool escape = (piece == "\\" && escaped != Escaped::kNothing) || piece == "\"";
      if (escape) out += '\\';
      out += piece;
    }
  }
}

std::string escaped_text(std::string_view text, Escaped escaped) {
  std::string out;
  out.reserve(text.size());
  append_escaped_text(out, text, escaped);
  return out;
}

// The byte that begins `text`, which follows a backslash. Nothing for what is no escape.
std::optional<char> take_escape(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const char kind = text.front();
  text.remove_prefix(1);
  if (kind == '\\' || kind == '"') return kind;
  if (kind != 'x' || text.size() < 2) return std::nullopt;
  const auto high = kHexDigits.find(text[0]);
  const auto low = kHexDigits.find(text[1]);
  if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
  text.remove_prefix(2);
  return static_cast<char>(high * 16 + low);
}

}  // namespace

std::string escape_bytes(std::string_view bytes) {
  return escaped_text(bytes, Escaped::kBackslash);
}

std::string escape_controls(std::string_view sentence) {
  return escaped_text(sentence, Escaped::kNothing);
}

std::string quote(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + 2);
  out += '"';
  append_escaped_text(out, bytes, Escaped::kBackslashAndQuote);
  out += '"';
  return out;
}

std::string quote_start(std::string_view bytes, std::size_t max_bytes) {
  if (bytes.size() <= max_bytes) return quote(bytes);
  return quote(bytes.substr(0, utf8::cut_at(bytes, max_bytes))) + "...";
}

bool is_plain(std::string_view text, std::string_view special) noexcept {
  if (text.empty()) return false;
  if (text.find_first_of(special) != std::string_view::npos) return false;
  for (;;) {
    const auto end =
        std::find_if(text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; });
    if (end == text.end()) return true;
    text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
    const auto character = utf8::first(text);
    if (!character.valid || !characters::is_visible(character.code_point)) return false;
    text.remove_prefix(character.bytes);
  }
}

std::string quote_if_needed(std::string_view bytes) {
  return is_plain(bytes, " \"=,\\") ? std::string(bytes) : quote(bytes);
}

std::optional<std::string> unquote(std::string_view quoted) {
  if (quoted.size() < 2 || quoted.front() != '"' || quoted.back() != '"') return std::nullopt;
  std::string bytes;
  for (auto rest = quoted.substr(1, quoted.size() - 2); !rest.empty();) {
    const auto plain = rest.substr(0, rest.find('\\'));
    bytes += plain;
    rest.remove_prefix(plain.size());
    if (rest.empty()) break;
    rest.remove_prefix(1);
    const auto byte = take_escape(rest);
    if (!byte) return std::nullopt;
    bytes += *byte;
  }
  // Also refuses a bare quote, a raw control and an escape where none is needed.
  if (quote(bytes) != quoted) return std::nullopt;
  return bytes;
}

}  // namespace muster
