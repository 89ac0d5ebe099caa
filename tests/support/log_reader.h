// Reads what musterd writes, by the grammar that daemon/musterd/log/record.h documents: a reader of
// its own that shares no code with the writer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster::test {

struct ReadRecord {
  std::string message;
  std::vector<std::pair<std::string, std::string>> fields;  // in order

  friend bool operator==(const ReadRecord&, const ReadRecord&) = default;
};

// `message name=value ...`: a line of the text form without time and level.
[[nodiscard]] std::optional<ReadRecord> read_text_record(std::string_view record);

// A JSON object of strings and numbers with the member "message". Strict: what RFC 8259 does not
// allow is nothing.
[[nodiscard]] std::optional<ReadRecord> read_json_record(std::string_view object);

// What stands between quotes, with its quotes.
[[nodiscard]] std::optional<std::string> read_quoted(std::string_view quoted);
// A string of JSON, with its quotes.
[[nodiscard]] std::optional<std::string> read_json_string(std::string_view quoted);

}  // namespace muster::test
