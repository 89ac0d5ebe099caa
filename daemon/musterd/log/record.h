// What one log line says, as text and as JSON, so that a reader gets back exactly what was written.
// Pure.
//
// Text:
//   record  = message *( " " name "=" value )
//   name    = 1*( "a"-"z" / "_" )
//   message = plain / quoted     plain: not empty, not begun by DQUOTE, no word name "=" ...
//   value   = plain / quoted     plain: not empty, no "=", DQUOTE, space or ","
//   quoted  = what quote() of muster/text.h writes; unquote() is its inverse
// and `plain` has visible characters only (muster/text.h), and no backslash. So the fields begin
// behind the quoted message or at the first " " name "=", whatever a peer sent.
//
// JSON: one member for each field. A text that is not UTF-8 has U+FFFD for each byte that is none,
// and a second member, NAME_bytes, with its bytes in base64.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace muster::daemon {

// A name that is not of the grammar, or that is not known when the program is built, does not
// compile.
class LogFieldName {
 public:
  consteval LogFieldName(const char* name) : name_(name) {  // NOLINT(google-explicit-constructor)
    const bool good = !name_.empty() && std::all_of(name_.begin(), name_.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || c == '_';
    });
    if (!good || name_.ends_with("_bytes")) throw "not a field's name";
  }
  [[nodiscard]] constexpr std::string_view view() const noexcept { return name_; }

 private:
  std::string_view name_;
};

struct LogField {
  using Value = std::variant<std::string_view, std::int64_t, std::uint64_t, double>;
  LogFieldName name;
  Value value;
};
using LogFields = std::initializer_list<LogField>;

[[nodiscard]] std::string render_text(std::string_view message, LogFields fields);
// The inside of an object: `"message":"...","name":"...",...`.
[[nodiscard]] std::string render_json(std::string_view message, LogFields fields);

}  // namespace muster::daemon
