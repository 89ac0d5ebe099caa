// A shell that does nothing and keeps what it was asked for: for tests of what the core says and
// counts, where the simulator's world would be too much.
#pragma once

#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "core/shell.h"

namespace muster::test {

class KeepingShell : public core::Shell {
 public:
  BroadcastId next_broadcast_id() override { return next_id++; }
  void send(core::ConnectionId, const OutgoingOperation& operation) override {
    operations.push_back(operation);
  }
  void send(core::ConnectionId connection, std::uint64_t, const core::Notice& notice) override {
    if (const auto* sent = std::get_if<Registered>(&notice)) registered = *sent;
    if (const auto* ended = std::get_if<HoldEnded>(&notice)) {
      holds_ended.emplace_back(connection, *ended);
    }
  }
  void refuse(core::ConnectionId, std::uint64_t, const Refusal& refusal, bool) override {
    refusals.push_back(refusal);
  }
  void hang_up(core::ConnectionId connection) override { closed.push_back(connection); }
  void release(core::ConnectionId connection) override { closed.push_back(connection); }
  void arm(core::DeadlineId id, core::SteadyTime at) override {
    armed.push_back(id);
    deadlines.emplace_back(id, at);
  }
  void cancel(core::DeadlineId id) override {
    std::erase_if(deadlines, [&](const auto& one) { return one.first == id; });
  }
  void scan(const core::ScanOrder& order) override { scans.push_back(order); }
  void holds_changed() noexcept override { ++changes_of_holds; }
  void hold_ended(HoldId hold) noexcept override { answered_holds.push_back(hold); }
  bool wants_every_outcome() const noexcept override { return false; }
  void report(const Event& event) override { events.push_back(event); }
  void ended(BroadcastId broadcast) noexcept override { ended_broadcasts.push_back(broadcast); }
  void drained() override {}

  BroadcastId next_id = 20;
  Registered registered;
  std::vector<Refusal> refusals;
  std::vector<core::DeadlineId> armed;
  std::vector<std::pair<core::DeadlineId, core::SteadyTime>> deadlines;  // not cancelled
  std::vector<OutgoingOperation> operations;
  std::vector<std::pair<core::ConnectionId, HoldEnded>> holds_ended;
  std::vector<core::ScanOrder> scans;
  std::vector<HoldId> answered_holds;
  int changes_of_holds = 0;
  std::vector<core::ConnectionId> closed;
  std::vector<Event> events;
  std::vector<BroadcastId> ended_broadcasts;
};

}  // namespace muster::test
