#include <utility>
#include <variant>

#include "fuzz/fuzzed_broker.h"
#include "wire/control_lane.h"
#include "wire/framing.h"

namespace muster::fuzz {
namespace {

constexpr std::size_t kQueueBound = 24;  // messages

std::string encoded(std::uint64_t request_id, const core::Notice& notice) {
  if (const auto* registered = std::get_if<Registered>(&notice)) {
    return wire::encode(request_id, *registered);
  }
  if (const auto* ended = std::get_if<HoldEnded>(&notice)) return wire::encode(*ended);
  if (std::holds_alternative<core::DeregisteredNotice>(notice)) {
    return wire::encode(request_id, wire::Deregistered{});
  }
  return wire::encode_cancel(wire::kBackendLane, request_id);
}

}  // namespace

WireShell::WireShell(std::function<void(BroadcastId)> on_finished)
    : sim(kQueueBound, [this](const Event& event) { on_event(event); }),
      on_finished_(std::move(on_finished)) {}

void WireShell::must_be_read(std::string_view frame) {
  const auto view = wire::next_frame(frame, wire::kMaxBackendBody);
  must(view.status == wire::FrameView::Status::kComplete && view.bytes == frame.size(),
       "the broker sends whole frames within the lane's limit");
  must(decoder_.decode(view.body, heard_).empty(), "what the broker sends is what backends read");
}

// Who follows gets it over the wire.
void WireShell::on_event(const Event& event) {
  if (event.kind == Event::Kind::kBroadcastFinished) on_finished_(event.broadcast_id);
  const auto frame = wire::encode(1, event);
  const auto view = wire::next_frame(frame, wire::kMaxControlBody);
  wire::ControlAnswerDecoder decoder;
  std::optional<wire::ControlAnswerFrame> heard;
  must(decoder.decode(view.body, heard).empty(), "an event is what operators read");
}

void WireShell::send(core::ConnectionId connection, const OutgoingOperation& operation) {
  must_be_read(wire::encode(operation));
  must(std::get<OutgoingOperation>(heard_.message) == operation,
       "an operation arrives as it was sent");
  sim.send(connection, operation);
}

void WireShell::send(core::ConnectionId connection, std::uint64_t request_id,
                     const core::Notice& notice) {
  must_be_read(encoded(request_id, notice));
  sim.send(connection, request_id, notice);
}

void WireShell::refuse(core::ConnectionId connection, std::uint64_t request_id,
                       const Refusal& refusal, bool answers_a_request) {
  must_be_read(wire::encode(request_id, refusal, answers_a_request));
  sim.refuse(connection, request_id, refusal, answers_a_request);
}

}  // namespace muster::fuzz
