// Text for people: columns on a terminal, colour, plurals, local time, durations; and JSON objects
// that are not a message of the wire. Pure, but for the time zone.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "muster/backend_key.h"

#include "model/characters.h"

namespace muster::ctl {

// --- text

// Text for people: columns on a terminal, plurals, local time. Pure, but for the time zone.
using characters::columns_of;
// `text`, cut with "..." if it would take more than `columns`.
[[nodiscard]] std::string cut_to(std::string_view text, std::size_t columns);
// Appends spaces until `text` takes `columns`.
[[nodiscard]] std::string padded(std::string text, std::size_t columns);

// The lines of a table, its header first: columns as wide as their widest cell, nothing behind the
// last. Cells are safe for a terminal; every row has as many as the header.
[[nodiscard]] std::vector<std::string> table_lines(
    const std::vector<std::vector<std::string>>& rows);

// "1 backend", "3 backends".
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view what);
// A key, safe for a terminal.
[[nodiscard]] std::string shown(const BackendKey& key);

// "14:02:11" when that is on the same local day as `now`, else "2024-03-01 14:02:11".
[[nodiscard]] std::string local_time(std::uint64_t unix_ms, std::uint64_t now_unix_ms);
// "14:02:11.123": for lines that are written as things happen.
[[nodiscard]] std::string local_time_of_day(std::uint64_t unix_ms);
[[nodiscard]] std::uint64_t unix_ms_now();

// --- colour

// Colour, where there is any. What a backend sent went through escape_bytes() before, so that it
// cannot end the colour or begin one.
class Paint {
 public:
  explicit Paint(bool on = false) : on_(on) {}

  [[nodiscard]] std::string good(std::string_view text) const { return wrapped("\x1b[32m", text); }
  [[nodiscard]] std::string error(std::string_view text) const { return wrapped("\x1b[31m", text); }
  [[nodiscard]] std::string warning(std::string_view text) const {
    return wrapped("\x1b[33m", text);
  }
  [[nodiscard]] std::string dim(std::string_view text) const { return wrapped("\x1b[2m", text); }
  [[nodiscard]] std::string bold(std::string_view text) const { return wrapped("\x1b[1m", text); }

 private:
  [[nodiscard]] std::string wrapped(std::string_view begin, std::string_view text) const {
    if (!on_) return std::string(text);
    return std::string(begin).append(text).append("\x1b[0m");
  }

  bool on_;
};

// --- durations

// Durations as musterctl shows them; model/time_text.h reads them.

// As it was set: "2 s", "500 ms", "2.5 s", "1 min 30 s".
[[nodiscard]] std::string show_exactly(std::chrono::milliseconds duration);
// As it was measured, to two digits or so: "0.4 ms", "312 ms", "1.2 s", "3 min 12 s", "2 d 3 h".
[[nodiscard]] std::string show_measured(std::chrono::microseconds duration);

// --- JSON

// One JSON object for answers that are not a message of the wire. Everything else is to_json()'s.
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
