// The broker's core, the oracle, and the processes around them, under virtual time.
//
// Every event goes to the oracle and then to the core, and what comes of it must be the same. A
// difference, or a breach of the shell's rules, throws Violation. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/broker.h"
#include "simulator/oracle.h"
#include "simulator/script.h"
#include "simulator/sim_shell.h"

namespace muster::simulator {

// A transition that is wrong on purpose: the core is told another event than the one that happened.
enum class WrongTransition : std::uint8_t {
  kNone,
  kLostIsDead,         // the grace passed: the process has exited
  kDisconnectIsDeath,  // the connection ended: the process has exited
  kDeathIsDisconnect,  // the process exited: the connection ended
  // the process exited, and another has its connection: only that it exited
  kChildIsNobody,
  kTimeoutIsAck,            // the timer fired: it acked
  kTimeoutIsWaited,         // the timer fired: it has more time
  kFailureIsAck,            // it rejected: it acked
  kAckIsFailure,            // it acked: it rejected
  kWorkingIsIgnored,        // it asked for more time: nothing
  kWorkingIsAck,            // it asked for more time: it acked
  kDeregisterIsDeath,       // it deregistered: its process has exited
  kGarbageIsDisconnect,     // it broke the protocol: its connection ended
  kCancelIsIgnored,         // the operator cancelled: nothing
  kResumeIsIgnored,         // the operator resumed: nothing
  kActivityIsIgnored,       // it was active: nothing
  kRestartForgets,          // the broker starts: it expects nobody
  kRestartForgetsKeys,      // the broker starts: no key was ever used
  kRestartForgetsQuiesces,  // the broker starts: nobody is quiesced
  kDeadlineIsIgnored,       // --deadline was given: it was not
  kUserIsIgnored,           // an operator asked: nobody did
  kSaveForgetsKeys,         // the core is saved: no key was ever used
  kSaveForgetsQuiesces,     // the core is saved: nobody is quiesced
  kSaveForgetsTime,         // the core is saved: all deadlines pass at once
  kRefusedIsNobody,         // a process was refused: it has exited
  kRestartForgetsRefused,   // the broker starts: who was refused was registered
  kTurnedAwayIsNobody,      // a process was refused before its key was known: it has exited
  kAnyRegistrationIsAll,    // a backend registered: so did all of its process that were refused
  kSaysNotIsNone,           // a backend does not say how often it was refused: it never was
  kSaveForgetsMissed,       // the core is saved: everybody who was refused is listed
  kUnseenIsGone,            // the broker starts: who cannot be seen has exited
  kUnseenIsSeen,            // the broker starts: it sees everybody
  kOneReplacesAllUnseen,    // a backend registered: so nobody is left who cannot be seen
  kForgetUnseenIsIgnored,   // an operator knows that they are gone: nothing
  kSaveForgetsUnseen,       // the core is saved: everybody can be seen
  kSaveForgetsPlaces,       // the core is saved: nobody took the place of one that cannot be seen
  kHalfClosedIsClosed,      // it sends nothing more: its connection ended
  kHalfClosedIsDeath,       // it sends nothing more: its process exited
  // the process exited, and another has its half-closed connection: only that it exited
  kHalfClosedIsNobodys,
  kHalfClosedStays,      // nobody has a half-closed connection any more: nothing
  kScanIsImagined,       // a scan is ordered: it is made, and clear
  kUnknownIsClear,       // a scan could not see all: it is clear
  kPossiblyIsSure,       // somebody may hold something: it does
  kTimeIsLonger,         // a hold was asked for: a millisecond longer
  kEndHoldIsIgnored,     // an operator ends a hold: nothing
  kLeftIsIgnored,        // the connection of a hold ended: nothing
  kLeftIsEnd,            // the connection of a hold ended: its operator ended it
  kKeepIsIgnored,        // an operator comes back to its hold: nothing
  kDetachIsKeep,         // an operator leaves its hold to its time: it stays a lease
  kAnybodyKeeps,         // another user comes back to a hold: its own user
  kEndIsLost,            // the end of a hold is told to nobody
  kEndIsToldTwice,       // the end of a hold is told twice
  kRestartForgetsHolds,  // the broker starts: nothing is held
  kRestartHoldsAll,      // the broker starts: every hold is of everybody
  kSaveForgetsHolds,     // the core is saved: nothing is held
  kSaveForgetsHeld,      // the core is saved: nobody believes in a hold
  kSaveForgetsHolders,   // the core is saved before each scan: every holder is news
  kPreflightQuiesces,    // a backend would quiesce: it is quiesced
  kPreflightJoins,       // a preflight has the key of a real request: it joins that
  kPreflightHolds,       // a preflight is asked for with a hold: it begins
};

// Something that is wrong on purpose, to see that it is found.
struct Fault {
  std::function<void(core::Config&)> config;  // changes the broker's configuration
  WrongTransition transition = WrongTransition::kNone;
};

class Simulation {
 public:
  // `fault` is put into the broker's configuration, and the oracle does not know.
  explicit Simulation(const Knobs& knobs, Fault fault = {});

  // Is called with what one call into the core brought about: messages and events.
  using Observer = std::function<void(const std::vector<Sent>&, const std::vector<Told>&)>;
  void observe(Observer observer) { observer_ = std::move(observer); }

