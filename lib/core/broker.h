// The broker's state machine: registry, sessions, broadcasts. No I/O, no clock, no locks.
//
// Input: events, with their time. Output: calls of its Shell. One thread.
// Every function may be called at any time with any arguments that a peer could bring about; an
// event of a connection or deadline that is not known (any more) is ignored.
//
// Invariants (held by the simulator, tests/simulator/):
//   - every target of a broadcast gets exactly one outcome, and the first event wins;
//   - a broadcast ends when its last outcome is in, in the same call;
//   - while no broadcast runs, only deadlines of idling, returning, expiry and holds are armed;
//   - a backend gets its operations in the order in which the broadcasts were accepted.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <variant>
#include <vector>

#include "muster/broker_view.h"
#include "muster/control_error.h"
#include "muster/holds.h"
#include "muster/registration.h"

#include "core/backend_list.h"
#include "core/broadcast_rows.h"
#include "core/config.h"
#include "core/saved_state.h"
#include "core/shell.h"
#include "core/types.h"

namespace muster::core {

enum class LossCause {
  kClosed,      // end of file or a reset
  kHalfClosed,  // end of file, but some process still has the other end: kClosed follows
  kSlowReader,  // its queue went over the bound
  kUserQuota,   // what waits for all of its user's backends went over that user's quota
  kFailed,      // the broker could not go on with it
};

// A backend that was registered before the broker restarted, or refused, and whose process still
// lives.
struct ExpectedBackend {
  Registration registration;
  Peer peer;
  Quiesces quiesced;
  Cause refused = Cause::kNone;  // why it was not registered, of one that was refused
  bool is_inherited = false;     // its process has exited, and another one has its connection
  bool is_unseen = false;        // its process cannot be seen any more: see broker_unseen.cpp
};

// A hold that goes on after a restart of the broker.
struct KeptHold {
  HoldId id = 0;
  BroadcastOperation operation = BroadcastOperation::unknown();
  Selection selection;
  std::optional<Operator> asked_by;
  bool leased = false;
  std::uint64_t since_unix_ms = 0;
  std::uint64_t expires_unix_ms = 0;  // 0: never by itself
  bool verify = false;
  std::uint64_t mount_namespace = 0;
  std::uint64_t violations = 0;  // how many; who they were stands in its report

  friend bool operator==(const KeptHold&, const KeptHold&) = default;
};

// The result of start_broadcast().
struct Started {
  BroadcastId id = 0;
  std::uint32_t targets = 0;
  std::uint32_t skipped_dead = 0;
  bool joined = false;            // the operation key was known: nothing was sent
  bool backends_unknown = false;  // see BroadcastReport
};

// The result of resume().
struct Resumed {
  std::uint32_t resumed = 0;         // and were told so
  std::uint32_t cannot_resume = 0;   // still quiesced: they have to be restarted
  std::uint32_t away = 0;            // not connected: they are told when they return
  std::uint32_t still_quiesced = 0;  // by another broadcast

  friend bool operator==(const Resumed&, const Resumed&) = default;
};

// A resume() in turns: see Broker::begin_resume().
struct ResumeWork {
  struct Quiesced {
    std::uint32_t entry = 0;
    BroadcastId newest = 0;  // of its quiesces, when the work began
  };
  BroadcastId id = 0;
  bool ends_holds = false;  // everybody's: nothing of a hold is left
  std::vector<Quiesced> all;
  std::size_t next = 0;
  Resumed done;  // so far
};

class Broker {
 public:
  // `shell` must outlive the Broker.
  Broker(Config config, Shell& shell);
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  // The whole state, without configuration and policy. May be called between any two calls.
  // What the shell has not sent yet is not part of it, so the shell is asked to send that first.
  [[nodiscard]] SavedState save() const;
  // REQUIRES: no event came before. Continues from that state: arms every deadline again, and asks
  // nothing else of the shell. The caller counts operators and queued bytes again.
  void restore(SavedState saved);

