// Random requests and answers of the control lane.
#include <cstddef>
#include <optional>
#include <utility>

#include "support/wire_random.h"

namespace muster::test {

wire::ControlRequestFrame WireRandom::request(std::size_t which) {
  wire::ControlRequestFrame frame;
  frame.request_id = number();
  switch (which) {
    case 0:
      frame.message = wire::Ping{};
      break;
    case 1: {
      wire::StartBroadcast start;
      start.request.operation = operation();
      if (chance()) start.request.ack_timeout = ms();
      start.request.selection = selection();
      start.request.operation_key = text(kMaxOperationKeyBytes);
      start.request.traceparent = text(60);
      start.request.tracestate = text(kMaxTraceBytes);
      if (chance()) {
        start.request.verify = true;
        start.request.verify_wait = ms();
        start.request.mount_namespace = number();
      }
      if (chance()) {
        HoldRequest& hold = start.request.hold.emplace();
        hold.leased = chance();
        if (chance()) hold.ttl = ms();
      }
      start.detach = chance();
      start.dry_run = chance();
      start.events = chance();
      frame.message = std::move(start);
      break;
    }
    case 2:
      frame.message = wire::GetReport{number(), chance()};
      break;
    case 3:
      frame.message = wire::CancelBroadcast{number()};
      break;
    case 4:
      frame.message = wire::ListBackends{selection()};
      break;
    case 5:
      frame.message = wire::GetStatus{};
      break;
    case 6:
      frame.message = wire::Watch{};
      break;
    case 7:
      frame.message = question();
      break;
    case 8:
      frame.message = wire::FindHolders{text(100), number()};
      break;
    case 9:
      frame.message = wire::ListHolds{};
      break;
    case 10:
      frame.message = wire::EndHold{number()};
      break;
    case 11:
      frame.message =
          wire::KeepHold{number(), chance(), chance() ? std::optional(number()) : std::nullopt};
      break;
    case 12:
      frame.message = wire::Resume{number(), selection()};
      break;
    case 13:
      frame.message =
          chance() ? wire::ForgetBackend{key(), false} : wire::ForgetBackend{BackendKey(), true};
      break;
    default:
      frame.message = wire::Cancel{};
  }
  return frame;
}

wire::ControlResponse WireRandom::response(std::size_t which) {
  switch (which) {
    case 0:
      return ControlError{any(ControlError::Code::kTooLarge), text(500)};
    case 1:
      return wire::Pong{text(20), static_cast<pid_t>(number32())};
    case 2:
      return wire::BroadcastAccepted{number(), number32(), number32(), chance(), chance()};
    case 3:
      return report();
    case 4:
      return DryRun{
          some(5, [&] { return key(); }),     some(5, [&] { return key(); }), std::nullopt,
          some(3, [&] { return outcome(); }), some(5, [&] { return key(); }), chance()};
    case 5:
      return wire::CancelAccepted{number32()};
    case 6:
      return some(5, [&] { return info(); });
    case 7:
      return status();
    case 8:
      return wire::Watching{};
    case 9:
      return holder_scan();
    case 10:
      return some(4, [&] { return hold_info(); });
    case 11:
      return hold_info();
    case 12:
      return wire::ResumeAccepted{number32(), number32(), number32(), number32()};
    case 13:
      return wire::Forgotten{};
    default:
      return PolicyExplanation{some(4, [&] {
        return PolicyStep{text(50), chance(), text(100), text(100), number32()};
      })};
  }
}

}  // namespace muster::test
