// What one log line says, as text and as JSON. Pure.
//
// Everything in it may come from a peer: no control byte, no terminal sequence and no byte that is
// not UTF-8 gets out of here, and a line stays one line.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace muster::daemon {

struct LogField {
  using Value = std::variant<std::string_view, std::int64_t, std::uint64_t, double>;
  std::string_view name;  // [a-z_]+
  Value value;
};
using LogFields = std::initializer_list<LogField>;

// `message name=value name="two words"`
[[nodiscard]] std::string render_text(std::string_view message, LogFields fields);
// `"message":"...","name":"...",...`: the inside of an object.
[[nodiscard]] std::string render_json(std::string_view message, LogFields fields);

}  // namespace muster::daemon