  // False, and nothing happens, when what the step is about is not there.
  bool apply(const Step& step);
  // Lets everything that is open come to its end, shuts the broker down, and looks whether
  // anything is left.
  void wind_down();
  // How many steps did something, those of wind_down() included.
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }

  // --- for whoever chooses the next step
  struct Process {
    bool exited = false;
    bool has_child = false;  // that goes on with its sockets when it has exited
    [[nodiscard]] bool speaks() const noexcept { return !exited || has_child; }
    std::vector<BroadcastId> known;  // operations that it read, oldest first
  };
  [[nodiscard]] const std::map<std::uint32_t, Process>& processes() const noexcept {
    return processes_;
  }
  [[nodiscard]] const SimShell& shell() const noexcept { return shell_; }
  [[nodiscard]] const Oracle& oracle() const noexcept { return *oracle_; }
  [[nodiscard]] const Cases& cases() const noexcept { return cases_; }
  [[nodiscard]] SteadyTime now() const noexcept { return now_; }
  [[nodiscard]] std::size_t due() const;
  // Connections that wait to be accepted, the oldest first.
  [[nodiscard]] const std::deque<std::uint32_t>& waiting() const noexcept { return waiting_; }
  [[nodiscard]] bool short_of_descriptors() const noexcept { return shortage_; }

 private:
  // Calls the core, which the oracle was told of before, and compares what came of it.
  template <class Call>
  void call(Call&& core_call) {
    shell_.begin(*broker_, now_);
    core_call();
    if (is_wrong(WrongTransition::kScanIsImagined)) imagine_scans();
    shell_.end();
    check_outputs();
  }
  void check_outputs();
  void imagine_scans();
  void check_frames() const;
  void check_deadlines() const;
  void check_armed(const SimShell::Armed& armed) const;
  void check_report(BroadcastId id) const;
  // Against the processes themselves, whatever the oracle thinks of them.
  void check_skipped() const;
  void check_status() const;
  void check_usage(const std::vector<UserUsage>& users) const;
  // While the core is at it.
  void on_event(const Event& event);
  void check_outcome(const Event& event) const;
  void check_hold_event(const Event& event) const;
  void look_around() const;

  bool do_step(const Step& step);
  bool say(const Step& step);
  bool connect(const Step& step);
  bool accept(std::int64_t most);
  bool read(const Step& step);
  bool close(const Step& step);
  bool half_close(std::uint32_t connection);
  bool exit(const Step& step);
  bool deliver(std::uint32_t connection);
  void dispatch(std::uint32_t connection, core::ConnectionId id, const Step& message, bool oracle);
  bool gone(std::uint32_t connection);
  bool ghost(const Step& step);
  bool fire(std::size_t which);
  void fire(SimShell::Armed armed);
  bool tell_another(const core::Inspection::Armed& what);
  bool stale(std::size_t which);
  bool bogus(const Step& step);
  bool start(const Step& step);
  bool dry_run(const Step& step);
  bool cancel(const Step& step);
  bool report(BroadcastId id);
  bool list(std::int64_t selection);
  bool shut_down(bool restart);
  bool resume(const Step& step);
  bool forget(std::uint32_t key);
  bool forget_missed();
  bool forget_unseen();
  void restart(bool keep_sockets, bool no_roster, std::int64_t place);
  // What the broker that starts there knows of those of the roster: who may live.
  void look_up(std::vector<Oracle::Backend>& roster, std::int64_t place);
  void save_and_restore();
  void quiesce_who_would(core::SavedState& saved) const;
  [[nodiscard]] bool is_wrong(WrongTransition what) const { return fault_.transition == what; }
  void start_broker();

  bool scanned(const Step& step);
  bool end_hold(HoldId id);
  bool hold_left(HoldId id);
  bool keep_hold(const Step& step);
  void restart_holds(const std::vector<Oracle::Hold>& before, std::vector<core::KeptHold> kept);
  void check_holds();
  void check_hold_infos() const;
  void make_scans();
  void end_holds();

  void deliver_all();
  void answer_all();
  void pass_until(SteadyTime end);
  bool pass_to_next();
  void check_end();

  [[nodiscard]] core::Now at() const;

  Knobs knobs_;
  Fault fault_;
  Cases cases_;
  SteadyTime now_;
  std::int64_t wall_offset_ms_;
  SimShell shell_;
  core::Config config_;
  std::unique_ptr<core::Broker> broker_;
  std::unique_ptr<Oracle> oracle_;
  std::map<std::uint32_t, Process> processes_;
  std::deque<std::uint32_t> waiting_;
  bool shortage_ = false;
  std::int64_t place_ = 0;  // the pid namespace of the broker
  std::vector<Told> told_;  // by the core, in this call
  std::vector<core::KeptHold> holds_on_disk_;
  bool checks_disk_ = true;
  std::uint64_t disk_checked_ = 0;  // Oracle::record_changes() then
  Observer observer_;               // may be empty
  std::uint64_t requests_ = 0;
  std::uint32_t watches_ = 0;  // connections that are none
  std::uint64_t steps_ = 0;
};

}  // namespace muster::simulator
