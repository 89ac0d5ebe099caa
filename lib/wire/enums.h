// Enumerations between values and the wire: one table each, so that a number on the wire never
// depends on the order of an enum here.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "wire/text.h"

namespace muster::wire {

template <typename Value, typename Proto, std::size_t kSize>
using EnumTable = std::array<std::pair<Value, Proto>, kSize>;

// A value that stands in no table is one of a newer version, kept as a number that nobody knows.
template <typename Value, typename Proto, std::size_t kSize>
[[nodiscard]] constexpr Proto proto_of(const EnumTable<Value, Proto, kSize>& table,
                                       Value value) noexcept {
  for (const auto& [known, proto] : table) {
    if (known == value) return proto;
  }
  return static_cast<Proto>(static_cast<int>(value));
}

// Empty when the number stands in the table; else the sentence. `what`: "a failure's reason".
template <typename Value, typename Proto, std::size_t kSize>
[[nodiscard]] std::string value_of(const EnumTable<Value, Proto, kSize>& table,
                                   std::string_view what, Proto proto, Value& out) {
  for (const auto& [value, known] : table) {
    if (known == proto) {
      out = value;
      return {};
    }
  }
  return not_known(what, static_cast<int>(proto));
}

// For what only explains something: a number of a newer version leaves `otherwise`.
template <typename Value, typename Proto, std::size_t kSize>
[[nodiscard]] constexpr Value value_or(const EnumTable<Value, Proto, kSize>& table, Proto proto,
                                       Value otherwise) noexcept {
  for (const auto& [value, known] : table) {
    if (known == proto) return value;
  }
  return otherwise;
}

}  // namespace muster::wire
