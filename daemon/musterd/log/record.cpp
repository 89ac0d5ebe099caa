#include "musterd/log/record.h"

#include <iterator>
#include <type_traits>

#include <fmt/format.h>

#include "muster/text.h"

#include "model/characters.h"

namespace muster::daemon {
namespace {

bool is_name_character(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }

// Whether a reader would take a word of `text` for a field.
bool has_field(std::string_view text) {
  for (auto at = text.find('='); at != std::string_view::npos; at = text.find('=', at + 1)) {
    std::size_t begin = at;
    while (begin > 0 && is_name_character(text[begin - 1])) --begin;
    if (begin < at && (begin == 0 || text[begin - 1] == ' ')) return true;
  }
  return false;
}

void append_message(std::string& out, std::string_view message) {
  if (is_plain(message, "\\") && message.front() != '"' && !has_field(message)) {
    out += message;
  } else {
    out += quote(message);
  }
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const auto piece = bytes.substr(at, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = bits << 8U | (i < piece.size() ? static_cast<std::uint8_t>(piece[i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      out += i <= piece.size() ? kDigits[bits >> (18 - 6 * i) & 0x3fU] : '=';
    }
  }
  return out;
}

void append_json_member(std::string& out, std::string_view name, std::string_view text) {
  out.append(1, '"').append(name).append("\":");
  append_json_string(out, text);
  if (utf8::is_valid(text)) return;
  out.append(",\"").append(name).append("_bytes\":\"").append(base64(text)).append(1, '"');
}

void append_number(std::string& out, const LogField::Value& value) {
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

}  // namespace

std::string render_text(std::string_view message, LogFields fields) {
  std::string out;
  append_message(out, message);
  for (const LogField& field : fields) {
    out.append(1, ' ').append(field.name.view()).append(1, '=');
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      out += quote_if_needed(*text);
    } else {
      append_number(out, field.value);
    }
  }
  return out;
}

std::string render_json(std::string_view message, LogFields fields) {
  std::string out;
  append_json_member(out, "message", message);
  for (const LogField& field : fields) {
    out += ',';
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      append_json_member(out, field.name.view(), *text);
    } else {
      out.append(1, '"').append(field.name.view()).append("\":");
      append_number(out, field.value);
    }
  }
  return out;
}

}  // namespace muster::daemon
