// The state of core::Broker. Its functions are split by subject:
//   broker_sessions.cpp    connections: register, answer out of order, leave, be refused
//   broker_policy.cpp      whether a peer may connect and register
//   broker_quota.cpp       what each user has and may have
//   broker_refused.cpp     processes that were refused and may be in the way
//   broker_unseen.cpp      backends of another namespace, whose processes cannot be seen
//   broker_answers.cpp     what backends say of an operation
//   broker_broadcasts.cpp  what operators ask: start, cancel, resume, forget, report
//   broker_views.cpp       what they look at
//   broker_launch.cpp      how a broadcast is prepared and sent
//   broker_lifecycle.cpp   backends that are lost, die, go idle; expiry; going down
//   broker_verify.cpp      what the kernel says after the last outcome
//   broker_hold_owner.cpp  whose a hold is: a connection's, or its time's alone
//   broker_holds.cpp       holds: who is held, until when, who is told of the end
//   broker_hold_scans.cpp  holds that are looked at
//   saved_state.cpp        all of it as values, and back
#pragma once

#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "core/broadcast_log.h"
#include "core/broker.h"
#include "core/deadlines.h"
#include "core/holds.h"
#include "core/operation_keys.h"
#include "core/quota.h"
#include "core/refused.h"
#include "core/registry.h"
#include "core/saved_state.h"

namespace muster::core {

// Does what can be left out where there is no memory for it.
template <class Step>
void unless_out_of_memory(Step step) {
  try {
    step();
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): it is left out
  }
}

// What the broker appends to the replica of a process that shares its key. It stays the same while
// the process lives, over restarts of the broker, too.
[[nodiscard]] std::string mark_of(const ProcessId& process);
// The key as its process gave it.
[[nodiscard]] BackendKey own_key(BackendKey key);
// What status says where so many backends cannot be seen.
[[nodiscard]] std::string unseen_problem(std::size_t count);

struct Broker::State {
  State(Config c, Shell& s)
      : config(std::move(c)),
        shell(s),
        ledger(std::make_shared<Accounts>(config.quotas)),
        accounts(*ledger),
        log(config.quotas) {}

  // --- sessions
  // Null when the connection is not known (any more).
  [[nodiscard]] Session* find(ConnectionId connection) noexcept;
  // The live entry of a connection that answers; null (and the peer refused) when it must not.
  Entry* answering(ConnectionId connection, std::string_view what, Now now);
  // `why` is for the log alone: what the peer need not know.
  // `watched_for`: the entry that the connection of a peer that is not registered goes on for, to
  // watch its process (Registry::kNone: without an entry); nothing: it is released.
  void refuse(ConnectionId connection, std::uint64_t request_id, const Refusal& refusal, Now now,
              std::string_view why = {}, std::optional<EntryId> watched_for = std::nullopt);
  // Whether policy lets the peer connect, or register `key`; else it is refused.
  [[nodiscard]] bool admits(ConnectionId connection, Now now);
  [[nodiscard]] bool admits(ConnectionId connection, std::uint64_t request_id,
                            const BackendKey& key, Now now);
  [[nodiscard]] bool may_register_something(ConnectionId connection);
  // Of the peer's groups, those that the policy mentions. REQUIRES: there is a policy.
  [[nodiscard]] std::vector<gid_t> groups_that_matter(ConnectionId connection);
  // Takes one of the user's connections; else refuses.
  [[nodiscard]] bool has_room(ConnectionId connection, Now now);
  // Of the broadcasts that the user asked for and that run: what their reports will be charged as.
  [[nodiscard]] std::size_t bytes_running(uid_t uid) const;
  // Nothing when there is room for one more registration of the user.
  [[nodiscard]] std::optional<Refusal> over_registrations(uid_t uid) const;
  // Forgets the connection and lets the shell do so.
  void release(ConnectionId connection);
  // The shell has closed its socket: it does not count any more.
  void uncount(Session& session);
  void disarm(DeadlineId& id);
  // Strong.
  DeadlineId arm(Deadline what, SteadyTime at);
  // Of what expires: nothing when it is armed already, or `at` is never. Where there is no memory
  // for it, it is tried again when the next one is about to expire.
  void arm_again(DeadlineId& id, Deadline::Kind kind, SteadyTime at) noexcept;

