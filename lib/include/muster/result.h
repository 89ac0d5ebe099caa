// What became of a broadcast: every backend that was registered when it began, once.
//
// Pure values. Each list is in registration order.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "muster/backend_key.h"
#include "muster/operation.h"

namespace muster {

enum class BroadcastFailureReason : std::uint8_t {
  kUnsupportedOperation,  // the backend has no handler for the operation
  kRejected,              // the backend will not do it (or the operator cancelled)
  kBackendError,          // the backend failed, went away or was lost
};

struct BroadcastAck {
  BackendKey key;

  friend bool operator==(const BroadcastAck&, const BroadcastAck&) = default;
};

struct BroadcastTimeout {
  BackendKey key;
  std::chrono::milliseconds timeout{};  // what was in force for this backend

  friend bool operator==(const BroadcastTimeout&, const BroadcastTimeout&) = default;
};

struct BroadcastFailure {
  BackendKey key;
  BroadcastFailureReason reason = BroadcastFailureReason::kBackendError;

  friend bool operator==(const BroadcastFailure&, const BroadcastFailure&) = default;
};

struct BroadcastResult {
  BroadcastOperation operation;
  std::vector<BroadcastAck> acks;
  std::vector<BroadcastTimeout> timeouts;  // live, but late
  std::vector<BroadcastFailure> failures;  // live, but failed
  std::vector<BackendKey> skipped_dead;    // dead before the broadcast began

  explicit BroadcastResult(const BroadcastOperation& what) : operation(what) {}

  // How many live backends the operation was sent to.
  [[nodiscard]] std::size_t sent_count() const noexcept {
    return acks.size() + timeouts.size() + failures.size();
  }
  // True, too, when no backend was asked: look at sent_count() as well.
  [[nodiscard]] bool all_live_backends_acked() const noexcept {
    return timeouts.empty() && failures.empty();
  }

  friend bool operator==(const BroadcastResult&, const BroadcastResult&) = default;
};

[[nodiscard]] std::string_view to_string(BroadcastFailureReason reason) noexcept;
// One line for a person or a failed test: "release-handles /c: acked a 1.0.0; timed out b 1.0.0
// (5000 ms); failed c 1.0.0 (rejected); skipped dead d 1.0.0". Empty lists are left out.
[[nodiscard]] std::string to_string(const BroadcastResult& result);

}  // namespace muster
