// The backend lane's frames, read from both sides. The hot path of a broadcast: an Ack costs no
// allocation.
#include "wire/backend_lane.h"
#include "wire/envelope.h"
#include "wire/operations.h"
#include "wire/protobuf.h"
#include "wire/values.h"

namespace muster::wire {
namespace {

using std::chrono::milliseconds;

std::string read_message(const v1::Register& in, Registration& registration) {
  if (!in.has_key()) return "Register has no key: it must say which backend this is";
  if (auto problem = from_proto(in.key(), registration.key); !problem.empty()) return problem;
  if (in.has_ack_timeout_ms()) registration.ack_timeout = milliseconds(in.ack_timeout_ms());
  if (in.has_idle_timeout_ms()) registration.idle_timeout = milliseconds(in.idle_timeout_ms());
  for (const auto& [name, value] : in.labels()) registration.labels.emplace(name, value);
  registration.sdk_name = in.sdk_name();
  registration.sdk_version = in.sdk_version();
  registration.min_protocol = in.min_protocol();
  registration.max_protocol = in.max_protocol();
  registration.can_resume = !in.has_can_resume() || in.can_resume();
  return {};
}

std::string read_message(const v1::Ack& in, Ack& ack) {
  if (in.has_released()) ack.released = in.released();
  return {};
}

std::string read_message(const v1::Failure& in, Failure& failure) {
  if (auto problem = from_proto(in.reason(), failure.reason); !problem.empty()) return problem;
  failure.detail = in.detail();
  return over_limit("a failure's detail", in.detail(), kMaxDetailBytes);
}

std::string read_message(const v1::Working& in, Working& working) {
  working.extend = milliseconds(in.extend_ms());
  if (in.has_percent()) working.percent = in.percent();
  if (in.percent() > kMaxPercent) {
    return "a Working's percent is " + std::to_string(in.percent()) + "; the most is 100";
  }
  working.note = in.note();
  return over_limit("a Working's note", in.note(), kMaxNoteBytes);
}

void read_message(const v1::Registered& in, Registered& registered) {
  registered.incarnation = in.incarnation();
  registered.broker_version = in.broker_version();
  registered.protocol = in.protocol();
  auto& limits = registered.limits;
  limits.max_body_bytes = in.limits().max_body_bytes();
  limits.max_detail_bytes = in.limits().max_detail_bytes();
  limits.max_note_bytes = in.limits().max_note_bytes();
  limits.max_ack_timeout = milliseconds(in.limits().max_ack_timeout_ms());
  for (const auto& hold : in.active_holds()) {
    registered.active_holds.push_back(
        {hold.hold_id(), hold.path_prefix(), hold.expires_unix_ms(), hold.alias()});
  }
  registered.epoch = in.epoch();
  // A key that this version cannot read is only not shown.
  if (in.has_key() && !from_proto(in.key(), registered.key).empty()) registered.key = {};
  if (registered.key.service_name.empty()) registered.key = {};
}

std::string read_message(const v1::Refused& in, Refusal& refusal) {
  refusal.reason = in.reason();
  refusal.retry_after = milliseconds(in.retry_after_ms());
  // A code of a newer broker: the reason says what it is about, and trying again does no harm.
  refusal.code = value_or(kRefusalCodes, in.code(), RefusalCode::kQuota);
  return {};
}

std::string read_message(const v1::Operation& in, OutgoingOperation& operation) {
  // An operation of a newer broker, or a newer reason for a quiesce, is answered as unsupported; it
  // ends no connection.
  std::optional<BroadcastOperation> content;
  const bool is_known = operation_from_proto(in, content).empty();
  operation.operation = is_known ? std::move(*content) : BroadcastOperation::unknown();
  operation.ack_timeout = milliseconds(in.ack_timeout_ms());
  if (operation.operation.is_preflight()) return {};  // nothing is held for it, whatever is there
  if (in.has_hold_id()) operation.hold_id = in.hold_id();
  operation.hold_expires_unix_ms = in.hold_expires_unix_ms();
  return {};
}

std::string read_message(const v1::HoldEnded& in, HoldEnded& ended) {
  ended.hold_id = in.hold_id();
  ended.why = value_or(kHoldEnds, in.why(), HoldEnd::kExpired);  // it has ended in any case
  return {};
}

// --- what a backend sends

constexpr Shape::Field kRegisterFields[]{{1, &kPlainShape}, {4, &kPlainShape}};
constexpr Shape kRegister{kRegisterFields};

constexpr Shape::Field kBackendMessageFields[]{
    {1, &kRegister, true},   {2, &kPlainShape, true}, {3, &kPlainShape, true},
    {4, &kPlainShape, true}, {5, &kPlainShape, true}, {6, &kPlainShape, true},
};
constexpr Shape kBackendMessage{kBackendMessageFields};

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
  if (auto problem = read_message(proto, message); !problem.empty()) return problem;
  out.request_id = envelope.request_id;
  out.message = std::move(message);
  return {};
}

}  // namespace

const Shape& backend_message_shape() noexcept { return kBackendMessage; }

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
    problem = set_twice(kBackendMessage, envelope.payload);
    if (!problem.empty()) return problem;
    problem = parse_payload(message, envelope.payload);
    if (!problem.empty()) return problem;
    switch (message.message_case()) {
      case v1::BackendMessage::kRegisterBackend:
        out.refused_before.reset();
        if (message.register_backend().has_refused_before()) {
          out.refused_before = message.register_backend().refused_before();
        }
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

// --- what the broker sends

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
  read_message(proto, registered);
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
  if (auto problem = read_message(proto, refusal); !problem.empty()) return problem;
  set(envelope, std::move(refusal), out);
  return {};
}

std::string take_operation(const Envelope& envelope, const v1::Operation& proto, BrokerFrame& out) {
  if (envelope.kind != FrameKind::kRequest) {
    return wrong_kind("Operation", FrameKind::kRequest, envelope.kind);
  }
  OutgoingOperation operation;
  if (auto problem = read_message(proto, operation); !problem.empty()) return problem;
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
  if (auto problem = read_message(proto, ended); !problem.empty()) return problem;
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
  return with_scratch(scratch_, [&]() -> std::string {
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
    // A message of a newer broker. What asks for an answer is an operation that this version does
    // not support; the rest only tells.
    if (envelope.payload.empty()) return "the payload is empty";
    if (envelope.kind == FrameKind::kRequest) return take_operation(envelope, v1::Operation(), out);
    set(envelope, UnknownMessage{}, out);
    return {};
  });
}

}  // namespace muster::wire