  // --- processes that are refused
  // Refuses a Register that policy allows. From then on its process is an entry, lost for `cause`,
  // until it exits or registers.
  void turn_away(ConnectionId connection, std::uint64_t request_id, Registration registration,
                 ProcessFactsPtr facts, Cause cause, const Refusal& refusal, Now now);
  // Refuses a peer whose key is not known. From then on its process is watched, if policy lets it
  // register something.
  void turn_away_unknown(ConnectionId connection, std::uint64_t request_id, const Refusal& refusal,
                         Now now);
  // The connection that watches that process, of one whose key is not known.
  [[nodiscard]] std::optional<ConnectionId> watch_of_unknown(const Peer& peer) const;
  // A key of that process is known now. `own`: how many connections of that backend were refused
  // before; nothing: it does not say.
  void known_now(const Peer& peer, std::optional<std::uint32_t> own);
  void drop_unknown(ConnectionId watch);
  // Whether a process that was refused and has no entry may be one that is selected.
  [[nodiscard]] bool misses_some_of(const Selection& selection) const;
  // The entry that the connection is to watch for; none where another does, or there is no room.
  EntryId list_refused(const Peer& peer, Registration registration, Cause cause, Now now);
  // The entry of the refusal of that key, as the process gave it, of that process.
  [[nodiscard]] EntryId refused_entry(const BackendKey& own_key, const Peer& peer) const;
  struct RefusedEntry {
    EnrolmentPtr who;  // null: none
    ConnectionId watch;
  };
  [[nodiscard]] RefusedEntry refused_at(EntryId id) const;
  // Another enrolment has its entry.
  void replace_refused(const RefusedEntry& before, EntryId id);
  void drop_refused(EntryId id);
  // The process has registered that key.
  void drop_refused_of(const Enrolment& registered);
  void expect_refused(ConnectionId watch, ExpectedBackend backend, Now now);
  // `key` with a mark, as no entry has it that is not dead.
  [[nodiscard]] BackendKey free_key(const BackendKey& key) const;

  // --- backends whose process cannot be seen
  // Whether a process of that user takes the place of what has the entry.
  [[nodiscard]] bool is_unseen_of(EntryId id, uid_t uid) const;
  // One of those that had this key of their own, of that user; none when there is none.
  EntryId find_unseen(const BackendKey& own_key, uid_t uid);
  // The same, whose place that process takes: none when it registered or was refused before.
  EntryId place_of_unseen(const BackendKey& own_key, const Peer& peer);
  // A process of the user that registered that key or was refused, and has left since: the next one
  // follows it. REQUIRES: find_unseen() gives one.
  [[nodiscard]] std::optional<ProcessId> left_of_listed(const BackendKey& own_key, uid_t uid) const;
  [[nodiscard]] bool is_there(const BackendKey& own_key, const Peer& peer) const;
  // It has registered, or was refused. `follows`: one that has left. REQUIRES: find_unseen() gives
  // one.
  void note_listed(const BackendKey& own_key, const Peer& peer,
                   const std::optional<ProcessId>& follows);
  // A process has registered its key, or an operator says that it is not there.
  void drop_unseen(EntryId id, Cause cause, Now now);

