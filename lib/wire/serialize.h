// Protobuf's serializer, always with the same bytes for the same message.
#pragma once

#include <cstddef>
#include <string>

namespace google::protobuf {
class MessageLite;
}

namespace muster::wire {

// Writes the message's `bytes` to `out`, maps in the order of their keys.
// REQUIRES: `bytes` is what message.ByteSizeLong() said, last.
void serialize(const google::protobuf::MessageLite& message, std::size_t bytes, char* out);
[[nodiscard]] std::string serialize(const google::protobuf::MessageLite& message);

}  // namespace muster::wire
