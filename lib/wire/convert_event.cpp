// Events that arrived.
#include "wire/convert.h"
#include "wire/report_enums.h"

namespace muster::wire {
std::string from_proto(const v1::ControlEvent& in, Event& event) {
  event.kind = value_or(kEventKinds, in.kind(), kUnknownEventKind);
  std::string problem;
  if (in.has_key()) problem = from_proto(in.key(), event.key.emplace());
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
  event.joined = in.joined();
  if (in.has_asked_by()) event.asked_by = operator_of(in.asked_by());
  return problem;
}

}  // namespace muster::wire
