// Golden bytes: tests/unit/golden/*.hex. An entry is a name at a line's beginning and, in the
// indented lines below it, a frame in hexadecimal; blank lines, spaces and what follows a # do not
// count.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace muster::test {

using GoldenFrames = std::map<std::string, std::string, std::less<>>;

// REQUIRES: the file exists and is well formed (throws std::runtime_error).
[[nodiscard]] GoldenFrames load_golden(std::string_view file_name);

// As an entry of such a file is written.
[[nodiscard]] std::string golden_entry(std::string_view name, std::string_view frame);

}  // namespace muster::test