  // --- a connection of the backend lane. REQUIRES: the slot of an opened connection is not in use
  // (Shell::release() was called for the one before). False when it was refused. Bytes that are
  // queued for it are charged to its user's queue_of() in the ledger, which exists until the shell
  // gets hang_up() or release().
  bool connection_opened(ConnectionId connection, const Peer& peer, Now now);
  // At the start: the operation keys that were used before the broker restarted.
  void restore_keys(std::vector<UsedKey> keys, Now now);
  // At the start: a backend of the roster. `watch` is not a socket: process_exited() is reported
  // for it. The backend is reconnecting until restart_grace has passed; one that was refused is as
  // it was. One that cannot be seen gives its place to the next process of its user that registers
  // its key.
  void expect(ConnectionId watch, ExpectedBackend backend, Now now);
  // At the start, after the backends: a hold of before. A leased one waits for keep_hold() until
  // restart_grace has passed.
  void expect_hold(KeptHold hold, Now now);
  // What is known of a registered backend, for the roster; nothing when no backend has the key.
  [[nodiscard]] std::optional<ExpectedBackend> registered(const BackendKey& key) const;
  // `facts`: what the shell found out about the process; null: nothing. `refused_before`: how many
  // connections of this backend were refused before its key was known; nothing: it does not say.
  void registration(ConnectionId connection, std::uint64_t request_id, Registration registration,
                    Now now, ProcessFactsPtr facts = nullptr,
                    std::optional<std::uint32_t> refused_before = std::nullopt);
  void acked(ConnectionId connection, BroadcastId id, const Ack& ack, Now now);
  void failed(ConnectionId connection, BroadcastId id, const Failure& failure, Now now);
  void working(ConnectionId connection, BroadcastId id, const Working& working, Now now);
  void activity(ConnectionId connection, Now now);
  void deregister(ConnectionId connection, std::uint64_t request_id, Now now);
  // The peer broke the protocol; `problem` is the sentence that it gets.
  void protocol_error(ConnectionId connection, std::uint64_t request_id, std::string problem,
                      Now now);
  void connection_lost(ConnectionId connection, LossCause cause, Now now);
  // REQUIRES of the shell: what the process wrote before it exited was delivered before.
  // `inherited`: the other end of its connection is still open, so another process has it. Such a
  // backend is lost, and dead when connection_lost() is reported, too.
  void process_exited(ConnectionId connection, Now now, bool inherited = false);

  void deadline_passed(DeadlineId id, Now now);

