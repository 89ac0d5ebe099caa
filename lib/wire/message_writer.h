// Writes Protobuf messages without building them first: the bytes that Protobuf would write, as
// long as fields are put in the order of their numbers.
//
// For messages that are made of thousands of small ones, where objects and their texts would cost
// more than all else; everything other is left to Protobuf.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/io/coded_stream.h>

namespace muster::wire {

class MessageWriter {
 public:
  MessageWriter() { point_at(0); }
  MessageWriter(const MessageWriter&) = delete;
  MessageWriter& operator=(const MessageWriter&) = delete;

  // What was written. Nothing can be written after it.
  [[nodiscard]] std::string take() && {
    out_.resize(used());
    return std::move(out_);
  }

  // What stands here so far; good until the next write.
  [[nodiscard]] std::string_view view() noexcept { return {out_.data(), used()}; }
  void clear() noexcept { point_at(0); }
  // Fields that were written elsewhere.
  void fields(std::string_view written) {
    make_room(written.size());
    put(written);
  }

  // --- zero and empty are what a reader takes a missing field for: they are not written
  void number(unsigned field, std::uint64_t value) {
    if (value != 0) present_number(field, value);
  }
  void real(unsigned field, double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    if (bits == 0) return;
    make_room(kMostOfTwoNumbers);
    tag(field, kFixed64);
    at_ = Coded::WriteLittleEndian64ToArray(bits, at_);
  }
  void text(unsigned field, std::string_view value) {
    if (!value.empty()) present_text(field, value);
  }

  // --- written whatever the value: `optional` fields, parts of a `oneof`
  void present_number(unsigned field, std::uint64_t value) {
    make_room(kMostOfTwoNumbers);
    tag(field, kVarint);
    varint(value);
  }
  void present_text(unsigned field, std::string_view value) {
    make_room(kMostOfTwoNumbers + value.size());
    tag(field, kLengthDelimited);
    varint(value.size());
    put(value);
  }
  // The beginning of a text or message whose `bytes` are written elsewhere.
  void length(unsigned field, std::size_t bytes) {
    make_room(kMostOfTwoNumbers);
    tag(field, kLengthDelimited);
    varint(bytes);
  }
  // `write()` puts the fields of the message inside.
  template <typename Write>
  void message(unsigned field, Write&& write) {
    make_room(kMostOfTwoNumbers);
    tag(field, kLengthDelimited);
    const std::size_t length_at = used();
    *at_++ = 0;  // most lengths have one byte
    write();
    set_length(length_at);
  }

 private:
  using Coded = google::protobuf::io::CodedOutputStream;
  static constexpr unsigned kVarint = 0;
  static constexpr unsigned kFixed64 = 1;
  static constexpr unsigned kLengthDelimited = 2;
  static constexpr std::size_t kMostOfTwoNumbers = 20;  // 10 bytes each

  void put(std::string_view bytes) {
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  void tag(unsigned field, unsigned type) { varint(field << 3 | type); }
  void varint(std::uint64_t value) {
    if (value < 0x80) {  // most are
      *at_++ = static_cast<std::uint8_t>(value);
    } else {
      at_ = Coded::WriteVarint64ToArray(value, at_);
    }
  }
  // The length of all that stands behind the byte that was kept for it.
  void set_length(std::size_t place) {
    const std::uint64_t length = used() - place - 1;
    if (length >= 0x80) {
      const std::size_t more = Coded::VarintSize64(length) - 1;
      make_room(more);
      std::uint8_t* const behind = begin() + place + 1;
      std::memmove(behind + more, behind, length);
      at_ += more;
    }
    Coded::WriteVarint64ToArray(length, begin() + place);
  }

  // --- `out_` is longer than what is written, so that few writes look after its length
  void make_room(std::size_t bytes) {
    if (static_cast<std::size_t>(end_ - at_) < bytes) grow(bytes);
  }
  void grow(std::size_t bytes) {
    constexpr std::size_t kLeast = 256;
    const std::size_t written = used();
    out_.resize(std::max(written + bytes + kLeast, 2 * written));
    point_at(written);
  }
  void point_at(std::size_t written) {
    at_ = begin() + written;
    end_ = begin() + out_.size();
  }
  std::uint8_t* begin() { return reinterpret_cast<std::uint8_t*>(out_.data()); }
  std::size_t used() { return static_cast<std::size_t>(at_ - begin()); }

  std::string out_;
  std::uint8_t* at_ = nullptr;   // where the next byte goes
  std::uint8_t* end_ = nullptr;  // of out_
};

}  // namespace muster::wire
