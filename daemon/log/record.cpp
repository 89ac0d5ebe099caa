#include "log/record.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "model/utf8.h"

namespace muster::daemon {
namespace {

// What would start a new line, move the cursor or turn the direction of writing.
bool is_unsafe(std::uint32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0) ||
         (code_point >= 0x200e && code_point <= 0x200f) ||
         (code_point >= 0x2028 && code_point <= 0x202e) ||
         (code_point >= 0x2066 && code_point <= 0x2069) || code_point == 0x061c;
}

// Takes what is safe wherever it stands from the beginning of `text`: nearly always all of it.
std::string_view take_plain(std::string_view& text) {
  const auto end = std::find_if(text.begin(), text.end(),
                                [](char c) { return c < ' ' || c > '~' || c == '"' || c == '\\'; });
  const auto plain = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(plain.size());
  return plain;
}

void append_text(std::string& out, std::string_view text, bool quoted) {
  while (!text.empty()) {
    out += take_plain(text);
    if (text.empty()) break;
    const auto character = utf8::first(text);
    const auto piece = text.substr(0, character.bytes);
    if (!character.valid || is_unsafe(character.code_point)) {
      for (const char byte : piece) {
        fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(byte));
      }
    } else {
      if (quoted && piece == "\"") out += '\\';
      out += piece;
    }
    text.remove_prefix(character.bytes);
  }
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    out += take_plain(text);
    if (text.empty()) break;
    const auto character = utf8::first(text);
    const auto piece = text.substr(0, character.bytes);
    if (!character.valid) {
      out += "\\ufffd";
    } else if (is_unsafe(character.code_point)) {  // all below 0x10000
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", character.code_point);
    } else {
      if (piece == "\"" || piece == "\\") out += '\\';
      out += piece;
    }
    text.remove_prefix(character.bytes);
  }
  out += '"';
}

void append_number(std::string& out, const decltype(LogField::value)& value) {
  const auto append = [&](auto number) {
    if constexpr (std::is_integral_v<decltype(number)>) {
      const fmt::format_int text(number);
      out.append(text.data(), text.size());
    } else {
      fmt::format_to(std::back_inserter(out), "{}", number);
    }
  };
  std::visit(append, value);
}

bool needs_quotes(std::string_view text) {
  return text.empty() || std::any_of(text.begin(), text.end(), [](char c) {
           return c == ' ' || c == '"' || c == '=' || c == ',';
         });
}

}  // namespace

std::string render_text(std::string_view message, LogFields fields) {
  std::string out;
  append_text(out, message, false);
  for (const LogField& field : fields) {
    out.append(1, ' ').append(field.name).append(1, '=');
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      const bool quotes = needs_quotes(*text);
      if (quotes) out += '"';
      append_text(out, *text, quotes);
      if (quotes) out += '"';
    } else {
      append_number(out, field.value);
    }
  }
  return out;
}

std::string render_json(std::string_view message, LogFields fields) {
  std::string out = "\"message\":";
  append_json_string(out, message);
  for (const LogField& field : fields) {
    out.append(",\"").append(field.name).append("\":");
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      append_json_string(out, *text);
    } else {
      append_number(out, field.value);
    }
  }
  return out;
}

}  // namespace muster::daemon
