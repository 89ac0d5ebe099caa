// Sizes, modes and words as people write them in a file or on a command line; model/time_text.h has
// durations.
//
// Pure functions. Nothing when the text is not one: the caller says what would be right, in a
// sentence of its own that begins with one of the k...Form texts.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace muster::daemon {

inline constexpr std::string_view kDurationForm = R"(a duration such as "5s", "250ms" or "1h30m")";
inline constexpr std::string_view kSizeForm = R"(a size such as "256KiB" or "1MiB")";
inline constexpr std::string_view kModeForm = R"(octal digits such as "0660")";

// A whole number with a unit of B, KiB, MiB or GiB.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);
[[nodiscard]] std::string format_size(std::uint64_t bytes);

// Permission bits, "0000" to "0777".
[[nodiscard]] std::optional<mode_t> parse_mode(std::string_view text);

// `names the group "x", which this host does not have`, and what makes it where that is known.
// `shown` is the name as a sentence shows it.
[[nodiscard]] std::string missing_account(std::string_view what, std::string_view name,
                                          std::string_view shown);

// The known word that `word` was probably meant to be: at most two typing errors away, and less
// than half of it. Empty when there is none.
[[nodiscard]] std::string_view nearest_word(std::string_view word,
                                            std::span<const std::string_view> known);

}  // namespace muster::daemon
