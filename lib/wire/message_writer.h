// Writes Protobuf messages without building them first: the bytes that Protobuf would write, as
// long as fields are put in the order of their numbers.
//
// For messages that are made of thousands of small ones, where objects and their texts would cost
// more than all else; everything other is left to Protobuf.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster::wire {

class MessageWriter {
 public:
  // Appends to `out`.
  explicit MessageWriter(std::string& out) : out_(out) {}

  // --- zero and empty are what a reader takes a missing field for: they are not written
  void number(unsigned field, std::uint64_t value) {
    if (value != 0) present_number(field, value);
  }
  void real(unsigned field, double value) {
    auto bits = std::bit_cast<std::uint64_t>(value);
    if (bits == 0) return;
    tag(field, kFixed64);
    for (int i = 0; i < 8; ++i, bits >>= 8) out_.push_back(static_cast<char>(bits & 0xFF));
  }
  void text(unsigned field, std::string_view value) {
    if (!value.empty()) present_text(field, value);
  }

  // --- written whatever the value: `optional` fields, parts of a `oneof`
  void present_number(unsigned field, std::uint64_t value) {
    tag(field, kVarint);
    varint(value);
  }
  void present_text(unsigned field, std::string_view value) {
    tag(field, kLengthDelimited);
    varint(value.size());
    out_.append(value);
  }
  // `write()` puts the fields of the message inside.
  template <typename Write>
  void message(unsigned field, Write&& write) {
    tag(field, kLengthDelimited);
    const std::size_t length_at = out_.size();
    out_.push_back('\0');  // most lengths have one byte
    write();
    set_length(length_at);
  }

 private:
  static constexpr unsigned kVarint = 0;
  static constexpr unsigned kFixed64 = 1;
  static constexpr unsigned kLengthDelimited = 2;

  void tag(unsigned field, unsigned type) { varint(field << 3 | type); }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<char>(value | 0x80));
    out_.push_back(static_cast<char>(value));
  }
  // The length of all that stands behind the byte that was kept for it.
  void set_length(std::size_t at) {
    std::uint64_t length = out_.size() - at - 1;
    if (length >= 0x80) {
      std::size_t more = 0;
      for (std::uint64_t rest = length >> 7; rest != 0; rest >>= 7) ++more;
      out_.insert(at, more, '\0');
    }
    for (; length >= 0x80; length >>= 7) out_[at++] = static_cast<char>(length | 0x80);
    out_[at] = static_cast<char>(length);
  }

  std::string& out_;
};

}  // namespace muster::wire
