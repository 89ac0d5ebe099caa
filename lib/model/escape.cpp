#include <algorithm>

#include "muster/text.h"

#include "model/characters.h"
#include "model/utf8.h"

namespace muster {
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
