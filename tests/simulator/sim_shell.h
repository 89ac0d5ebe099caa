// The shell of the simulator: connections with queues, deadlines in virtual time; and a check, from
// the other side, that the core keeps to what core/shell.h says.
//
// A breach throws Violation, through the core. Nothing is used after that.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/shell.h"
#include "simulator/step.h"
#include "simulator/traffic.h"
#include "simulator/violation.h"
#include "support/inspection.h"

namespace muster::simulator {

// One connection, seen from both ends.
struct Line {
  enum class Broker : std::uint8_t {
    kWaiting,  // in the listener's queue: the backend may speak, nobody listens
    kOpen,
    kHungUp,
    kReleased,
  };

  core::ConnectionId id;
  std::uint32_t process = 0;
  Broker broker = Broker::kWaiting;
  // To the broker: what the backend said and the broker did not read yet.
  std::deque<Step> inbox;
  bool closed = false;  // by the backend, after what is in the inbox
  // By the backend: it sends nothing after what is in the inbox, and still has its end.
  bool half_closed = false;
  bool half_told = false;  // that was reported
  bool end_told = false;   // connection_lost() was reported
  bool is_watched = true;  // its process is, if that can be
  bool exit_due = false;   // process_exited() is to be reported
  bool too_slow = false;   // its queue went over a bound; nothing is read or written any more
  core::LossCause why_slow = core::LossCause::kSlowReader;
  core::QueueAccount* account = nullptr;  // of its user: one for each message that waits
  // To the backend: what it did not read yet.
  std::deque<Sent> outbox;
  BroadcastId last_operation = 0;  // that was sent; they ascend
};

class SimShell final : public core::Shell {
 public:
  using OnEvent = std::function<void(const Event&)>;

  SimShell(std::size_t queue_bound, OnEvent on_event)
      : queue_bound_(queue_bound), on_event_(std::move(on_event)) {}

  // --- the simulation's side
  // The events of one call into the core lie between begin() and end().
  void begin(const core::Broker& broker, core::SteadyTime now);
  void end() { in_core_ = false; }
  // A new connection of that number, which waits.
  Line& connect(std::uint32_t connection, std::uint32_t process);
  // A watch on a process without a connection, in a slot that is free.
  Line& watch(std::uint32_t connection, std::uint32_t process);
  // Gives it a slot that is free.
  Line& accept(std::uint32_t connection);
  // What waits for it is charged to that account from now on.
  void charge(std::uint32_t connection, core::QueueAccount& account) {
    lines_.at(connection).account = &account;
  }
  // The backend reads a message. REQUIRES: there is one.
  static Sent take_message(Line& line);
  [[nodiscard]] Line* line(std::int64_t connection);
  [[nodiscard]] std::map<std::uint32_t, Line>& lines() noexcept { return lines_; }
  [[nodiscard]] const std::map<std::uint32_t, Line>& lines() const noexcept { return lines_; }
  // The broker was killed: every connection is closed, no deadline is left. Who waits to be
  // accepted still does if the sockets are kept.
  void reset(bool keep_sockets);

  struct Armed {
    core::DeadlineId id;
    core::SteadyTime at;
    core::Deadline::Kind kind = core::Deadline::Kind::kFree;
    bool is_new = true;  // armed in this call
  };
  // In the order of arming.
  [[nodiscard]] const std::vector<Armed>& armed() const noexcept { return armed_; }
  [[nodiscard]] std::size_t armed(core::Deadline::Kind kind) const noexcept;
  // The core is gone, and another one will arm the same again. What was armed.
  std::vector<Armed> forget_armed();
  // In whatever order.
  [[nodiscard]] bool is_armed_as(std::vector<Armed> armed) const;
  // Those that were due when the core cancelled them: they may still be reported.
  [[nodiscard]] const std::vector<core::DeadlineId>& stale() const noexcept { return stale_; }
  // It is about to be reported: not armed any more.
  void take(core::DeadlineId id);
  void take_stale(std::size_t index);
  [[nodiscard]] bool was_ever_armed(core::DeadlineId id) const;

  [[nodiscard]] BroadcastId next_id() const noexcept { return next_id_; }
  void at_least_id(BroadcastId id) noexcept { next_id_ = id > next_id_ ? id : next_id_; }
  bool watched = false;
  // What was used, for the next run of the broker.
  std::vector<core::UsedKey> used_keys;

  // That were ordered and are not made yet, the oldest first.
  [[nodiscard]] const std::vector<core::ScanOrder>& scans() const noexcept { return scans_; }
  // The scan is made; false when none was ordered.
  bool take_scan(BroadcastId id);

  // How often each end of a hold is sent: another number than 1 is a fault.
  int sends_of_hold_ends = 1;

  // Of the last call.
  std::vector<Sent> sent;
  std::vector<OutgoingOperation> operations;  // that were sent, once for each budget
  std::vector<BroadcastId> ended_now;         // whose waiters are to be answered
  std::vector<HoldId> holds_ended_now;        // likewise
  std::vector<core::ScanOrder> scans_now;     // that were ordered
  // The holds that a connection was told of when it registered.
  using Listed = std::pair<std::uint32_t, std::vector<ActiveHold>>;
  std::vector<Listed> listed_now;
  bool holds_changed_now = false;
  bool drained_now = false;

  // --- core::Shell
  BroadcastId next_broadcast_id() override;
  std::vector<gid_t> groups_of(core::ConnectionId connection) override;
  void key_used(const core::UsedKey& key) override {
    std::erase_if(used_keys, [&](const core::UsedKey& one) {
      return one.uid == key.uid && one.key == key.key;
    });
    used_keys.push_back(key);
  }
  void send(core::ConnectionId connection, const OutgoingOperation& operation) override;
  void send(core::ConnectionId connection, std::uint64_t request_id,
            const core::Notice& notice) override;
  void refuse(core::ConnectionId connection, std::uint64_t request_id, const Refusal& refusal,
              bool answers_a_request) override;
  void hang_up(core::ConnectionId connection) override;
  void release(core::ConnectionId connection) override;
  void arm(core::DeadlineId id, core::SteadyTime at) override;
  void cancel(core::DeadlineId id) override;
  bool wants_every_outcome() const noexcept override { return watched; }
  void report(const Event& event) override;
  void ended(BroadcastId broadcast) noexcept override { ended_now.push_back(broadcast); }
  void scan(const core::ScanOrder& order) override;
  void holds_changed() noexcept override { holds_changed_now = true; }
  void hold_ended(HoldId hold) noexcept override { holds_ended_now.push_back(hold); }
  void drained() override;

 private:
  struct Slot {
    std::uint32_t generation = 0;
    std::uint32_t connection = 0;
    bool used = false;
  };
  void expect(bool good, const char* rule) const;
  std::pair<std::uint32_t, Line*> known(core::ConnectionId id, const char* rule);
  void put(core::ConnectionId id, Sent message);
  static void discharge(Line& line);

  std::size_t queue_bound_;
  OnEvent on_event_;
  const core::Broker* broker_ = nullptr;
  core::SteadyTime now_;
  bool in_core_ = false;
  bool drained_ever_ = false;
  BroadcastId next_id_ = 1;
  std::map<std::uint32_t, Line> lines_;
  std::vector<Slot> slots_;
  std::vector<Armed> armed_;
  std::vector<core::DeadlineId> stale_;
  std::vector<core::ScanOrder> scans_;
  std::vector<std::uint32_t> last_generation_;  // by deadline slot
};

}  // namespace muster::simulator
