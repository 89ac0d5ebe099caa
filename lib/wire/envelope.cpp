// Reading: the usual form by hand, every other by Protobuf. Writing: the bytes that Protobuf would
// write, around a payload that is written in place.
#include "wire/envelope.h"

#include <cstring>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message_lite.h>

#include "muster/v1/envelope.pb.h"

#include "wire/framing.h"
#include "wire/protobuf.h"

namespace muster::wire {
namespace {

bool read_bytes(const char*& at, const char* end, std::string_view& out) noexcept {
  std::uint64_t length = 0;
  if (!read_varint(at, end, 4, length)) return false;
  if (length > static_cast<std::uint64_t>(end - at)) return false;
  out = std::string_view(at, static_cast<std::size_t>(length));
  at += length;
  return true;
}

bool read_ascii(const char*& at, const char* end, std::string_view& out) noexcept {
  if (!read_bytes(at, end, out)) return false;
  for (const char c : out) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

// What must be there once at most: the payload.
constexpr Shape::Field kFrameFields[]{{4, &kPlainShape, true}};
constexpr Shape kFrame{kFrameFields};

std::string hex(std::uint32_t number) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string digits;
  do {
    digits.insert(digits.begin(), kDigits[number % 16]);
    number /= 16;
  } while (number != 0);
  return "0x" + digits;
}

}  // namespace

// An Envelope whose kind is not known to be one, and what is checked and not kept.
struct EnvelopeReader::Fields : Envelope {
  std::uint32_t version = 0;
  std::int32_t kind_number = 0;
  std::int32_t encoding = 0;
  int payloads = 0;
};

struct EnvelopeReader::Slow {
  v1::Frame frame;
  bool keep = true;  // for the next envelope
};

EnvelopeReader::EnvelopeReader() = default;
EnvelopeReader::~EnvelopeReader() = default;

// False says nothing about the envelope but that Protobuf must look at it. As in Protobuf, the last
// of several values counts and numbers are cut to their field's width.
bool EnvelopeReader::read_plain(std::string_view body, Fields& out) noexcept {
  constexpr int kNumber = 9;  // bytes of the longest varint that is taken here
  const char* at = body.data();
  const char* const end = at + body.size();
  while (at != end) {
    std::uint64_t number = 0;
    bool good = false;
    switch (static_cast<unsigned char>(*at++)) {  // field number << 3 | wire type
      case 1 << 3 | 0:
        good = read_varint(at, end, kNumber, number);
        out.version = static_cast<std::uint32_t>(number);
        break;
      case 2 << 3 | 0:
        good = read_varint(at, end, kNumber, number);
        out.kind_number = static_cast<std::int32_t>(number);
        break;
      case 3 << 3 | 0:
        good = read_varint(at, end, kNumber, number);
        out.lane = static_cast<std::uint32_t>(number);
        break;
      case 4 << 3 | 2:
        good = read_bytes(at, end, out.payload);
        ++out.payloads;
        break;
      case 5 << 3 | 0:
        good = read_varint(at, end, kNumber, out.request_id);
        break;
      case 6 << 3 | 0:
        good = read_varint(at, end, kNumber, number);
        out.encoding = static_cast<std::int32_t>(number);
        break;
      case 7 << 3 | 0:
        good = read_varint(at, end, kNumber, out.deadline_unix_ms);
        break;
      case 8 << 3 | 2:
        good = read_ascii(at, end, out.traceparent);
        break;
      case 9 << 3 | 2:
        good = read_ascii(at, end, out.tracestate);
        break;
      default:
        break;
    }
    if (!good) return false;
  }
  return true;
}

bool EnvelopeReader::read_any(std::string_view body, Fields& out) {
  if (!slow_) slow_ = std::make_unique<Slow>();
  v1::Frame& frame = slow_->frame;
  slow_->keep = body.size() <= kLongMessage;
  if (!may_be_parsed(kPlainShape, body) || !parse(frame, body)) return false;
  out.payloads = set_twice(kFrame, body).empty() ? 1 : 2;
  out.version = frame.envelope_version();
  out.kind_number = frame.kind();
  out.lane = frame.payload_protocol();
  out.encoding = frame.payload_encoding();
  out.request_id = frame.request_id();
  out.deadline_unix_ms = frame.deadline_unix_ms();
  out.payload = frame.payload();
  out.traceparent = frame.traceparent();
  out.tracestate = frame.tracestate();
  return true;
}

std::string EnvelopeReader::read(std::string_view body, std::uint32_t lane, Envelope& out) {
  if (body.size() > kMaxControlBody) return "the body is over the limit of any lane";
  if (slow_ && !slow_->keep) slow_.reset();
  Fields fields;
  if (!read_plain(body, fields)) {
    fields = {};
    if (!read_any(body, fields)) return "the body is not a Frame: it is cut off or malformed";
  }
  if (fields.payloads > 1) return "the frame has two payloads: it must have at most one";
  if (fields.version != kEnvelopeVersion) {
    return "envelope version " + std::to_string(fields.version) + " is not known: it must be " +
           std::to_string(kEnvelopeVersion);
  }
  if (fields.lane != lane) {
    return "payload protocol " + hex(fields.lane) +
           " does not belong on this socket, which is for " + hex(lane);
  }
  if (fields.encoding != v1::PAYLOAD_ENCODING_NONE) {
    return "payload encoding " + std::to_string(fields.encoding) +
           " is not supported: it must be NONE, 0";
  }
  if (!v1::FrameKind_IsValid(fields.kind_number)) {
    return "frame kind " + std::to_string(fields.kind_number) + " is not known";
  }
  fields.kind = static_cast<FrameKind>(fields.kind_number);
  out = static_cast<const Envelope&>(fields);
  if (out.kind == FrameKind::kCancel && !fields.payload.empty()) {
    return "a CANCEL frame must have no payload; this one's length is " +
           std::to_string(fields.payload.size());
  }
  return {};
}

std::string_view to_string(FrameKind kind) noexcept {
  switch (kind) {
    case FrameKind::kRequest:
      return "REQUEST";
    case FrameKind::kResponse:
      return "RESPONSE";
    case FrameKind::kEvent:
      return "EVENT";
    case FrameKind::kCancel:
      return "CANCEL";
  }
  return "unknown";
}

std::string wrong_kind(std::string_view message, FrameKind wanted, FrameKind got) {
  std::string sentence(message);
  sentence += " must come in a frame of kind ";
  sentence += to_string(wanted);
  sentence += ", not ";
  sentence += to_string(got);
  return sentence;
}

// --- writing

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
