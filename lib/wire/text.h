// Text on its way into Protobuf string fields, which must be UTF-8, and into sentences.
//
// Pure functions, any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace muster::wire {

// `text` as UTF-8 of at most `max_bytes`: each byte that belongs to no character becomes U+FFFD,
// and what is too long is cut at a character's beginning.
[[nodiscard]] std::string to_utf8(std::string_view text,
                                  std::size_t max_bytes = std::string_view::npos);
// Whether to_utf8() would leave it as it is.
[[nodiscard]] bool is_utf8(std::string_view text,
                           std::size_t max_bytes = std::string_view::npos) noexcept;

// Empty when `text` has at most `max_bytes`; else the sentence. `what`: "a failure's detail".
[[nodiscard]] std::string over_limit(std::string_view what, std::string_view text,
                                     std::size_t max_bytes);

// The sentence about an enum's number that means nothing here. `what`: "a failure's reason".
[[nodiscard]] std::string not_known(std::string_view what, int number);

}  // namespace muster::wire
