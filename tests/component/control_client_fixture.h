// What the tests of ControlClient share.
#pragma once

#include <string>

#include "muster/control.h"

#include "support/view_values.h"

namespace muster::test {

inline BroadcastRequest quiesce_request() {
  BroadcastRequest request;
  request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  return request;
}

inline BroadcastReport report_of(BroadcastId id) {
  auto report =
      finished(BroadcastOperation::quiesce(QuiesceReason::kMaintenance),
               {outcome_of("zccache", 812, OutcomeKind::kAck, std::chrono::milliseconds(3))});
  report.broadcast_id = id;
  return report;
}

// "unreachable: ..." or "refused: ..."; "nothing" when `call` did not throw.
template <class Call>
std::string failure_text(Call call) {
  try {
    call();
  } catch (const ControlFailure& failure) {
    const bool unreachable = failure.kind() == ControlFailure::Kind::kUnreachable;
    return (unreachable ? "unreachable: " : "refused: ") + failure.error().message;
  }
  return "nothing";
}

}  // namespace muster::test
