// Text that a peer chose, made safe for terminals, log lines and sentences; and the way
// back.
//
// A character is *visible* when a terminal shows it as it is. Not visible: controls (C0, DEL, C1),
// bidirectional controls, line and paragraph separators, blanks other than the space, zero-width
// and other default-ignorable characters, format controls, private use, noncharacters. One table,
// in lib/model/characters.cpp, decides that for every text of Muster.
//
//   escaped = *( character / "\\" / byte )         what escape_bytes() writes
//   quoted  = DQUOTE *( character / "\\" / "\" DQUOTE / byte ) DQUOTE        what quote() writes
//   byte    = "\x" 2HEX                            one byte; HEX is 0-9 and a-f
//   character                                      a visible character in UTF-8, but not "\" and,
//                                                  between quotes, not DQUOTE
//
// Bytes that are not UTF-8, and every byte of a character that is not visible, are written as
// `byte`. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace muster {

// `bytes` as `escaped`, where no quotes stand around it. No two inputs give the same text.
[[nodiscard]] std::string escape_bytes(std::string_view bytes);

// A sentence in which names were escaped already: as escape_bytes(), but a backslash stays one.
[[nodiscard]] std::string escape_controls(std::string_view sentence);

// `bytes` as `quoted`. No two inputs give the same text.
[[nodiscard]] std::string quote(std::string_view bytes);

// The same for a sentence that must stay short: the first `max_bytes` bytes at most (whole
// characters), then "..." behind the closing quote when some were left out.
[[nodiscard]] std::string quote_start(std::string_view bytes, std::size_t max_bytes = 80);

// `bytes` as a word among others: as they are if they are a plain word, else as `quoted`. A plain
// word is not empty and has visible characters only, none of which is a space, DQUOTE, "=", "," or
// "\".
[[nodiscard]] std::string quote_if_needed(std::string_view bytes);

// Whether `text` is not empty and has visible characters only, none of them in `special` (ASCII).
[[nodiscard]] bool is_plain(std::string_view text, std::string_view special) noexcept;

// The inverse of quote(): unquote(quote(x)) is x for all bytes x. Nothing for a text that quote()
// does not write.
[[nodiscard]] std::optional<std::string> unquote(std::string_view quoted);

}  // namespace muster
