// Everything that is known of a broadcast, around its BroadcastResult. Pure values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "muster/holds.h"
#include "muster/registration.h"
#include "muster/result.h"

namespace muster {

enum class OutcomeKind : std::uint8_t {
  kOpen,  // asked, no outcome yet: only in the report of a broadcast that still runs
  kAck,
  kTimeout,
  kFailure,
  kSkippedDead,
};

// Who a statement comes from.
enum class SaidBy : std::uint8_t { kBroker, kBackend, kKernel };

// Why an outcome is what it is, or why a backend is not connected. Texts are made from it; no text
// is ever compared to find it.
enum class Cause : std::uint8_t {
  kNone,        // no outcome yet; connected
  kAnswer,      // the backend answered
  kAckTimeout,  // no answer within the time it had
  kDeadline,    // no answer when the deadline of the whole broadcast passed
  kCancelled,   // an operator cancelled the broadcast
  kProcessExited,
  kClosed,         // its connection ended
  kSlowReader,     // the broker ended its connection: it did not read
  kUserQuota,      // the same, over its user's quota of queued bytes
  kProtocolError,  // the broker ended its connection
  kDeregistered,
  kBrokerRestarted,  // registered with the broker before it restarted, and not back
  kForgotten,        // an operator had the broker forget it
  kBrokerError,      // the broker could not ask it (no memory)
  kInherited,        // its process has exited, and another process has its connection
  // Its process wanted to register and was refused: it runs, and is not asked.
  kRefusedQuota,  // its user had as many backends as its quota allows
  kRefusedKey,    // another user's process had its key
  // It registered with a broker in another pid or time namespace: its process cannot be seen.
  kUnseen,
};
[[nodiscard]] constexpr bool is_refusal(Cause cause) noexcept {
  return cause == Cause::kRefusedQuota || cause == Cause::kRefusedKey;
}
[[nodiscard]] constexpr SaidBy said_by(Cause cause) noexcept {
  switch (cause) {
    case Cause::kAnswer:
    case Cause::kDeregistered:
      return SaidBy::kBackend;
    case Cause::kProcessExited:
    case Cause::kClosed:
    case Cause::kInherited:
      return SaidBy::kKernel;
    default:
      return SaidBy::kBroker;
  }
}

// The operator: the process that asked for something, as the kernel reports it.
struct Operator {
  uid_t uid = 0;
  pid_t pid = 0;
  std::string command;  // of its process, printable; empty where it could not be read

  friend bool operator==(const Operator&, const Operator&) = default;
};

// In what a newer broker answered: a kind that this version does not know. Not an ack.
inline constexpr OutcomeKind kUnknownOutcome = static_cast<OutcomeKind>(255);

// The outcome of one backend in one broadcast, without its name and its texts. A broker keeps one
// for each backend of each report: the largest members stand first, so that there are no gaps.
struct OutcomeRow {
  std::optional<std::uint64_t> released;    // of an ack: how many handles were released
  std::chrono::milliseconds ack_timeout{};  // the budget that it was asked with
  std::chrono::microseconds latency{};      // from the start to the outcome
  std::uint32_t extensions = 0;             // Working messages that moved its deadline
  std::uint32_t redeliveries = 0;           // sent again to a new incarnation
  OutcomeKind outcome = OutcomeKind::kOpen;
  SaidBy said_by = SaidBy::kBroker;
  Cause cause = Cause::kNone;
  std::optional<BroadcastFailureReason> reason;  // of a failure

  friend bool operator==(const OutcomeRow&, const OutcomeRow&) = default;
};

// What became of one backend in one broadcast: its row, its name and its texts.
struct BackendOutcome : OutcomeRow {
  BackendKey key;
  Incarnation incarnation = 0;  // the one that the outcome is of
  pid_t pid = 0;
  uid_t uid = 0;
  std::string detail;                    // of a failure: why, in words
  std::string note;                      // its last Working note
  std::optional<std::uint32_t> percent;  // its last Working percent

  friend bool operator==(const BackendOutcome&, const BackendOutcome&) = default;
};

// An answer that came after the backend's outcome was a timeout. It changes nothing.
struct LateAnswer {
  BackendKey key;
  std::chrono::microseconds lateness{};          // after the deadline
  std::optional<BroadcastFailureReason> reason;  // of a late failure
  std::string detail;

  friend bool operator==(const LateAnswer&, const LateAnswer&) = default;
};

enum class BroadcastState {
  kRunning,
  kFinished,
  kCancelled,
  kVerifying,  // every outcome is in; the kernel is asked who still has files in use
};
[[nodiscard]] constexpr bool is_over(BroadcastState state) noexcept {
  return state == BroadcastState::kFinished || state == BroadcastState::kCancelled;
}

struct BroadcastReport {
  BroadcastId broadcast_id = 0;
  BroadcastState state = BroadcastState::kRunning;
  // While the broadcast runs it lists only the outcomes that are in.
  BroadcastResult result;
  std::vector<BackendOutcome> backends;   // all, in registration order
  std::vector<LateAnswer> late_acks;      // acks that came too late, in order of arrival
  std::vector<LateAnswer> late_failures;  // failures that came too late
  std::uint64_t started_unix_ms = 0;
  std::chrono::microseconds duration{};  // until the last outcome; so far, while it runs
  std::string operation_key;             // as the operator gave it
  std::optional<Operator> asked_by;      // nothing: the broker itself
  std::optional<std::chrono::milliseconds> deadline;  // of the whole, as it was asked for
  bool id_not_durable = false;  // the disk failed: a crash could give the id out again
  // Backends may be missing here, and have files open: the broker could not read its roster, or not
  // watch all who stand in it, or it refused processes that it does not list. Never a yes.
  bool backends_unknown = false;
  bool verify = false;  // it was asked for: without a verification it was cut short
  std::optional<Verification> verification;
  std::optional<HoldState> hold;  // of hold `broadcast_id`
  // From the history: the broker stopped, or could not record more, before it ended. What is here
  // was known by then. Never a yes.
  bool interrupted = false;

  explicit BroadcastReport(const BroadcastOperation& operation) : result(operation) {}

  friend bool operator==(const BroadcastReport&, const BroadcastReport&) = default;
};

[[nodiscard]] std::string_view to_string(OutcomeKind kind) noexcept;
[[nodiscard]] std::string_view to_string(BroadcastState state) noexcept;
[[nodiscard]] std::string_view to_string(SaidBy who) noexcept;
// "process exited", "connection closed", ...
[[nodiscard]] std::string_view to_string(Cause cause) noexcept;
// Why process `pid` (0: not visible) has not acked, where the broker or the kernel says so:
// "disconnected; process 17 is still running". Empty for what the outcome itself says.
[[nodiscard]] std::string explain(Cause cause, pid_t pid);

}  // namespace muster
