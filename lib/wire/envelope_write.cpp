// Writes envelopes: the bytes that Protobuf would write, around a payload that is written in place.
#include <cstring>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message_lite.h>

#include "wire/envelope.h"
#include "wire/framing.h"
#include "wire/serialize.h"

namespace muster::wire {
namespace {

using google::protobuf::io::CodedOutputStream;

constexpr unsigned char number_tag(unsigned field) {
  return static_cast<unsigned char>(field << 3);
}
constexpr unsigned char bytes_tag(unsigned field) {
  return static_cast<unsigned char>(field << 3 | 2);
}

std::size_t number_bytes(std::uint64_t value) noexcept {
  return value == 0 ? 0 : 1 + CodedOutputStream::VarintSize64(value);
}

std::size_t text_bytes(std::size_t length) noexcept {
  return length == 0 ? 0 : 1 + CodedOutputStream::VarintSize64(length) + length;
}

// Zero and empty are what a reader takes a missing field for: they are not written.
std::uint8_t* put_number(std::uint8_t* at, unsigned field, std::uint64_t value) {
  if (value == 0) return at;
  *at++ = number_tag(field);
  return CodedOutputStream::WriteVarint64ToArray(value, at);
}

std::uint8_t* put_length(std::uint8_t* at, unsigned field, std::size_t length) {
  *at++ = bytes_tag(field);
  return CodedOutputStream::WriteVarint64ToArray(length, at);
}

std::uint8_t* put_text(std::uint8_t* at, unsigned field, std::string_view text) {
  if (text.empty()) return at;
  at = put_length(at, field, text.size());
  std::memcpy(at, text.data(), text.size());
  return at + text.size();
}

std::uint8_t* put_before_payload(std::uint8_t* at, const Envelope& envelope,
                                 std::size_t payload_bytes) {
  at = put_number(at, 1, kEnvelopeVersion);
  at = put_number(at, 2, static_cast<std::uint64_t>(envelope.kind));
  at = put_number(at, 3, envelope.lane);
  return payload_bytes == 0 ? at : put_length(at, 4, payload_bytes);
}

std::uint8_t* put_behind_payload(std::uint8_t* at, const Envelope& envelope) {
  at = put_number(at, 5, envelope.request_id);
  at = put_number(at, 7, envelope.deadline_unix_ms);  // 6, the encoding, is NONE
  at = put_text(at, 8, envelope.traceparent);
  return put_text(at, 9, envelope.tracestate);
}

// `put_payload(at)` writes the payload's `payload_bytes`.
template <typename PutPayload>
std::string encode(const Envelope& envelope, std::size_t payload_bytes, PutPayload put_payload) {
  const std::size_t body = body_bytes(envelope, payload_bytes);
  std::string frame(kHeaderBytes + body, '\0');
  put_header(frame.data(), body);
  auto* at = reinterpret_cast<std::uint8_t*>(frame.data()) + kHeaderBytes;
  at = put_before_payload(at, envelope, payload_bytes);
  if (payload_bytes != 0) put_payload(at);
  put_behind_payload(at + payload_bytes, envelope);
  return frame;
}

}  // namespace

std::size_t body_bytes(const Envelope& envelope, std::size_t payload_bytes) noexcept {
  return number_bytes(kEnvelopeVersion) + number_bytes(static_cast<std::uint64_t>(envelope.kind)) +
         number_bytes(envelope.lane) + text_bytes(payload_bytes) +
         number_bytes(envelope.request_id) + number_bytes(envelope.deadline_unix_ms) +
         text_bytes(envelope.traceparent.size()) + text_bytes(envelope.tracestate.size());
}

FrameAround frame_around(const Envelope& envelope, std::size_t payload_bytes) {
  const std::size_t body = body_bytes(envelope, payload_bytes);
  FrameAround around;
  around.before.resize(kHeaderBytes + body - payload_bytes);
  put_header(around.before.data(), body);
  auto* const begin = reinterpret_cast<std::uint8_t*>(around.before.data());
  auto* const payload = put_before_payload(begin + kHeaderBytes, envelope, payload_bytes);
  auto* const end = put_behind_payload(payload, envelope);
  around.after.assign(reinterpret_cast<const char*>(payload),
                      static_cast<std::size_t>(end - payload));
  around.before.resize(static_cast<std::size_t>(payload - begin));
  return around;
}

std::string encode_frame(const Envelope& envelope) {
  return encode(envelope, envelope.payload.size(), [&](std::uint8_t* at) {
    std::memcpy(at, envelope.payload.data(), envelope.payload.size());
  });
}

std::string encode_frame(const Envelope& envelope, const google::protobuf::MessageLite& payload) {
  const std::size_t bytes = payload.ByteSizeLong();  // also caches the sizes that are used below
  return encode(envelope, bytes,
                [&](std::uint8_t* at) { serialize(payload, bytes, reinterpret_cast<char*>(at)); });
}

}  // namespace muster::wire
