// The oracle: what the broker must do, written down a second time from the design, with plain
// lists and without a look at the core. Where a rule of the design's table (section "A broadcast,
// case by case") is kept, it stands in words beside its check: "Rule: ...".
//
// It is told every event that the core is told, before the core, and says what must come of it: the
// messages to each connection, the events, the counters, every report, every deadline that must be
// armed. It decides each target's response; the BroadcastResult of a broadcast is then what
// LifecycleBroadcastModel makes of those responses.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "muster/control_error.h"

#include "core/broker.h"
#include "simulator/cases.h"
#include "simulator/oracle_backend.h"
#include "simulator/script.h"
#include "simulator/traffic.h"

namespace muster::simulator {

using core::Now;

class Oracle {
 public:
  using Backend = OracleBackend;
  // Key, user and process.
  using Listed = std::tuple<std::uint32_t, uid_t, pid_t, std::uint64_t>;
  struct Asked {
    std::uint32_t key = 0;
    std::uint64_t serial = 0;
    core::Peer peer;
    Incarnation incarnation = 0;
    milliseconds budget{};
    SteadyTime deadline;
    SteadyTime settled;
    OutcomeKind outcome = OutcomeKind::kOpen;
    BroadcastFailureReason reason = BroadcastFailureReason::kBackendError;
    Cause cause = Cause::kNone;
    std::string said;  // by the backend, of a failure
    std::string note;
    std::optional<std::uint32_t> percent;
    std::uint32_t extensions = 0;
    std::uint32_t redeliveries = 0;
    bool answered = false;
    bool sent = false;
    bool has_text = false;
  };
  struct Cast {
    BroadcastId id = 0;
    BroadcastOperation operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
    std::int64_t selection = 0;
    std::string operation_key;
    std::optional<Operator> by;
    std::optional<uid_t> charged;
    bool own = false;  // an idle quiesce
    bool backends_unknown = false;
    std::optional<milliseconds> deadline;
    SteadyTime started;
    std::uint64_t started_unix_ms = 0;
    SteadyTime ended;
    BroadcastState state = BroadcastState::kRunning;
    bool forgotten = false;    // its report is not kept any more
    std::vector<Asked> asked;  // in registration order, the dead ones, too
    std::vector<LateAnswer> late_acks;
    std::vector<LateAnswer> late_failures;
    std::size_t enrolment_bytes = 0;  // it is charged for, of what its backends registered with
    // Of a release that is verified.
    bool verify = false;
    milliseconds verify_wait{};
    std::uint64_t mount_namespace = 0;
    bool scanning = false;
    std::optional<SteadyTime> scan_at;  // when it is scanned again
    std::optional<Verification> verification;
    std::optional<HoldRequest> hold;
    std::optional<HoldState> hold_ended;
  };

  // A hold that goes on.
  struct Hold {
    HoldId id = 0;
    BroadcastOperation operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
    std::int64_t selection = 0;
    std::optional<Operator> by;
    std::optional<uid_t> charged;
    std::optional<milliseconds> ttl;
    bool verify = false;
    std::uint64_t mount_namespace = 0;
    HoldState state;
    // Connections of backends that believe in it: of a release who acked it or was told of it, of
    // a quiesce who was told of it and did not ack it.
    std::set<std::uint32_t> believers;
    using Name = std::tuple<pid_t, std::uint64_t, std::string>;
    std::set<Name> known;  // holders that are no news
    bool scanning = false;
    bool ending = false;  // after its last scan
    int last_scans = 0;
    std::optional<SteadyTime> expires_at;
    std::optional<SteadyTime> scan_at;
    std::optional<SteadyTime> owner_until;

    [[nodiscard]] bool is_of_quiesce() const { return operation.as_quiesce() != nullptr; }
  };

  // What an operator asks for, and when.
  struct Wish {
    std::int64_t operation = 0;
    std::optional<milliseconds> ack_timeout;
    std::int64_t selection = 0;
    std::int64_t key = 0;
    std::optional<Operator> by;
    std::optional<milliseconds> deadline;
    bool verify = false;
    milliseconds verify_wait{};
    std::uint64_t mount_namespace = 0;
    std::optional<HoldRequest> hold;
  };

  // A user's operation key.
  struct Key {
    uid_t uid = 0;
    std::string key;
    BroadcastId id = 0;
    BroadcastOperation operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
    std::int64_t selection = 0;
    bool verify = false;
    std::optional<HoldRequest> hold;
    std::uint64_t used_unix_ms = 0;
    SteadyTime used;
    bool restored = false;  // used before the broker restarted
  };

