// A shell that does nothing and keeps what it was asked for: for tests of what the core says and
// counts, where the simulator's world would be too much.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "core/shell.h"

namespace muster::test {

class KeepingShell final : public core::Shell {
 public:
  BroadcastId next_broadcast_id() override { return next_id++; }
  void send(core::ConnectionId, const OutgoingOperation&) override {}
  void send(core::ConnectionId, std::uint64_t, const core::Notice& notice) override {
    if (const auto* sent = std::get_if<Registered>(&notice)) registered = *sent;
  }
  void refuse(core::ConnectionId, std::uint64_t, const Refusal& refusal, bool) override {
    refusals.push_back(refusal);
  }
  void hang_up(core::ConnectionId connection) override { closed.push_back(connection); }
  void release(core::ConnectionId connection) override { closed.push_back(connection); }
  void arm(core::DeadlineId id, core::SteadyTime) override { armed.push_back(id); }
  void cancel(core::DeadlineId) override {}
  bool wants_every_outcome() const noexcept override { return false; }
  void report(const Event& event) override { events.push_back(event); }
  void ended(BroadcastId broadcast) noexcept override { ended_broadcasts.push_back(broadcast); }
  void drained() override {}

  BroadcastId next_id = 20;
  Registered registered;
  std::vector<Refusal> refusals;
  std::vector<core::DeadlineId> armed;
  std::vector<core::ConnectionId> closed;
  std::vector<Event> events;
  std::vector<BroadcastId> ended_broadcasts;
};

}  // namespace muster::test
