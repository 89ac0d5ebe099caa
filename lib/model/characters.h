// What a terminal does with a character: whether it is shown as it is, and how wide.
//
// The one table of both. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace muster::characters {

// Whether people see the character, and see it as what it is (muster/text.h names what they do
// not).
[[nodiscard]] bool is_visible(std::uint32_t code_point) noexcept;

// How many columns a terminal takes for a visible character: 0, 1 or 2.
[[nodiscard]] std::size_t columns_of(std::uint32_t code_point) noexcept;
// The same for a text in which all characters are visible.
[[nodiscard]] std::size_t columns_of(std::string_view text) noexcept;

}  // namespace muster::characters