  // `first_id`: the first that this run of the broker may give. `cases` must outlive it.
  Oracle(const Knobs& knobs, BroadcastId first_id, Cases& cases)
      : cases_(cases), knobs_(knobs), first_id_(first_id) {}

  // --- at the start of a broker, what it kept from the run before
  void restore_keys(std::vector<Key> keys, Now now);
  void expect(std::uint32_t connection, const Backend& before, Now now);
  // After the backends: one of those that were on disk.
  void expect_hold(const Hold& before, Now now);

  // --- events, as core::Broker has them
  void opened(std::uint32_t connection, const core::Peer& peer, Now now);
  void registration(std::uint32_t connection, std::uint64_t request, const Form& form, Now now);
  void answer(std::uint32_t connection, BroadcastId id, const Failure* failure, Now now);
  void working(std::uint32_t connection, BroadcastId id, const Working& working, Now now);
  void activity(std::uint32_t connection, Now now);
  void deregister(std::uint32_t connection, std::uint64_t request, Now now);
  void garbage(std::uint32_t connection, std::uint64_t request, Now now);
  void lost(std::uint32_t connection, core::LossCause cause, Now now);
  // `inherited`: another process has the other end of the connection.
  void exited(std::uint32_t connection, bool inherited, Now now);
  // `next`: the id that the shell would give.
  std::variant<core::Started, ControlError::Code> start(BroadcastId next, Wish wish, Now now);
  std::variant<std::uint32_t, ControlError::Code> cancel(BroadcastId id, Now now);
  core::Resumed resume(BroadcastId id, std::int64_t selection, Now now);
  std::optional<ControlError::Code> forget(std::uint32_t key, Now now);
  bool forget_missed();
  bool forget_unseen(Now now);
  void shut_down(BroadcastId next, bool restart, Now now);
  void scanned(BroadcastId id, const HolderScan& scan, Now now);
  std::optional<ControlError::Code> end_hold(HoldId id, Now now);
  void hold_left(HoldId id, Now now);
  std::optional<ControlError::Code> keep_hold(HoldId id, uid_t uid, bool detach);

  // --- deadlines; each throws a Violation if there is no such deadline at that time
  void target_due(BroadcastId id, std::uint32_t key, SteadyTime at, Now now);
  void register_due(std::uint32_t connection, SteadyTime at);
  void grace_due(std::uint32_t key, SteadyTime at, Now now);
  void idle_due(BroadcastId next, std::uint32_t key, SteadyTime at, Now now);
  void expire_dead(Now now);
  void expire_reports(Now now);
  void verify_due(BroadcastId id, SteadyTime at);
  void hold_expires_due(HoldId id, SteadyTime at, Now now);
  void hold_scan_due(HoldId id, SteadyTime at);
  void hold_owner_due(HoldId id, SteadyTime at, Now now);

  // --- what must have come of the events since clear()
  void clear();
  std::vector<Sent> sent;
  std::vector<Told> told;
  std::vector<core::ScanOrder> scans;  // that were ordered
  // The holds that a connection was told of when it registered.
  std::vector<std::pair<std::uint32_t, std::vector<ActiveHold>>> holds_listed;
  std::vector<HoldId> holds_ended;  // whose waiters are answered
  bool drained = false;
  Counters counters;  // since the beginning
  bool watched = false;

