#include "model/characters.h"

#include <algorithm>
#include <array>

#include "model/utf8.h"

namespace muster::characters {
namespace {

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

// Not visible (muster/text.h). In ascending order.
constexpr std::array kInvisible = {
    Range{0x0, 0x1f},        Range{0x7f, 0xa0},       Range{0xad, 0xad},
    Range{0x34f, 0x34f},     Range{0x61c, 0x61c},     Range{0x115f, 0x1160},
    Range{0x1680, 0x1680},   Range{0x17b4, 0x17b5},   Range{0x180b, 0x180f},
    Range{0x2000, 0x200f},   Range{0x2028, 0x202f},   Range{0x205f, 0x206f},
    Range{0x2800, 0x2800},   Range{0x3000, 0x3000},   Range{0x3164, 0x3164},
    Range{0xd800, 0xf8ff},   Range{0xfdd0, 0xfdef},   Range{0xfe00, 0xfe0f},
    Range{0xfeff, 0xfeff},   Range{0xffa0, 0xffa0},   Range{0xfff0, 0xfffb},
    Range{0xfffe, 0xffff},   Range{0x13430, 0x1343f}, Range{0x16fe4, 0x16fe4},
    Range{0x1bca0, 0x1bca3}, Range{0x1d159, 0x1d159}, Range{0x1d173, 0x1d17a},
    Range{0x1fffe, 0x1ffff}, Range{0x2fffe, 0x2ffff}, Range{0x3fffe, 0x10ffff}};

// Not Unicode's whole table: the blocks whose characters a terminal draws over the one before, and
// those it draws two columns wide. A locale would know better, but only if it is a UTF-8 one.
constexpr std::array kCombining = {
    Range{0x300, 0x36f},   Range{0x483, 0x489},   Range{0x591, 0x5bd},  Range{0x1ab0, 0x1aff},
    Range{0x1dc0, 0x1dff}, Range{0x20d0, 0x20ff}, Range{0xfe20, 0xfe2f}};
constexpr std::array kWide = {
    Range{0x1100, 0x115f}, Range{0x2e80, 0xa4cf},   Range{0xac00, 0xd7a3},
    Range{0xf900, 0xfaff}, Range{0xfe30, 0xfe6f},   Range{0xff00, 0xff60},
    Range{0xffe0, 0xffe6}, Range{0x1f300, 0x1faff}, Range{0x20000, 0x3fffd}};

template <std::size_t N>
bool is_in(const std::array<Range, N>& ranges, std::uint32_t code_point) noexcept {
  const auto range = std::lower_bound(ranges.begin(), ranges.end(), code_point,
                                      [](const Range& r, std::uint32_t c) { return r.last < c; });
  return range != ranges.end() && code_point >= range->first;
}

}  // namespace

bool is_visible(std::uint32_t code_point) noexcept { return !is_in(kInvisible, code_point); }

std::size_t columns_of(std::uint32_t code_point) noexcept {
  if (code_point < 0x300) return 1;
  if (is_in(kCombining, code_point)) return 0;
  return is_in(kWide, code_point) ? 2 : 1;
}

std::size_t columns_of(std::string_view text) noexcept {
  std::size_t columns = 0;
  while (!text.empty()) {
    const auto character = utf8::first(text);
    columns += columns_of(character.code_point);
    text.remove_prefix(character.bytes);
  }
  return columns;
}

}  // namespace muster::characters
