// Protobuf's parser, for bytes that a peer sent.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "wire/shape.h"

namespace google::protobuf {
class MessageLite;
}  // namespace google::protobuf

namespace muster::wire {

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

}  // namespace muster::wire
