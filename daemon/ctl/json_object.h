// One JSON object for answers that are not a message of the wire. Everything else is to_json()'s.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace muster::ctl {

class JsonObject {
 public:
  JsonObject& text(std::string_view name, std::string_view value) {
    return raw(name, quoted_text(value));
  }
  // 64-bit numbers are strings, as in Protobuf's JSON.
  JsonObject& big(std::string_view name, std::uint64_t value) {
    return raw(name, '"' + std::to_string(value) + '"');
  }
  JsonObject& number(std::string_view name, std::int64_t value) {
    return raw(name, std::to_string(value));
  }
  JsonObject& boolean(std::string_view name, bool value) {
    return raw(name, value ? "true" : "false");
  }
  // `value` is JSON.
  JsonObject& raw(std::string_view name, std::string_view value) {
    if (!members_.empty()) members_ += ',';
    members_.append(quoted_text(name)).append(1, ':').append(value);
    return *this;
  }

  [[nodiscard]] std::string line() const { return '{' + members_ + "}\n"; }

 private:
  static std::string quoted_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        out.append(1, '\\').append(1, c);
      } else if (static_cast<unsigned char>(c) < 0x20) {
        char code[8];
        std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
        out += code;
      } else {
        out += c;
      }
    }
    return out + '"';
  }

  std::string members_;
};

}  // namespace muster::ctl
