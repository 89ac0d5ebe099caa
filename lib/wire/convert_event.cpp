// Events.
#include "wire/convert.h"
#include "wire/enums.h"
#include "wire/report_encode.h"
#include "wire/text.h"

namespace muster::wire {
namespace {

using Kind = Event::Kind;
constexpr EnumTable<Kind, v1::ControlEvent::Kind, 16> kKinds{{
    {Kind::kBackendRegistered, v1::ControlEvent::BACKEND_REGISTERED},
    {Kind::kBackendReturned, v1::ControlEvent::BACKEND_RETURNED},
    {Kind::kBackendReconnecting, v1::ControlEvent::BACKEND_RECONNECTING},
    {Kind::kBackendDead, v1::ControlEvent::BACKEND_DEAD},
    {Kind::kBackendDeregistered, v1::ControlEvent::BACKEND_DEREGISTERED},
    {Kind::kPeerRefused, v1::ControlEvent::PEER_REFUSED},
    {Kind::kBroadcastStarted, v1::ControlEvent::BROADCAST_STARTED},
    {Kind::kOutcome, v1::ControlEvent::OUTCOME},
    {Kind::kWorking, v1::ControlEvent::WORKING},
    {Kind::kRedelivered, v1::ControlEvent::REDELIVERED},
    {Kind::kLateAnswer, v1::ControlEvent::LATE_ANSWER},
    {Kind::kDuplicateAnswer, v1::ControlEvent::DUPLICATE_ANSWER},
    {Kind::kUnmatchedAnswer, v1::ControlEvent::UNMATCHED_ANSWER},
    {Kind::kBroadcastFinished, v1::ControlEvent::BROADCAST_FINISHED},
    {Kind::kShuttingDown, v1::ControlEvent::SHUTTING_DOWN},
    {Kind::kEventsLost, v1::ControlEvent::EVENTS_LOST},
}};

}  // namespace

void to_proto(const Event& event, v1::ControlEvent& out) {
  out.set_kind(proto_of(kKinds, event.kind));
  out.set_unix_ms(event.unix_ms);
  out.set_broadcast_id(event.broadcast_id);
  if (event.key) to_proto(*event.key, *out.mutable_key());
  out.set_pid(event.pid);
  out.set_uid(event.uid);
  out.set_detail(to_utf8(event.detail, kMaxDetailBytes));
  if (event.backend_outcome) {
    std::string bytes;  // report_encode.cpp alone knows how it is written
    append(*event.backend_outcome, bytes);
    out.mutable_backend_outcome()->ParseFromString(bytes);
  }
  out.set_targets(event.targets);
  out.set_acks(event.acks);
  out.set_timeouts(event.timeouts);
  out.set_failures(event.failures);
  out.set_skipped_dead(event.skipped_dead);
  out.set_operation(to_utf8(event.operation));
}

std::string from_proto(const v1::ControlEvent& in, Event& event) {
  auto problem = value_of(kKinds, "an event's kind", in.kind(), event.kind);
  if (problem.empty() && in.has_key()) problem = from_proto(in.key(), event.key.emplace());
  if (problem.empty() && in.has_backend_outcome()) {
    problem = from_proto(in.backend_outcome(), event.backend_outcome.emplace());
  }
  event.unix_ms = in.unix_ms();
  event.broadcast_id = in.broadcast_id();
  event.pid = in.pid();
  event.uid = in.uid();
  event.detail = in.detail();
  event.targets = in.targets();
  event.acks = in.acks();
  event.timeouts = in.timeouts();
  event.failures = in.failures();
  event.skipped_dead = in.skipped_dead();
  event.operation = in.operation();
  return problem;
}

}  // namespace muster::wire
