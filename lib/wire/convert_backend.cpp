// The backend lane's messages to Protobuf and back.
#include <algorithm>

#include "wire/convert.h"
#include "wire/enums.h"
#include "wire/text.h"

namespace muster::wire {
namespace {

using std::chrono::milliseconds;

constexpr EnumTable<RefusalCode, v1::Refused::Code, 7> kRefusalCodes{{
    {RefusalCode::kInvalid, v1::Refused::INVALID},
    {RefusalCode::kProtocol, v1::Refused::PROTOCOL},
    {RefusalCode::kDenied, v1::Refused::DENIED},
    {RefusalCode::kReplaced, v1::Refused::REPLACED},
    {RefusalCode::kQuota, v1::Refused::QUOTA},
    {RefusalCode::kShuttingDown, v1::Refused::SHUTTING_DOWN},
    {RefusalCode::kTooSlow, v1::Refused::TOO_SLOW},
}};

constexpr EnumTable<HoldEnd, v1::HoldEnded::Why, 4> kHoldEnds{{
    {HoldEnd::kCompleted, v1::HoldEnded::COMPLETED},
    {HoldEnd::kAbandoned, v1::HoldEnded::ABANDONED},
    {HoldEnd::kExpired, v1::HoldEnded::EXPIRED},
    {HoldEnd::kResumed, v1::HoldEnded::RESUMED},
}};

constexpr std::uint32_t kMaxPercent = 100;
constexpr std::size_t kMaxReasonBytes = kMaxDetailBytes;

}  // namespace

void to_proto(const Registration& registration, v1::Register& out) {
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

std::string from_proto(const v1::Register& in, Registration& registration) {
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

void to_proto(const Ack& ack, v1::Ack& out) {
  if (ack.released) out.set_released(*ack.released);
}

std::string from_proto(const v1::Ack& in, Ack& ack) {
  if (in.has_released()) ack.released = in.released();
  return {};
}

void to_proto(const Failure& failure, v1::Failure& out) {
  out.set_reason(to_proto(failure.reason));
  out.set_detail(to_utf8(failure.detail, kMaxDetailBytes));
}

std::string from_proto(const v1::Failure& in, Failure& failure) {
  if (auto problem = from_proto(in.reason(), failure.reason); !problem.empty()) return problem;
  failure.detail = in.detail();
  return over_limit("a failure's detail", in.detail(), kMaxDetailBytes);
}

void to_proto(const Working& working, v1::Working& out) {
  out.set_extend_ms(to_ms(working.extend));
  if (working.percent) out.set_percent(std::min(*working.percent, kMaxPercent));
  out.set_note(to_utf8(working.note, kMaxNoteBytes));
}

std::string from_proto(const v1::Working& in, Working& working) {
  working.extend = milliseconds(in.extend_ms());
  if (in.has_percent()) working.percent = in.percent();
  if (in.percent() > kMaxPercent) {
    return "a Working's percent is " + std::to_string(in.percent()) + "; the most is 100";
  }
  working.note = in.note();
  return over_limit("a Working's note", in.note(), kMaxNoteBytes);
}

void from_proto(const v1::Registered& in, Registered& registered) {
  registered.incarnation = in.incarnation();
  registered.broker_version = in.broker_version();
  registered.protocol = in.protocol();
  auto& limits = registered.limits;
  limits.max_body_bytes = in.limits().max_body_bytes();
  limits.max_detail_bytes = in.limits().max_detail_bytes();
  limits.max_note_bytes = in.limits().max_note_bytes();
  limits.max_ack_timeout = milliseconds(in.limits().max_ack_timeout_ms());
  for (const auto& hold : in.active_holds()) {
    registered.active_holds.push_back({hold.hold_id(), hold.path_prefix(), hold.expires_unix_ms()});
  }
  registered.epoch = in.epoch();
  // A key that this version cannot read is only not shown.
  if (in.has_key() && !from_proto(in.key(), registered.key).empty()) registered.key = {};
  if (registered.key.service_name.empty()) registered.key = {};
}

void to_proto(const Refusal& refusal, v1::Refused& out) {
  out.set_code(proto_of(kRefusalCodes, refusal.code));
  out.set_reason(to_utf8(refusal.reason, kMaxReasonBytes));
  out.set_retry_after_ms(to_ms(refusal.retry_after));
}

std::string from_proto(const v1::Refused& in, Refusal& refusal) {
  refusal.reason = in.reason();
  refusal.retry_after = milliseconds(in.retry_after_ms());
  // A code of a newer broker: the reason says what it is about, and trying again does no harm.
  refusal.code = value_or(kRefusalCodes, in.code(), RefusalCode::kQuota);
  return {};
}

void to_proto(const OutgoingOperation& operation, v1::Operation& out) {
  operation_to_proto(operation.operation, out);
  out.set_ack_timeout_ms(to_ms(operation.ack_timeout));
  if (operation.hold_id) out.set_hold_id(*operation.hold_id);
}

std::string from_proto(const v1::Operation& in, OutgoingOperation& operation) {
  // An operation of a newer broker, or a newer reason for a quiesce, is answered as unsupported; it
  // ends no connection.
  std::optional<BroadcastOperation> content;
  const bool is_known = operation_from_proto(in, content).empty();
  operation.operation = is_known ? std::move(*content) : BroadcastOperation::unknown();
  operation.ack_timeout = milliseconds(in.ack_timeout_ms());
  if (in.has_hold_id()) operation.hold_id = in.hold_id();
  return {};
}

void to_proto(const HoldEnded& ended, v1::HoldEnded& out) {
  out.set_hold_id(ended.hold_id);
  out.set_why(proto_of(kHoldEnds, ended.why));
}

std::string from_proto(const v1::HoldEnded& in, HoldEnded& ended) {
  ended.hold_id = in.hold_id();
  ended.why = value_or(kHoldEnds, in.why(), HoldEnd::kExpired);  // it has ended in any case
  return {};
}

}  // namespace muster::wire
