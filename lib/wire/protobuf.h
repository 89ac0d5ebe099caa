// What is done with Protobuf's bytes besides its generated classes: parsing what a peer sent,
// always serializing alike, and writing by hand what is too large, or too frequent, for objects.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/io/coded_stream.h>

namespace google::protobuf {
class MessageLite;
}  // namespace google::protobuf

namespace muster::wire {

// --- reading

// Which fields of a message are messages, and which are members of a oneof: what its schema says,
// as far as counting fields needs it. tests/unit/wire_shape_test.cpp holds it against the schema.
struct Shape {
  struct Field {
    int number = 0;
    const Shape* inside = nullptr;
    bool one_of = false;  // of the only oneof that its message has
  };
  std::span<const Field> messages;

  // Null for a field that is no message, or not known.
  [[nodiscard]] constexpr const Shape* inside(int number) const noexcept {
    for (const Field& field : messages) {
      if (field.number == number) return field.inside;
    }
    return nullptr;
  }
  // Null for a field that is in no oneof.
  [[nodiscard]] constexpr const Field* member(int number) const noexcept {
    for (const Field& field : messages) {
      if (field.number == number) return field.one_of ? &field : nullptr;
    }
    return nullptr;
  }
  [[nodiscard]] constexpr bool has_oneof() const noexcept {
    return std::any_of(messages.begin(), messages.end(),
                       [](const Field& field) { return field.one_of; });
  }
};

inline constexpr Shape kPlainShape;  // numbers and texts only
// Of a v1.ControlRequest (control_requests.cpp) and a v1.BackendMessage (backend_decode.cpp).
[[nodiscard]] const Shape& control_request_shape() noexcept;
[[nodiscard]] const Shape& backend_message_shape() noexcept;

// Empty when each oneof in a message of this shape is set at most once. Protobuf keeps the last of
// several members, so that a message could mean one thing here and another elsewhere. A oneof is
// found at the top, and in the members of one. Malformed bytes are left to Protobuf.
[[nodiscard]] std::string set_twice(const Shape& shape, std::string_view bytes);

// False when `bytes` are not such a message. Protobuf stays silent about it: what a peer sends
// must not get to write to our standard error.
[[nodiscard]] bool parse(google::protobuf::MessageLite& message, std::string_view bytes);

// The same; else the sentence to refuse with.
[[nodiscard]] std::string parse_payload(google::protobuf::MessageLite& message,
                                        std::string_view payload);

// Protobuf spends up to a hundred bytes of memory on a field of two, and some of it stays with the
// object. So bytes that are longer than this are counted before they are parsed, and the object
// that took them should not be kept.
inline constexpr std::size_t kLongMessage = 64 * 1024;
inline constexpr std::size_t kMaxFieldsOfLongMessage = 64 * 1024;

// True when `bytes` are not long, or have few enough fields if read as a message of this shape:
// nested and unknown ones count, malformed bytes have too many.
[[nodiscard]] bool may_be_parsed(const Shape& shape, std::string_view bytes);

// Runs `decode`, which parses into what `scratch` keeps. An exception in the middle of that leaves
// a Protobuf message that may free what it does not own any more: it is neither used nor destroyed
// after that, and its place is taken by a new one.
template <typename Scratch, typename Decode>
auto with_scratch(std::unique_ptr<Scratch>& scratch, Decode&& decode) {
  if (scratch == nullptr) scratch = std::make_unique<Scratch>();
  try {
    return decode();
  } catch (...) {
    (void)scratch.release();
    throw;
  }
}

// Reads one of Protobuf's variable-length numbers, of at most `max_bytes` (never more than 9, so
// that no bit is lost), and moves `at` behind it. False when it does not end in time.
inline bool read_varint(const char*& at, const char* end, int max_bytes,
                        std::uint64_t& out) noexcept {
  std::uint64_t value = 0;
  for (int i = 0; i < max_bytes && at != end; ++i) {
    const auto byte = static_cast<unsigned char>(*at++);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) {
      out = value;
      return true;
    }
  }
  return false;
}

// --- writing

// Writes the message's `bytes` to `out`, maps in the order of their keys.
// REQUIRES: `bytes` is what message.ByteSizeLong() said, last.
void serialize(const google::protobuf::MessageLite& message, std::size_t bytes, char* out);
[[nodiscard]] std::string serialize(const google::protobuf::MessageLite& message);

// The payloads of messages that have no fields: the oneof's tag and a length of 0. Ack is what a
// broker reads most. Protobuf would allocate an object for it; comparing two bytes gives the same
// answer.
using namespace std::string_view_literals;
// BackendMessage
inline constexpr std::string_view kAckPayload = "\x12\0"sv;
inline constexpr std::string_view kActivityPayload = "\x2A\0"sv;
inline constexpr std::string_view kDeregisterPayload = "\x32\0"sv;
// BrokerMessage
inline constexpr std::string_view kDeregisteredPayload = "\x2A\0"sv;

// Writes Protobuf messages without building them first: the bytes that Protobuf would write, as
// long as fields are put in the order of their numbers.
//
// For messages that are made of thousands of small ones, where objects and their texts would cost
// more than all else; everything other is left to Protobuf.
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
