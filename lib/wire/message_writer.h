// Writes Protobuf messages without building them first: the bytes that Protobuf would write, as
// long as fields are put in the order of their numbers.
//
// For messages that are made of thousands of small ones, where objects and their texts would cost
// more than all else; everything other is left to Protobuf.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <google/protobuf/io/coded_stream.h>

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
    const auto bits = std::bit_cast<std::uint64_t>(value);
    if (bits == 0) return;
    tag(field, kFixed64);
    std::array<std::uint8_t, sizeof(bits)> bytes{};
    append(bytes.data(), Coded::WriteLittleEndian64ToArray(bits, bytes.data()));
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
  using Coded = google::protobuf::io::CodedOutputStream;
  static constexpr unsigned kVarint = 0;
  static constexpr unsigned kFixed64 = 1;
  static constexpr unsigned kLengthDelimited = 2;

  void tag(unsigned field, unsigned type) { varint(field << 3 | type); }
  void varint(std::uint64_t value) {
    if (value < 0x80) return out_.push_back(static_cast<char>(value));  // most are
    std::array<std::uint8_t, 10> bytes{};
    append(bytes.data(), Coded::WriteVarint64ToArray(value, bytes.data()));
  }
  void append(const std::uint8_t* begin, const std::uint8_t* end) {
    out_.append(reinterpret_cast<const char*>(begin), static_cast<std::size_t>(end - begin));
  }
  // The length of all that stands behind the byte that was kept for it.
  void set_length(std::size_t at) {
    const std::uint64_t length = out_.size() - at - 1;
    out_.insert(at, Coded::VarintSize64(length) - 1, '\0');
    Coded::WriteVarint64ToArray(length, reinterpret_cast<std::uint8_t*>(out_.data() + at));
  }

  std::string& out_;
};

}  // namespace muster::wire
