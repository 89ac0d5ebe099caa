// How long one backend has for its answer, by default.
#pragma once

#include <chrono>

namespace muster {

// Time allowed for one backend to acknowledge a lifecycle broadcast.
inline constexpr std::chrono::milliseconds kDefaultBroadcastAckTimeout{5000};
// A zero timeout is raised to this: a deadline that had already passed would ask no backend.
inline constexpr std::chrono::milliseconds kMinBroadcastAckTimeout{1};

struct BroadcastPolicy {
  std::chrono::milliseconds ack_timeout = kDefaultBroadcastAckTimeout;

  BroadcastPolicy() = default;
  explicit BroadcastPolicy(std::chrono::milliseconds timeout)
      : ack_timeout(timeout < kMinBroadcastAckTimeout ? kMinBroadcastAckTimeout : timeout) {}

  friend bool operator==(const BroadcastPolicy&, const BroadcastPolicy&) = default;
};

}  // namespace muster
