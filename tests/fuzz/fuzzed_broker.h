// The broker's core behind the real splitter and decoder, in virtual time; connections are made of
// bytes. After each step what must always be true is looked at.
//
// The simulator's shell stands around the core and holds it to core/shell.h; what the core sends is
// encoded for real, and must be what a backend's decoder takes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "broker/frame_splitter.h"
#include "core/broker.h"
#include "fuzz/targets.h"
#include "simulator/sim_shell.h"
#include "support/inspection.h"
#include "wire/backend_lane.h"

namespace muster::fuzz {

// core::Shell: SimShell, and the wire.
class WireShell final : public core::Shell {
 public:
  // `on_finished` is called when a broadcast has ended, from inside the core.
  explicit WireShell(std::function<void(BroadcastId)> on_finished);

  simulator::SimShell sim;

  BroadcastId next_broadcast_id() override { return sim.next_broadcast_id(); }
  void send(core::ConnectionId connection, const OutgoingOperation& operation) override;
  void send(core::ConnectionId connection, std::uint64_t request_id,
            const core::Notice& notice) override;
  void refuse(core::ConnectionId connection, std::uint64_t request_id, const Refusal& refusal,
              bool answers_a_request) override;
  void hang_up(core::ConnectionId connection) override { sim.hang_up(connection); }
  void release(core::ConnectionId connection) override { sim.release(connection); }
  void arm(core::DeadlineId id, core::SteadyTime at) override { sim.arm(id, at); }
  void cancel(core::DeadlineId id) override { sim.cancel(id); }
  bool wants_every_outcome() const noexcept override { return sim.wants_every_outcome(); }
  void report(const Event& event) override { sim.report(event); }
  void ended(BroadcastId broadcast) noexcept override { sim.ended(broadcast); }
  void scan(const core::ScanOrder& order) override { sim.scan(order); }
  void holds_changed() noexcept override { sim.holds_changed(); }
  void hold_ended(HoldId hold) noexcept override { sim.hold_ended(hold); }
  void drained() override { sim.drained(); }

 private:
  void must_be_read(std::string_view frame);
  void on_event(const Event& event);

  std::function<void(BroadcastId)> on_finished_;
  wire::BrokerFrameDecoder decoder_;
  wire::BrokerFrame heard_;
};

class FuzzedBroker {
 public:
  explicit FuzzedBroker(core::Config config);

  // A process that connects; its connections are known by their numbers, from 0.
  void connect(std::uint32_t process);
  // Arrive on a connection; nothing where it is closed.
  void bytes(std::uint32_t connection, std::string_view stream);
  // The peer closes it.
  void close(std::uint32_t connection);
  // The peer reads what waits for it.
  void read(std::uint32_t connection);
  void exit(std::uint32_t process);
  void start(BroadcastRequest request);
  void cancel(BroadcastId id);
  void shut_down();
  // A scan is made, whether or not it was ordered.
  void scanned(BroadcastId id, HolderScan scan);
  void end_hold(HoldId id);
  void hold_left(HoldId id);
  void keep_hold(HoldId id, uid_t uid, bool detach);
  // Reads everything that an operator can read.
  void look(BroadcastId id, const Selection& selection);
  // What is armed for the next moment passes.
  bool next_deadline();
  void pass(std::chrono::milliseconds time);
  // One that was cancelled when it had passed already is reported all the same.
  void stale_deadline();

  [[nodiscard]] std::size_t connections() const noexcept { return partial_.size(); }
  [[nodiscard]] BroadcastId last_id() const noexcept { return shell_.sim.next_id() - 1; }
  void watched(bool is_watched) noexcept { shell_.sim.watched = is_watched; }

  // Everybody goes, everything passes; nothing may be left.
  void wind_down();

 private:
  [[nodiscard]] core::Now at() const;
  template <class Call>
  void call(Call&& call);
  void fire(const simulator::SimShell::Armed& armed);
  void lose_slow_readers();
  void check();
  void check_report(const BroadcastReport& report) const;
  void finished(BroadcastId id);

  WireShell shell_;
  core::AccessPolicyPtr policy_;
  core::Broker broker_;
  core::SteadyTime now_{std::chrono::hours(1000)};
  wire::BackendFrameDecoder decoder_;
  wire::BackendFrame incoming_;
  std::vector<broker::PartialFrame> partial_;  // by connection
  std::map<BroadcastId, BroadcastResult> results_;
};

}  // namespace muster::fuzz
