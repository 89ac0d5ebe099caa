// The backend lane's messages as frames, from both sides.
#include <algorithm>

#include "wire/backend_lane.h"
#include "wire/envelope.h"
#include "wire/operations.h"
#include "wire/protobuf.h"
#include "wire/values.h"
#include "wire/views.h"

namespace muster::wire {
namespace {

constexpr std::size_t kMaxReasonBytes = kMaxDetailBytes;

Envelope envelope_of(FrameKind kind, std::uint64_t request_id, std::string_view payload = {}) {
  Envelope envelope;
  envelope.kind = kind;
  envelope.lane = kBackendLane;
  envelope.request_id = request_id;
  envelope.payload = payload;
  return envelope;
}

void write_message(const Registration& registration, v1::Register& out) {
  to_proto(registration.key, *out.mutable_key());
  if (registration.ack_timeout) out.set_ack_timeout_ms(to_ms(*registration.ack_timeout));
  if (registration.idle_timeout) out.set_idle_timeout_ms(to_ms(*registration.idle_timeout));
  for (const auto& [name, value] : registration.labels) {
    (*out.mutable_labels())[to_utf8(name)] = to_utf8(value);
  }
  out.set_sdk_name(to_utf8(registration.sdk_name, kMaxSdkNameBytes));
  out.set_sdk_version(to_utf8(registration.sdk_version, kMaxSdkNameBytes));
  out.set_min_protocol(registration.min_protocol);
  out.set_max_protocol(registration.max_protocol);
  if (!registration.can_resume) out.set_can_resume(false);
}

void write_message(const Ack& ack, v1::Ack& out) {
  if (ack.released) out.set_released(*ack.released);
}

void write_message(const Failure& failure, v1::Failure& out) {
  out.set_reason(to_proto(failure.reason));
  out.set_detail(to_utf8(failure.detail, kMaxDetailBytes));
}

void write_message(const Working& working, v1::Working& out) {
  out.set_extend_ms(to_ms(working.extend));
  if (working.percent) out.set_percent(std::min(*working.percent, kMaxPercent));
  out.set_note(to_utf8(working.note, kMaxNoteBytes));
}

void write_message(const Refusal& refusal, v1::Refused& out) {
  out.set_code(proto_of(kRefusalCodes, refusal.code));
  out.set_reason(to_utf8(refusal.reason, kMaxReasonBytes));
  out.set_retry_after_ms(to_ms(refusal.retry_after));
}

void write_message(const OutgoingOperation& operation, v1::Operation& out) {
  operation_to_proto(operation.operation, out);
  out.set_ack_timeout_ms(to_ms(operation.ack_timeout));
  if (operation.hold_id) out.set_hold_id(*operation.hold_id);
  out.set_hold_expires_unix_ms(operation.hold_expires_unix_ms);
}

void write_message(const HoldEnded& ended, v1::HoldEnded& out) {
  out.set_hold_id(ended.hold_id);
  out.set_why(proto_of(kHoldEnds, ended.why));
}

}  // namespace

std::string encode(std::uint64_t request_id, const Registration& message,
                   std::optional<std::uint32_t> refused_before) {
  v1::BackendMessage payload;
  write_message(message, *payload.mutable_register_backend());
  if (refused_before) payload.mutable_register_backend()->set_refused_before(*refused_before);
  return encode_frame(envelope_of(FrameKind::kRequest, request_id), payload);
}

std::string encode(std::uint64_t request_id, const Ack& message) {
  if (message.released) {
    v1::BackendMessage payload;
    write_message(message, *payload.mutable_ack());
    return encode_frame(envelope_of(FrameKind::kResponse, request_id), payload);
  }
  return encode_frame(envelope_of(FrameKind::kResponse, request_id, kAckPayload));
}

std::string encode(std::uint64_t request_id, const Failure& message) {
  v1::BackendMessage payload;
  write_message(message, *payload.mutable_failure());
  return encode_frame(envelope_of(FrameKind::kResponse, request_id), payload);
}

std::string encode(std::uint64_t request_id, const Working& message) {
  v1::BackendMessage payload;
  write_message(message, *payload.mutable_working());
  return encode_frame(envelope_of(FrameKind::kResponse, request_id), payload);
}

std::string encode(std::uint64_t request_id, const Activity& /*message*/) {
  return encode_frame(envelope_of(FrameKind::kEvent, request_id, kActivityPayload));
}

std::string encode(std::uint64_t request_id, const Deregister& /*message*/) {
  return encode_frame(envelope_of(FrameKind::kRequest, request_id, kDeregisterPayload));
}

// By hand: ten thousand backends register at once when a broker starts.
std::string encode(std::uint64_t request_id, const Registered& message) {
  using Field = v1::Registered;
  MessageWriter out;
  out.message(v1::BrokerMessage::kRegisteredFieldNumber, [&] {
    out.number(Field::kIncarnationFieldNumber, message.incarnation);
    out.text(Field::kBrokerVersionFieldNumber, to_utf8(message.broker_version));
    out.number(Field::kProtocolFieldNumber, message.protocol);
    out.message(Field::kLimitsFieldNumber, [&] {
      using Limit = v1::Limits;
      out.number(Limit::kMaxBodyBytesFieldNumber, message.limits.max_body_bytes);
      out.number(Limit::kMaxDetailBytesFieldNumber, message.limits.max_detail_bytes);
      out.number(Limit::kMaxNoteBytesFieldNumber, message.limits.max_note_bytes);
      out.number(Limit::kMaxAckTimeoutMsFieldNumber, to_ms(message.limits.max_ack_timeout));
    });
    for (const ActiveHold& hold : message.active_holds) {
      out.message(Field::kActiveHoldsFieldNumber, [&] {
        out.number(v1::ActiveHold::kHoldIdFieldNumber, hold.id);
        out.text(v1::ActiveHold::kPathPrefixFieldNumber, hold.path_prefix);
        out.number(v1::ActiveHold::kExpiresUnixMsFieldNumber, hold.expires_unix_ms);
        out.text(v1::ActiveHold::kAliasFieldNumber, hold.alias);
      });
    }
    out.text(Field::kEpochFieldNumber, message.epoch);
    if (!message.key.service_name.empty()) {
      out.message(Field::kKeyFieldNumber, [&] { write(message.key, out); });
    }
  });
  return encode_frame(envelope_of(FrameKind::kResponse, request_id, out.view()));
}

std::string encode(std::uint64_t request_id, const Refusal& message, bool answers_a_request) {
  v1::BrokerMessage payload;
  write_message(message, *payload.mutable_refused());
  const auto kind = answers_a_request ? FrameKind::kResponse : FrameKind::kEvent;
  return encode_frame(envelope_of(kind, request_id), payload);
}

std::string encode(const OutgoingOperation& message) {
  v1::BrokerMessage payload;
  write_message(message, *payload.mutable_operation());
  const std::string traceparent = to_utf8(message.traceparent, kMaxTraceBytes);
  const std::string tracestate = to_utf8(message.tracestate, kMaxTraceBytes);
  auto envelope = envelope_of(FrameKind::kRequest, message.broadcast_id);
  envelope.deadline_unix_ms = message.deadline_unix_ms;
  envelope.traceparent = traceparent;
  envelope.tracestate = tracestate;
  return encode_frame(envelope, payload);
}

std::string encode(const HoldEnded& message) {
  v1::BrokerMessage payload;
  write_message(message, *payload.mutable_hold_ended());
  return encode_frame(envelope_of(FrameKind::kEvent, 0), payload);
}

std::string encode(std::uint64_t request_id, const Deregistered& /*message*/) {
  return encode_frame(envelope_of(FrameKind::kResponse, request_id, kDeregisteredPayload));
}

std::string encode_cancel(std::uint32_t lane, std::uint64_t request_id) {
  auto envelope = envelope_of(FrameKind::kCancel, request_id);
  envelope.lane = lane;
  return encode_frame(envelope);
}

}  // namespace muster::wire
