// Strings of JSON (RFC 8259) that a terminal may show: what is not visible (muster/text.h) stands
// there as \uXXXX, which a reader of JSON takes for the character itself. Pure.
#pragma once

#include <string>
#include <string_view>

namespace muster {

// Appends `text` with its quotes. Each byte that is not UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

// `json`, which means the same as before: characters that are not visible can only stand in its
// strings. Blanks between its tokens must be spaces. REQUIRES: valid JSON in UTF-8.
[[nodiscard]] std::string visible_json(std::string json);

}  // namespace muster