  // --- one backend
  // `is_half_closed`: its socket stays open until nobody has the other end.
  void lose(EntryId id, Cause cause, Now now, bool is_half_closed = false);
  void die(EntryId id, Cause cause, Now now);
  // The rest of a connection that was half closed has ended.
  void half_closed_ended(Session& session, ConnectionId connection, LossCause cause, Now now);
  // Its process has exited, but another process has its connection, and may have its files.
  void outlive(EntryId id, Now now);
  // It did not come back in time: it is lost, as nobody saw its process exit.
  void grace_passed(EntryId id, Now now);
  // Lets go of the connection that the same process replaces by a new one.
  void displace(Entry& entry, BackendState before);
  void tell_cancelled(const Entry& entry, BroadcastId id) noexcept;
  void fail_open(Entry& entry, Cause cause, Now now);
  // The entry that `peer` may register `key` as, and the key for it: a process that shares its key
  // with another living one of its user gets a replica of its own. So does one of which nothing
  // tells whether it is the one that has the key.
  EntryId place_for(BackendKey& key, const Peer& peer) const;
  void end_quiesce(EntryId id, HoldEnd why, Now now);
  void redeliver(Entry& entry, Now now);
  void arm_idle(EntryId id, SteadyTime at);
  void idle_passed(EntryId id, Now now);

  // --- one broadcast
  struct Launch {
    BroadcastRequest request;
    EntryId only = Registry::kNone;    // none: every backend that is selected
    std::optional<Operator> asked_by;  // nothing: the broker itself
    std::optional<uid_t> charged;      // whose account it counts in
    bool own = false;
    const SelectionWork* selected = nullptr;  // of the request's selection; null: found out now
  };
  // Sends to every backend that is selected and not dead. Strong: when it throws nothing was sent.
  Broadcast& launch(Launch what, Now now);
  // Whether a backend that may be in the way of those that are selected is not in the registry.
  [[nodiscard]] bool misses_backends(const Selection& selection) const {
    return misses_some_of(selection) || !shell.knows_all_backends();
  }
  // Everything of a broadcast that is not yet known to anybody.
  std::unique_ptr<Broadcast> prepare(Launch what, Now now);
  void charge_enrolments(Broadcast& broadcast) noexcept;
  void ask(Broadcast& broadcast, std::uint32_t target, Now now);
  // settle() and finish() do all of their work when memory runs out; only an event is lost then,
  // and what an operator waits for does not come by event: see Shell::ended().
  void settle(Broadcast& broadcast, std::uint32_t target, OutcomeKind outcome, Cause cause, Now now,
              BroadcastFailureReason reason = BroadcastFailureReason::kBackendError);
  // Its last outcome is in.
  void completed(Broadcast& broadcast, Now now);
  void finish(Broadcast& broadcast, Now now);
  void cancel(Broadcast& broadcast, Now now);
  void stray_answer(EntryId entry, BroadcastId id, const Failure* failure, Now now);
  // The target acked, in time or late.
  void note_quiesced(const Broadcast& broadcast, Entry& entry, Now now) noexcept;
  void target_deadline(Broadcast& broadcast, std::uint32_t target, Now now);
  [[nodiscard]] std::chrono::milliseconds budget_of(const BroadcastRequest& request,
                                                    const Entry& entry) const;
  // Ends the quiesces of one backend: `id`, or all if it is 0.
  void resume(const ResumeWork::Quiesced& one, BroadcastId id, Now now, Resumed& done);
  // Checks a request and makes its path normal; nothing when it is good.
  [[nodiscard]] std::optional<ControlError> check(BroadcastRequest& request) const;
  // The broadcast that has the user's operation key of a request that was checked; null when none
  // has. An error when it is of another request, or its report is gone.
  [[nodiscard]] std::variant<const Broadcast*, ControlError> known_by_key(
      const BroadcastRequest& request, std::optional<uid_t> asked_by, Now now) const;

  // --- what the kernel says
  void verify(Broadcast& broadcast, Now now);
  void order_verification(Broadcast& broadcast, Now now);
  void verification_scanned(Broadcast& broadcast, HolderScan scan, Now now);
  // Without a verification, whatever was found by then.
  void stop_verifying(Broadcast& broadcast, Now now);
  void stop_verifying_all(Now now);
  void end_verifying(Broadcast& broadcast, Now now);
  // False: there was no memory for it.
  [[nodiscard]] bool order_scan(BroadcastId id, const BroadcastOperation& operation,
                                std::uint64_t mount_namespace,
                                const std::optional<Operator>& asked_by) noexcept;

