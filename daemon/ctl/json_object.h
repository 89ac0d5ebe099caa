// One JSON object for answers that are not a message of the wire. Everything else is to_json()'s.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/json_text.h"

namespace muster::ctl {

class JsonObject {
 public:
  JsonObject& text(std::string_view name, std::string_view value) {
    std::string quoted;
    append_json_string(quoted, value);
    return raw(name, quoted);
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
    append_json_string(members_, name);
    members_.append(1, ':').append(value);
    return *this;
  }

  [[nodiscard]] std::string line() const { return '{' + members_ + "}\n"; }

 private:
  std::string members_;
};

}  // namespace muster::ctl
