// The payloads of messages that have no fields: the oneof's tag and a length of 0.
//
// Ack is what a broker reads most. Protobuf would allocate an object for it; comparing two bytes
// gives the same answer.
#pragma once

#include <string_view>

namespace muster::wire {

using namespace std::string_view_literals;

// BackendMessage
inline constexpr std::string_view kAckPayload = "\x12\0"sv;
inline constexpr std::string_view kActivityPayload = "\x2A\0"sv;
inline constexpr std::string_view kDeregisterPayload = "\x32\0"sv;
// BrokerMessage
inline constexpr std::string_view kDeregisteredPayload = "\x2A\0"sv;

}  // namespace muster::wire
