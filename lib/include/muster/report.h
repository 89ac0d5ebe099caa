// Everything that is known of a broadcast, around its BroadcastResult. Pure values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "muster/registration.h"
#include "muster/result.h"

namespace muster {

enum class OutcomeKind {
  kOpen,  // asked, no outcome yet: only in the report of a broadcast that still runs
  kAck,
  kTimeout,
  kFailure,
  kSkippedDead,
};

// What became of one backend in one broadcast.
struct BackendOutcome {
  BackendKey key;
  Incarnation incarnation = 0;  // the one that the outcome is of
  pid_t pid = 0;
  uid_t uid = 0;
  OutcomeKind outcome = OutcomeKind::kOpen;
  std::optional<BroadcastFailureReason> reason;  // of a failure
  std::string detail;                            // of a failure: why, in words
  std::chrono::milliseconds ack_timeout{};       // the budget that it was asked with
  std::chrono::microseconds latency{};           // from the start to the outcome
  std::string note;                              // its last Working note
  std::optional<std::uint32_t> percent;          // its last Working percent
  std::uint32_t extensions = 0;                  // Working messages that moved its deadline
  std::uint32_t redeliveries = 0;                // sent again to a new incarnation

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

enum class BroadcastState { kRunning, kFinished, kCancelled };

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

  explicit BroadcastReport(BroadcastOperation operation) : result(std::move(operation)) {}

  friend bool operator==(const BroadcastReport&, const BroadcastReport&) = default;
};

[[nodiscard]] std::string_view to_string(OutcomeKind kind) noexcept;
[[nodiscard]] std::string_view to_string(BroadcastState state) noexcept;

}  // namespace muster
