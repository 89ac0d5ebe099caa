// A backend reads what the broker sends.
#include "muster/v1/lifecycle.pb.h"

#include "wire/backend_lane.h"
#include "wire/convert.h"
#include "wire/envelope.h"
#include "wire/parse.h"

namespace muster::wire {
namespace {

void set(const Envelope& envelope, decltype(BrokerFrame::message) message, BrokerFrame& out) {
  out.request_id = envelope.request_id;
  out.message = std::move(message);
}

std::string take_registered(const Envelope& envelope, const v1::Registered& proto,
                            BrokerFrame& out) {
  if (envelope.kind != FrameKind::kResponse) {
    return wrong_kind("Registered", FrameKind::kResponse, envelope.kind);
  }
  Registered registered;
  from_proto(proto, registered);
  set(envelope, std::move(registered), out);
  return {};
}

std::string take_refused(const Envelope& envelope, const v1::Refused& proto, BrokerFrame& out) {
  // A RESPONSE answers Register; an EVENT ends a registered connection.
  if (envelope.kind != FrameKind::kResponse && envelope.kind != FrameKind::kEvent) {
    return "Refused must come in a frame of kind RESPONSE or EVENT, not " +
           std::string(to_string(envelope.kind));
  }
  Refusal refusal;
  if (auto problem = from_proto(proto, refusal); !problem.empty()) return problem;
  set(envelope, std::move(refusal), out);
  return {};
}

std::string take_operation(const Envelope& envelope, const v1::Operation& proto, BrokerFrame& out) {
  if (envelope.kind != FrameKind::kRequest) {
    return wrong_kind("Operation", FrameKind::kRequest, envelope.kind);
  }
  OutgoingOperation operation;
  if (auto problem = from_proto(proto, operation); !problem.empty()) return problem;
  operation.broadcast_id = envelope.request_id;
  operation.deadline_unix_ms = envelope.deadline_unix_ms;
  operation.traceparent = envelope.traceparent;
  operation.tracestate = envelope.tracestate;
  set(envelope, std::move(operation), out);
  return {};
}

std::string take_hold_ended(const Envelope& envelope, const v1::HoldEnded& proto,
                            BrokerFrame& out) {
  if (envelope.kind != FrameKind::kEvent) {
    return wrong_kind("HoldEnded", FrameKind::kEvent, envelope.kind);
  }
  HoldEnded ended;
  if (auto problem = from_proto(proto, ended); !problem.empty()) return problem;
  set(envelope, ended, out);
  return {};
}

std::string take_deregistered(const Envelope& envelope, BrokerFrame& out) {
  if (envelope.kind != FrameKind::kResponse) {
    return wrong_kind("Deregistered", FrameKind::kResponse, envelope.kind);
  }
  set(envelope, Deregistered{}, out);
  return {};
}

}  // namespace

struct BrokerFrameDecoder::Scratch {
  EnvelopeReader reader;
  v1::BrokerMessage message;
};

BrokerFrameDecoder::BrokerFrameDecoder() : scratch_(std::make_unique<Scratch>()) {}
BrokerFrameDecoder::~BrokerFrameDecoder() = default;

std::string BrokerFrameDecoder::decode(std::string_view body, BrokerFrame& out) {
  Envelope envelope;
  auto problem = scratch_->reader.read(body, kBackendLane, envelope);
  if (!problem.empty()) return problem;
  if (envelope.kind == FrameKind::kCancel) {
    set(envelope, Cancel{}, out);
    return {};
  }
  v1::BrokerMessage& message = scratch_->message;
  problem = parse_payload(message, envelope.payload);
  if (!problem.empty()) return problem;
  switch (message.message_case()) {
    case v1::BrokerMessage::kRegistered:
      return take_registered(envelope, message.registered(), out);
    case v1::BrokerMessage::kRefused:
      return take_refused(envelope, message.refused(), out);
    case v1::BrokerMessage::kOperation:
      return take_operation(envelope, message.operation(), out);
    case v1::BrokerMessage::kHoldEnded:
      return take_hold_ended(envelope, message.hold_ended(), out);
    case v1::BrokerMessage::kDeregistered:
      return take_deregistered(envelope, out);
    case v1::BrokerMessage::MESSAGE_NOT_SET:
      break;
  }
  // A message of a newer broker. What asks for an answer is an operation that this version does not
  // support; the rest only tells.
  if (envelope.payload.empty()) return "the payload is empty";
  if (envelope.kind == FrameKind::kRequest) return take_operation(envelope, v1::Operation(), out);
  set(envelope, UnknownMessage{}, out);
  return {};
}

}  // namespace muster::wire