  // --- what must be so
  [[nodiscard]] BroadcastReport report_of(const Cast& cast, SteadyTime now) const;
  [[nodiscard]] BackendOutcome outcome_of(const Cast& cast, const Asked& asked) const;
  [[nodiscard]] std::variant<const Cast*, ControlError::Code> find_report(BroadcastId id) const;
  [[nodiscard]] std::vector<BackendInfo> list(std::int64_t selection) const;
  [[nodiscard]] std::variant<DryRun, ControlError::Code> dry_run(std::int64_t operation,
                                                                 std::int64_t selection) const;
  // The holds that go on.
  [[nodiscard]] const std::map<HoldId, Hold>& holds() const noexcept { return holds_; }
  // One, that has ended, too, while its report is kept.
  [[nodiscard]] std::optional<HoldInfo> hold_info(HoldId id) const;
  // Whether it is on disk.
  [[nodiscard]] static bool is_recorded(const Hold& hold) { return hold.state.since_unix_ms != 0; }
  [[nodiscard]] static core::KeptHold recorded(const Hold& hold);
  // Counts up with what is on disk of holds.
  [[nodiscard]] std::uint64_t record_changes() const noexcept { return record_changes_; }
  // Of each user who has anything; what waits in queues is the shell's to know.
  [[nodiscard]] std::vector<UserUsage> usage() const;
  [[nodiscard]] std::size_t running() const;
  [[nodiscard]] std::size_t open_targets() const;
  [[nodiscard]] bool shutting_down() const noexcept { return shutting_down_; }
  // Whether some process may be in the way of those that are selected, and has no entry.
  [[nodiscard]] bool misses_somebody(std::int64_t selection = 0) const;
  // Whether somebody is lost who cannot be seen.
  [[nodiscard]] bool has_lost_unseen() const;
  [[nodiscard]] const std::vector<Backend>& backends() const noexcept { return backends_; }
  [[nodiscard]] const std::map<BroadcastId, Cast>& casts() const noexcept { return casts_; }
  [[nodiscard]] const Asked* asked(BroadcastId id, std::uint32_t key) const;
  // Reports, the broker's own among them.
  [[nodiscard]] std::size_t kept() const noexcept { return kept_.size() + own_kept_.size(); }
  [[nodiscard]] bool is_kept(BroadcastId id) const;
  // What stands on disk of them: the last use of each. One that is over by the steady clock holds
  // again after a restart, for an hour by the wall clock, where that was set back.
  [[nodiscard]] const std::vector<Key>& recorded_keys() const noexcept { return recorded_keys_; }
  struct Connection {
    bool registered = false;
    bool lost = false;
    bool half_closed = false;  // lost, and somebody still has the other end
    bool turned_away = false;  // before its key was known; its process is watched
    // Of it, how many connections were refused so: by a limit, and for what it said.
    std::int64_t by_limit = 0;
    std::int64_t by_message = 0;
    core::Peer peer;
    SteadyTime register_by;
    std::uint64_t serial = 0;  // of its backend
  };
  [[nodiscard]] const std::map<std::uint32_t, Connection>& connections() const noexcept {
    return connections_;
  }

