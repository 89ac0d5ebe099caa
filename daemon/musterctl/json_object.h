// One JSON object for answers that are not a message of the wire. Everything else is to_json()'s.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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

  JsonObject& texts(std::string_view name, const std::vector<std::string>& values) {
    std::string list;
    for (const std::string& value : values) {
      if (!list.empty()) list += ',';
      append_json_string(list, value);
    }
    return raw(name, '[' + list + ']');
  }
  // All members of another object, as to_json() makes them.
  JsonObject& members_of(std::string_view object) {
    const std::string_view inside = object.substr(1, object.size() - 2);
    if (!inside.empty()) members_.append(members_.empty() ? "" : ",").append(inside);
    return *this;
  }

  [[nodiscard]] std::string line() const { return '{' + members_ + "}\n"; }

 private:
  std::string members_;
};

}  // namespace muster::ctl