  // --- holds
  [[nodiscard]] std::optional<ControlError> check(const HoldRequest& hold) const;
  [[nodiscard]] std::optional<ControlError> no_room_for_hold(const BroadcastRequest& request,
                                                             std::optional<uid_t> uid);
  // Of a broadcast that is about to be sent. Strong.
  void add_hold(const Broadcast& broadcast);
  void remove_hold(HoldId id) noexcept;
  // The last outcome of its broadcast is in.
  void begin_hold(Broadcast& broadcast, Now now);
  // The entry acked, in time or late.
  void note_held(Broadcast& broadcast, EntryId id, Now now);
  // Of those that the entry, which has just registered, is selected by.
  void add_active_holds(EntryId id, Registered& registered);
  void hold_deadline(const Deadline& what, Now now);
  // Strong.
  void arm_hold(DeadlineId& id, Deadline::Kind kind, const Hold& hold, SteadyTime at);
  void scan_hold(Hold& hold, Now now);
  void scan_hold_later(Hold& hold, std::chrono::milliseconds wait, Now now);
  void hold_scanned(Hold& hold, const HolderScan& scan, Now now);
  void note_violations(Hold& hold, const HolderScan& scan, Now now);
  // It does all of its work when memory runs out.
  void finish_hold(HoldId id, HoldEnd why, Now now);
  void tell_members(const Hold& hold, HoldEnd why, Now now);
  // A backend's part of a quiesce.
  void end_quiesce_of(EntryId id, HoldId hold, HoldEnd why, Now now);
  void end_quiesce_holds(BroadcastId id, Now now);
  // Those that wait for their last scan: their operators are answered.
  void end_waiting_holds(Now now);
  void tell_hold_ended(const Entry& entry, HoldId id, HoldEnd why) noexcept;
  void tell(Event::Kind kind, const Hold& hold, Now now, std::string_view detail = {});
  [[nodiscard]] HoldInfo info_of(const Hold& hold) const;

  // --- housekeeping
  // Of every user who has something in use or in the list of the dead, in ascending order.
  [[nodiscard]] std::vector<UserUsage> usage() const;
  void expire_dead(Now now) noexcept;
  void expire_reports(Now now) noexcept;
  void maybe_drained();
  [[nodiscard]] ControlError no_report(BroadcastId id) const;

  // --- events
  // An event that there is no memory for is not told: what it is about has happened all the same.
  void tell(Event::Kind kind, const Enrolment& who, Now now, std::string_view detail = {},
            bool was_refused = false);
  void tell(Event::Kind kind, const Broadcast& broadcast, Now now);
  void tell_refused(const Session& session, std::string_view reason, std::string_view why, Now now);
  void tell_shutting_down(Now now);
  void tell_outcome(Event::Kind kind, const Broadcast& broadcast, std::uint32_t target, Now now);

  Config config;
  Shell& shell;
  const std::shared_ptr<Accounts> ledger;  // shared with the control plane, which counts operators
  Accounts& accounts;
  Registry registry;
  Deadlines deadlines;
  BroadcastLog log;
  OperationKeys keys;
  Holds holds;
  std::optional<HoldInfo> ended_hold;  // one without a report, in Shell::hold_ended() alone
  RefusedProcesses refused;
  std::map<BackendKey, UnseenOfKey> unseen;  // by the keys that their processes gave
  Counters counters;
  std::vector<Session> sessions;  // by ConnectionId::slot
  Incarnation last_incarnation = 0;
  DeadlineId expire_dead_deadline;
  DeadlineId expire_reports_deadline;
  bool keys_are_shared = false;  // some key was ever, so that its "~PID" has to be looked for
  bool shutting_down = false;
  bool drained = false;
};

}  // namespace muster::core
