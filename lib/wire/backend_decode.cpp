// The broker reads what a backend sends. The hot path of a broadcast: an Ack costs no allocation.
#include "muster/v1/lifecycle.pb.h"

#include "wire/backend_lane.h"
#include "wire/convert.h"
#include "wire/empty_payloads.h"
#include "wire/envelope.h"
#include "wire/parse.h"
#include "wire/varint.h"

namespace muster::wire {
namespace {

// How an Ack begins as everybody writes it: envelope version 1, RESPONSE, the backend lane, the
// payload of an Ack; then its last field, the request id, of which this is the tag.
constexpr std::string_view kAckHead = "\x08\x01\x10\x01\x18\x81\xF6\x03\x22\x02\x12\x00\x28"sv;

// True when `body` is such an Ack. False says nothing about it.
bool read_usual_ack(std::string_view body, std::uint64_t& request_id) noexcept {
  constexpr int kMaxBytes = 9;
  if (!body.starts_with(kAckHead)) return false;
  const char* at = body.data() + kAckHead.size();
  const char* const end = body.data() + body.size();
  return read_varint(at, end, kMaxBytes, request_id) && at == end;
}

// Takes a message without fields.
template <typename Message>
std::string take(std::string_view name, FrameKind wanted, const Envelope& envelope,
                 BackendFrame& out) {
  if (envelope.kind != wanted) return wrong_kind(name, wanted, envelope.kind);
  out.request_id = envelope.request_id;
  out.message = Message{};
  return {};
}

template <typename Message, typename Proto>
std::string take(std::string_view name, FrameKind wanted, const Envelope& envelope,
                 const Proto& proto, BackendFrame& out) {
  if (envelope.kind != wanted) return wrong_kind(name, wanted, envelope.kind);
  Message message;
  if (auto problem = from_proto(proto, message); !problem.empty()) return problem;
  out.request_id = envelope.request_id;
  out.message = std::move(message);
  return {};
}

}  // namespace

struct BackendFrameDecoder::Scratch {
  EnvelopeReader reader;
  v1::BackendMessage message;
};

BackendFrameDecoder::BackendFrameDecoder() : scratch_(std::make_unique<Scratch>()) {}
BackendFrameDecoder::~BackendFrameDecoder() = default;

std::string BackendFrameDecoder::decode(std::string_view body, BackendFrame& out) {
  return with_scratch(scratch_, [&]() -> std::string {
    if (std::uint64_t id = 0; read_usual_ack(body, id)) {
      out.request_id = id;
      out.message = Ack{};
      return {};
    }
    Envelope envelope;
    auto problem = scratch_->reader.read(body, kBackendLane, envelope);
    if (!problem.empty()) return problem;

    if (envelope.kind == FrameKind::kCancel) {
      return take<Cancel>("CANCEL", FrameKind::kCancel, envelope, out);
    }
    if (envelope.payload == kAckPayload) {
      return take<Ack>("Ack", FrameKind::kResponse, envelope, out);
    }
    if (envelope.payload == kActivityPayload) {
      return take<Activity>("Activity", FrameKind::kEvent, envelope, out);
    }

    v1::BackendMessage& message = scratch_->message;
    problem = parse_payload(message, envelope.payload);
    if (!problem.empty()) return problem;
    switch (message.message_case()) {
      case v1::BackendMessage::kRegisterBackend:
        return take<Registration>("Register", FrameKind::kRequest, envelope,
                                  message.register_backend(), out);
      case v1::BackendMessage::kAck:
        return take<Ack>("Ack", FrameKind::kResponse, envelope, message.ack(), out);
      case v1::BackendMessage::kFailure:
        return take<Failure>("Failure", FrameKind::kResponse, envelope, message.failure(), out);
      case v1::BackendMessage::kWorking:
        return take<Working>("Working", FrameKind::kResponse, envelope, message.working(), out);
      case v1::BackendMessage::kActivity:
        return take<Activity>("Activity", FrameKind::kEvent, envelope, out);
      case v1::BackendMessage::kDeregister:
        return take<Deregister>("Deregister", FrameKind::kRequest, envelope, out);
      case v1::BackendMessage::MESSAGE_NOT_SET:
        break;
    }
    return "the payload is empty or has a message that this broker does not know";
  });
}

}  // namespace muster::wire
