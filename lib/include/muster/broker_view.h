// What an operator asks of a broker and what it shows. Pure values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "muster/holds.h"
#include "muster/report.h"
#include "muster/selector.h"

namespace muster {

struct BroadcastRequest {
  BroadcastOperation operation = BroadcastOperation::unknown();  // refused until it is chosen
  // For every backend; else what each declared, else the broker's default.
  std::optional<std::chrono::milliseconds> ack_timeout;
  // When the whole ends, whatever extensions were given.
  std::optional<std::chrono::milliseconds> deadline;
  Selection selection;        // empty: everybody
  std::string operation_key;  // a second request with the same key joins the first; empty: none
  std::string traceparent;    // W3C trace context, passed on to the backends
  std::string tracestate;
  // Of a release: when every outcome is in, the kernel is asked who still has files in use; again,
  // until nobody has or so much time is over.
  bool verify = false;
  std::chrono::milliseconds verify_wait{};
  std::uint64_t mount_namespace = 0;  // inode of the one that the path is meant in; 0: any
  std::optional<HoldRequest> hold;

  friend bool operator==(const BroadcastRequest&, const BroadcastRequest&) = default;
};

enum class BackendState {
  kLive,
  kReconnecting,  // its connection ended less than reconnect_grace ago
  kDead,          // its process has exited, and nobody has its connection
  // It is not connected, the grace passed, and its process runs or was not seen to exit; or its
  // process has exited and another has its connection.
  kLost,
};

// In what a newer broker answered: one that this version does not know.
inline constexpr BackendState kUnknownBackendState = static_cast<BackendState>(255);

// That a backend acked a quiesce, and may not take work until that ends.
struct QuiescedState {
  std::uint64_t since_unix_ms = 0;
  BroadcastId broadcast = 0;
  QuiesceReason reason = QuiesceReason::kMaintenance;
  std::optional<Operator> by;  // nothing: the broker itself

  friend bool operator==(const QuiescedState&, const QuiescedState&) = default;
};

struct BackendInfo {
  BackendKey key;
  BackendState state = BackendState::kLive;
  Incarnation incarnation = 0;
  pid_t pid = 0;  // 0: not visible to the broker (another pid namespace)
  uid_t uid = 0;
  Labels labels;
  std::optional<std::chrono::milliseconds> ack_timeout;   // as declared
  std::optional<std::chrono::milliseconds> idle_timeout;  // as declared
  std::string sdk_name;
  std::string sdk_version;
  std::uint64_t since_unix_ms = 0;    // of the state
  std::string gone_because;           // not live: `cause` in words
  std::uint32_t open_operations = 0;  // asked and not yet answered
  gid_t gid = 0;                      // its primary group, when it connected
  // Of its process, when it registered. A path that is no UTF-8 or has controls is escaped.
  std::string exe;                            // empty where it could not be read
  std::string exe_problem;                    // why it could not
  std::uint64_t process_started_unix_ms = 0;  // 0: not known
  Cause cause = Cause::kNone;                 // why it is not connected
  std::optional<QuiescedState> quiesced;
  bool can_resume = true;

  friend bool operator==(const BackendInfo&, const BackendInfo&) = default;
};

struct HoldInfo {
  HoldId id = 0;  // of its broadcast
  BroadcastOperation operation = BroadcastOperation::unknown();
  std::optional<Operator> asked_by;
  std::uint32_t acked = 0;  // backends that did, in time or late
  HoldState state;

  friend bool operator==(const HoldInfo&, const HoldInfo&) = default;
};

// Who a broadcast would ask.
struct DryRun {
  std::vector<BackendKey> would_ask;  // live or reconnecting
  std::vector<BackendKey> skipped_dead;
  // The broadcast that has the request's operation_key already: it would be joined, and nobody
  // asked.
  std::optional<BroadcastId> joins = std::nullopt;
  // Lost, or refused and running: each would have this outcome at once.
  std::vector<BackendOutcome> would_fail{};
  // Of would_ask: those that are not connected, and would be asked when they return.
  std::vector<BackendKey> reconnecting{};
  // See BroadcastReport; of the broadcast that would be joined, if there is one.
  bool backends_unknown = false;

  friend bool operator==(const DryRun&, const DryRun&) = default;
};

struct Counters {
  std::uint64_t connections_accepted = 0;
  std::uint64_t registrations = 0;
  std::uint64_t refusals = 0;
  std::uint64_t protocol_errors = 0;
  std::uint64_t broadcasts_started = 0;
  std::uint64_t broadcasts_finished = 0;
  std::uint64_t operations_sent = 0;
  std::uint64_t redeliveries = 0;
  std::uint64_t acks = 0;
  std::uint64_t timeouts = 0;
  std::uint64_t failures = 0;
  std::uint64_t skipped_dead = 0;
  std::uint64_t late_answers = 0;
  std::uint64_t duplicate_answers = 0;
  std::uint64_t unmatched_answers = 0;  // for a broadcast that the broker does not know (any more)
  std::uint64_t slow_readers = 0;
  // Connections, registrations and broadcasts that were refused and connections that were ended
  // because of their user's quota.
  std::uint64_t over_quota = 0;
  std::uint64_t task_failures = 0;  // tasks of the broker that failed and were started again

