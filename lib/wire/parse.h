// Protobuf's parser, for bytes that a peer sent.
#pragma once

#include <cstddef>
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

}  // namespace muster::wire
