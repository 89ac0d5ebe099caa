#include "bench/frames.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "muster/policy.h"

#include "wire/backend_lane.h"
#include "wire/framing.h"

namespace muster::bench {
namespace {

constexpr unsigned kVarint = 0;
constexpr unsigned kBytes = 2;
constexpr std::uint64_t kKindField = 2;
constexpr std::uint64_t kRequestIdField = 5;
constexpr std::uint64_t kRequest = 0;
constexpr std::uint64_t kResponse = 1;

// False at the end of `input`. Takes what it read from its beginning.
bool take_varint(std::string_view& input, std::uint64_t& value) noexcept {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !input.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(input.front());
    input.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// False when the body is not made of varints and byte strings.
bool read_body(std::string_view body, std::uint64_t& kind, std::uint64_t& request_id) noexcept {
  while (!body.empty()) {
    std::uint64_t tag = 0;
    std::uint64_t value = 0;
    if (!take_varint(body, tag) || !take_varint(body, value)) return false;
    if ((tag & 7) == kBytes) {
      if (value > body.size()) return false;
      body.remove_prefix(static_cast<std::size_t>(value));
    } else if ((tag & 7) != kVarint) {
      return false;
    }
    if (tag >> 3 == kKindField) kind = value;
    if (tag >> 3 == kRequestIdField) request_id = value;
  }
  return true;
}

}  // namespace

std::string registration_frame(std::size_t index,
                               std::optional<std::chrono::milliseconds> ack_timeout) {
  Registration registration;
  registration.key.service_name = "bench";
  registration.key.service_version = "1.0.0";
  registration.key.replica = std::to_string(index);
  registration.ack_timeout = ack_timeout;
  registration.sdk_name = "muster-bench";
  registration.sdk_version = "1";
  return wire::encode(1, registration);
}

std::string sample_operation_frame() {
  OutgoingOperation operation;
  operation.broadcast_id = kSampleId;
  operation.operation = BroadcastOperation::release_handles(std::string(kPath));
  operation.ack_timeout = kDefaultBroadcastAckTimeout;
  operation.deadline_unix_ms = 1'900'000'000'000;
  return wire::encode(operation);
}

std::string sample_registered_frame() {
  Registered registered;
  registered.incarnation = 1'000;
  registered.broker_version = "0.1.0";
  registered.limits.max_body_bytes = 64 * 1024;
  registered.limits.max_ack_timeout = std::chrono::minutes(5);
  return wire::encode(1, registered);
}

Seen see_frame(std::string_view input) noexcept {
  Seen seen;
  if (!input.empty() && input[0] != wire::kFramingVersion) return {Seen::Kind::kBad};
  if (input.size() < wire::kHeaderBytes) return seen;
  std::size_t length = 0;
  for (std::size_t i = 4; i >= 1; --i) {
    length = length << 8 | static_cast<unsigned char>(input[i]);
  }
  input.remove_prefix(wire::kHeaderBytes);
  if (length > input.size()) return seen;

  std::uint64_t kind = kRequest;  // Protobuf leaves out what is 0
  if (!read_body(input.substr(0, length), kind, seen.request_id)) return {Seen::Kind::kBad};
  seen.kind = kind == kRequest    ? Seen::Kind::kOperation
              : kind == kResponse ? Seen::Kind::kRegistered
                                  : Seen::Kind::kOther;
  seen.bytes = wire::kHeaderBytes + length;
  return seen;
}

AckWriter::AckWriter() {
  const std::string sample = wire::encode(1, Ack{});
  // The id is the last field, so everything before it stays as it is.
  if (sample.size() + 9 > frame_.size() || !sample.ends_with("\x28\x01")) {
    throw std::logic_error("an ack's frame does not end with its request id any more");
  }
  fixed_bytes_ = sample.size() - 1;
  std::copy_n(sample.data(), fixed_bytes_, frame_.data());
}

std::string_view AckWriter::write(std::uint64_t request_id) noexcept {
  std::size_t size = fixed_bytes_;
  for (; request_id >= 0x80; request_id >>= 7) {
    frame_[size++] = static_cast<char>(request_id | 0x80);
  }
  frame_[size++] = static_cast<char>(request_id);
  frame_[1] = static_cast<char>(size - wire::kHeaderBytes);
  return {frame_.data(), size};
}

}  // namespace muster::bench