  friend bool operator==(const Counters&, const Counters&) = default;
};

struct Share {
  std::uint64_t used = 0;
  std::uint64_t quota = 0;

  friend bool operator==(const Share&, const Share&) = default;
};

// What one user has of the broker, and may have.
struct UserUsage {
  uid_t uid = 0;
  Share connections;    // of backends, registered or not
  Share registrations;  // live and reconnecting backends
  Share queued_bytes;   // what its backends do not read
  Share broadcasts;     // in flight, asked for by it
  std::uint64_t dead_backends = 0;
  Share operators{};     // connections of its operators
  Share followers{};     // requests of its operators that get events
  Share answer_bytes{};  // what its operators do not read
  Share report_bytes{};  // of the reports that are kept for it
  Share holds{};         // that go on

  friend bool operator==(const UserUsage&, const UserUsage&) = default;
};

// Open files of the broker: each backend costs one, and each process of backends another.
struct DescriptorUsage {
  std::uint64_t used = 0;
  std::uint64_t limit = 0;
  std::uint64_t reserve = 0;  // reserved for operators and the broker's own files
  // Used up to the reserve: backends that connect wait until there are some.
  bool exhausted = false;

  friend bool operator==(const DescriptorUsage&, const DescriptorUsage&) = default;
};

struct BrokerStatus {
  std::string version;
  pid_t pid = 0;
  std::uint64_t started_unix_ms = 0;
  bool shutting_down = false;
  std::string socket_dir;
  std::string transport;
  std::uint64_t connections = 0;
  std::uint64_t live_backends = 0;
  std::uint64_t dead_backends = 0;
  std::vector<BroadcastId> running_broadcasts;
  std::uint64_t reports_kept = 0;
  Counters counters;
  std::vector<UserUsage> users;  // in ascending order
  DescriptorUsage descriptors;
  std::chrono::milliseconds uptime{};  // by the steady clock
  std::uint64_t reconnecting_backends = 0;
  std::uint64_t lost_backends = 0;
  std::uint64_t quiesced_backends = 0;
  std::vector<std::string> problems;  // what the broker cannot do right now, a sentence each

  friend bool operator==(const BrokerStatus&, const BrokerStatus&) = default;
};

// Something that happened in the broker, for logs, `watch` and progress displays.
struct Event {
  enum class Kind {
    kBackendRegistered,
    kBackendReturned,      // the same process, a new incarnation
    kBackendReconnecting,  // its connection ended; its process lives
    kBackendDead,          // detail: why; see was_refused
    kBackendDeregistered,
    kPeerRefused,  // detail: the sentence it was given
    kBroadcastStarted,
    kOutcome,  // one backend's; backend_outcome is set
    kWorking,  // one backend asks for more time; backend_outcome is set
    kRedelivered,
    kLateAnswer,
    kDuplicateAnswer,
    kUnmatchedAnswer,
    kBroadcastFinished,
    kShuttingDown,
    kBackendLost,       // see BackendState::kLost
    kBackendResumed,    // its quiesce ended
    kBackendForgotten,  // an operator had it forgotten
    kVerifying,         // a broadcast's last outcome is in; the kernel is asked
    kHoldStarted,       // of broadcast_id
    kHoldEnded,         // detail: why
    kHoldViolated,      // detail: who has a file in use
    kEventsLost,        // the watcher read too slowly; detail says how many are missing
  };

  Kind kind = Kind::kBackendRegistered;
  std::uint64_t unix_ms = 0;
  BroadcastId broadcast_id = 0;   // 0 where none is meant
  std::optional<BackendKey> key;  // where a backend is meant
  pid_t pid = 0;
  uid_t uid = 0;
  std::string detail;
  std::optional<BackendOutcome> backend_outcome;  // kOutcome, kWorking
  // Of a broadcast: how many were asked, how many outcomes of each kind are in.
  std::uint32_t targets = 0;
  std::uint32_t acks = 0;
  std::uint32_t timeouts = 0;
  std::uint32_t failures = 0;
  std::uint32_t skipped_dead = 0;
  std::string
      operation;  // BroadcastOperation::to_string(), kBroadcastStarted and kBroadcastFinished
  // kBroadcastStarted, for who asked with its operation_key: it began before, nobody is asked
  // again.
  bool joined = false;
  std::optional<Operator> asked_by;  // of a broadcast; nothing: the broker itself
  // kBroadcastStarted, kBroadcastFinished: see BroadcastReport.
  bool backends_unknown = false;
  // kBackendDead: its process was refused, and never was a backend.
  bool was_refused = false;

  friend bool operator==(const Event&, const Event&) = default;
};

// In what a newer broker sent: one that this version does not know.
inline constexpr Event::Kind kUnknownEventKind = static_cast<Event::Kind>(255);

[[nodiscard]] std::string_view to_string(BackendState state) noexcept;
[[nodiscard]] std::string_view to_string(Event::Kind kind) noexcept;

}  // namespace muster