 private:
  Connection* known(std::uint32_t connection);
  // The backend that speaks; null when nothing may come of it. Before Register it is refused.
  Backend* speaker(std::uint32_t connection);
  Backend* by_serial(std::uint64_t serial);
  Backend* by_key(std::uint32_t key);
  void send(std::uint32_t connection, Sent::Kind kind, std::uint64_t a = 0, std::uint64_t b = 0);
  void tell(Event::Kind kind, const Backend& who);
  void tell(Event::Kind kind, const Cast& cast, const Asked& asked);
  void tell(Event::Kind kind, const Cast& cast);
  // `watched_for`: the backend, by serial, whose process the connection is there to watch.
  void refuse(std::uint32_t connection, std::uint64_t request, RefusalCode code,
              std::uint64_t watched_for = 0);
  void turn_away_unknown(std::uint32_t connection, std::uint64_t request, RefusalCode code);
  void key_known(const core::Peer& peer, std::int64_t refused_before);
  void turn_away(std::uint32_t connection, std::uint64_t request, const Form& form,
                 RefusalCode code, Cause cause, Now now);
  Backend* refused_of(std::uint32_t own_key, const core::Peer& peer);
  void release(std::uint32_t connection);
  // One that cannot be seen, whose place that process takes; null: none.
  Backend* unseen_for(std::uint32_t own_key, const core::Peer& peer);
  // From now on the process is no newcomer with that key.
  // A process that registered or was refused, and has left.
  [[nodiscard]] std::optional<Listed> left_of_listed(std::uint32_t own_key, uid_t uid) const;
  // Whom a newcomer follows.
  [[nodiscard]] std::optional<Listed> who_follows(std::uint32_t own_key,
                                                  const core::Peer& peer) const;
  void note_listed(std::uint32_t own_key, const core::Peer& peer,
                   const std::optional<Listed>& follows);
  void drop_unseen(std::uint64_t serial, Cause why, Now now);
  void lose(Backend& backend, Cause why, Now now, bool is_half = false);
  void die(Backend& backend, Cause why, Now now);
  void fail_open(std::uint64_t serial, Cause why, Now now);
  void end_quiesce(Backend& backend, HoldEnd why = HoldEnd::kResumed);
  void quiesced(Backend& backend, const Cast& cast, Now now);
  void stray(const Backend& backend, BroadcastId id, const Failure* failure, Now now);
  void settle(Cast& cast, Asked& asked, OutcomeKind outcome, BroadcastFailureReason reason,
              Cause cause, Now now);
  void end_if_complete(Cast& cast, Now now);
  void finish(Cast& cast, Now now);
  void order_scan(BroadcastId id, const BroadcastOperation& operation,
                  std::uint64_t mount_namespace, const std::optional<Operator>& by);
  void verify(Cast& cast, Now now);
  void stop_verifying(Cast& cast, Now now);
  void end_verifying(Cast& cast, Now now);
  // An error when there may be no such hold.
  [[nodiscard]] std::optional<ControlError::Code> check_hold(const Wish& wish) const;
  std::optional<ControlError::Code> no_room_for_hold(const Wish& wish);
  void add_hold(const Cast& cast);
  void begin_hold(Cast& cast, Now now);
  void hold_acked(const Cast& cast, Backend& backend);
  // What is told to a backend that registers.
  void list_holds(const Backend& backend);
  void hold_scanned(Hold& hold, const HolderScan& scan, Now now);
  void note_violations(Hold& hold, const HolderScan& scan, Now now);
  void scan_hold(Hold& hold);
  void finish_hold(HoldId id, HoldEnd why, Now now);
  void end_quiesce_holds(BroadcastId id, Now now);
  // Ends a quiesce of a backend; true when it is told now or later.
  bool end_quiesce_of(Backend& backend, BroadcastId id, HoldEnd why);
  void tell(Event::Kind kind, const Hold& hold, std::string_view detail = {});
  [[nodiscard]] std::size_t text_bytes_of_holds() const;
  [[nodiscard]] bool is_pinned(BroadcastId id) const { return holds_.contains(id); }
  // As much time as a backend has that is asked now, without a deadline of the whole.
  [[nodiscard]] milliseconds budget_of(const Backend& backend,
                                       std::optional<milliseconds> ack_timeout) const;
  Cast& launch(Cast cast, std::optional<milliseconds> ack_timeout,
               std::optional<std::uint64_t> only, Now now);
  void cancel(Cast& cast, Now now);
  void trim_dead(Now now);
  using Reports = std::deque<BroadcastId>;
  // In bytes.
  [[nodiscard]] std::size_t size_of(const Cast& cast) const;
  [[nodiscard]] std::size_t report_bytes_of(uid_t uid) const;
  [[nodiscard]] std::size_t report_quota(uid_t uid) const;
  [[nodiscard]] std::size_t running_bytes_of(uid_t uid) const;
  [[nodiscard]] Reports reports_of(const Reports& kept, uid_t uid) const;
  void charge_enrolment(Cast& cast, Backend& backend);
  void drop_report(Reports& kept, BroadcastId id);
  const Cast* first_to_go(const Reports& reports);
  void trim_user(uid_t uid, Now now);
  template <class Measure>
  void trim_reports(Reports& kept, std::size_t most, Measure measure);
  [[nodiscard]] std::size_t most_running(std::optional<uid_t> uid) const;
  // What a user has, counted anew each time.
  [[nodiscard]] UserUsage usage_of(uid_t uid) const;
  static bool is_full(const Share& share) { return share.used >= share.quota; }

  Cases& cases_;
  Knobs knobs_;
  BroadcastId first_id_;  // of this run of the broker
  BroadcastId last_id_ = 0;
  std::vector<Backend> backends_;  // in registration order
  std::map<std::uint32_t, Connection> connections_;
  std::map<BroadcastId, Cast> casts_;
  Reports kept_;      // in the order in which they ended
  Reports own_kept_;  // those of idle quiesces
  // The report of each list that ended last, as long as it is kept.
  std::set<BroadcastId> latest_;
  std::map<HoldId, Hold> holds_;
  std::uint64_t record_changes_ = 0;
  std::vector<Key> keys_;
  std::vector<Key> recorded_keys_;
  std::set<uid_t> missed_;  // of whom a process was refused and is not listed
  // Who registered or was refused and listed: the own key, the user, the process.
  std::set<Listed> listed_;
  std::uint64_t last_serial_ = 0;
  std::uint64_t last_death_ = 0;
  Incarnation last_incarnation_ = 0;
  bool shutting_down_ = false;
  bool drained_ever_ = false;
};

}  // namespace muster::simulator