  // --- an operator
  // Counts against the quota of `asked_by` until the broadcast has ended; without one, against no
  // quota. Strong guarantee: if it throws, nothing was sent.
  [[nodiscard]] std::variant<Started, ControlError> start_broadcast(
      BroadcastRequest request, Now now, std::optional<Operator> asked_by = std::nullopt,
      const SelectionWork* selected = nullptr);
  [[nodiscard]] std::variant<DryRun, ControlError> dry_run(
      const BroadcastRequest& request, Now now, std::optional<uid_t> asked_by = std::nullopt,
      const SelectionWork* selected = nullptr) const;
  // `selected`, here and above: the request's selection, evaluated as far as look_on() came. The
  // result is that of the moment of the call all the same.
  //
  // Goes on with it until the turn is over; false when it is done. It may be left off at any point.
  [[nodiscard]] bool look_on(SelectionWork& selection,
                             const std::function<bool()>& turn_is_over) const;
  [[nodiscard]] BackendSnapshot snapshot(const SelectionWork& selection) const;
  // How many targets were still open; 0 when it had finished already.
  [[nodiscard]] std::variant<std::uint32_t, ControlError> cancel_broadcast(BroadcastId id, Now now);
  // Ends the quiesce of broadcast `id` (0: every quiesce) of the backends that are selected. A
  // backend resumes when its last one has ended.
  Resumed resume(BroadcastId id, const Selection& selection, Now now);
  // The same in turns: who is quiesced now, and their quiesces end until the turn is over; false
  // when all have. A backend that acks another quiesce meanwhile stays quiesced; it may be left off
  // at any point. Strong.
  [[nodiscard]] ResumeWork begin_resume(BroadcastId id, const SelectionWork& selected) const;
  [[nodiscard]] bool resume_on(ResumeWork& work, Now now,
                               const std::function<bool()>& turn_is_over);
  // Puts the key of each process that has registered one into its place.
  void find_keys(std::map<pid_t, BackendKey>& of_processes) const;
  // --- holds, and what the kernel says: broker_holds.cpp, broker_verify.cpp
  // What Shell::scan() was asked for. One that nobody waits for any more is ignored.
  void scanned(BroadcastId id, HolderScan scan, Now now);
  // Ends it for those who wait for Shell::hold_ended(), which may be called in this call. An error
  // when there is none (any more).
  [[nodiscard]] std::optional<ControlError> end_hold(HoldId id, Now now);
  // The operator's connection, which a leased hold belonged to, has ended.
  void hold_left(HoldId id, Now now);
  // The hold belongs to a connection of that user (again). An error when it is another user's, or
  // there is none.
  [[nodiscard]] std::optional<ControlError> keep_hold(HoldId id, uid_t uid, Now now);
  // The same, and it belongs to no connection any more: only its time, or end_hold(), ends it. An
  // error also when it has no time.
  [[nodiscard]] std::optional<ControlError> detach_hold(HoldId id, uid_t uid, Now now);
  // Those that go on, by id.
  [[nodiscard]] std::vector<HoldInfo> holds() const;
  // One, that has ended, too, while its report is kept; nothing when there is none.
  [[nodiscard]] std::optional<HoldInfo> hold(HoldId id) const;
  // Those that go on after a restart: for the disk.
  [[nodiscard]] std::vector<KeptHold> holds_to_keep() const;

  // Removes a dead or lost backend from the list. An error when it is neither, or not there.
  [[nodiscard]] std::optional<ControlError> forget(const BackendKey& key, Now now);
  // id 0: the newest. The rows are good until the next call that is not const.
  [[nodiscard]] std::variant<BroadcastRows, ControlError> report(BroadcastId id, Now now) const;
  [[nodiscard]] std::vector<BackendInfo> backends(const Selection& selection) const;
  // Whether processes were refused that may be in the way and are not listed: without a key, or
  // because there was no room.
  [[nodiscard]] bool has_unlisted_refused() const noexcept;
  // An operator says that none of them is. False: there was none.
  bool forget_refused();
  // The same of those whose process cannot be seen (Cause::kUnseen).
  bool forget_unseen(Now now);
  // Whose the connection is; nothing when it is not known (any more).
  [[nodiscard]] std::optional<uid_t> user_of(ConnectionId connection) const noexcept;
  // Fills in what the core knows: counters, backends, broadcasts, users.
  void fill_status(BrokerStatus& status) const;
  // The account of each user. For operators the caller takes and gives back. Never null.
  [[nodiscard]] const std::shared_ptr<Accounts>& ledger() const noexcept;
  // For the shell's own counts (refusals at accept, slow readers are the core's).
  [[nodiscard]] Counters& counters() noexcept;

  // From now on; null allows everything. Connected and registered peers stay as they are.
  void set_policy(AccessPolicyPtr policy) noexcept;

  // --- going down
  // Refuses new connections and requests, quiesces every backend (BrokerShutdown), and calls
  // Shell::drained() when every broadcast has ended. For a restart (`quiesce` is false) it quiesces
  // no backend. A second call cancels the broadcasts that are still open.
  void shut_down(Now now, bool quiesce = true);
  // The last moment at which drained() will have been asked for, as far as is known now.
  [[nodiscard]] SteadyTime latest_deadline() const noexcept;

 private:
  friend class Inspection;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace muster::core
