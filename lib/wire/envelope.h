// The envelope of every message: proto/muster/v1/envelope.proto, without Protobuf where it counts.
//
// Reading views the payload where it lies. An envelope in the form that everybody writes is read by
// a few lines of our own; whatever is not of that form (unknown fields, odd encodings, errors) is
// left to Protobuf, so that what is accepted, and as what, is what Protobuf says. Writing produces
// the bytes that Protobuf would.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "wire/framing.h"

namespace google::protobuf {
class MessageLite;
}

namespace muster::wire {

inline constexpr std::uint32_t kEnvelopeVersion = 1;

enum class FrameKind { kRequest = 0, kResponse = 1, kEvent = 2, kCancel = 3 };

struct Envelope {
  FrameKind kind = FrameKind::kRequest;
  std::uint32_t lane = 0;
  std::uint64_t request_id = 0;
  std::uint64_t deadline_unix_ms = 0;
  std::string_view payload;
  std::string_view traceparent;
  std::string_view tracestate;
};

// For sentences: "REQUEST".
[[nodiscard]] std::string_view to_string(FrameKind kind) noexcept;
// The sentence about a good `message` in a frame of the wrong kind.
[[nodiscard]] std::string wrong_kind(std::string_view message, FrameKind wanted, FrameKind got);

// Keeps a Protobuf object from one envelope to the next: belongs to one thread.
class EnvelopeReader {
 public:
  EnvelopeReader();
  ~EnvelopeReader();
  EnvelopeReader(const EnvelopeReader&) = delete;
  EnvelopeReader& operator=(const EnvelopeReader&) = delete;

  // Empty when the envelope is right and of `lane`; else the sentence to refuse with. The views in
  // `out` are good as long as `body` and until the next read(). A CANCEL has an empty payload.
  [[nodiscard]] std::string read(std::string_view body, std::uint32_t lane, Envelope& out);

 private:
  struct Fields;
  struct Slow;
  static bool read_plain(std::string_view body, Fields& out) noexcept;
  bool read_any(std::string_view body, Fields& out);

  std::unique_ptr<Slow> slow_;  // made when first needed
};

// How long the body of such a frame is. `envelope.payload` is not looked at.
[[nodiscard]] std::size_t body_bytes(const Envelope& envelope, std::size_t payload_bytes) noexcept;

// `envelope.payload` is not looked at. REQUIRES: as below.
[[nodiscard]] FrameAround frame_around(const Envelope& envelope, std::size_t payload_bytes);
// Whole frames, header included. REQUIRES: the trace strings are UTF-8.
[[nodiscard]] std::string encode_frame(const Envelope& envelope);
// With `payload` in the place of envelope.payload; maps are written in the order of their keys.
[[nodiscard]] std::string encode_frame(const Envelope& envelope,
                                       const google::protobuf::MessageLite& payload);

}  // namespace muster::wire
