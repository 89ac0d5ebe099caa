// How much time a request has left when it arrives. Pure.
//
// The budget counts from the receipt by the steady clock. The broker's deadline, by the wall clock,
// says less where the request came late: it was sent again after a reconnect, or lay in the socket
// while this process did not run. A wall clock that was set between must neither drop a fresh
// request nor run a dead one, so the deadline is believed only as far as it is possible.
#pragma once

#include <chrono>
#include <cstdint>

#include "muster/registration.h"

namespace muster {

class RequestClock {
 public:
  using Steady = std::chrono::steady_clock::time_point;

  // All that the broker had sent before is read. Called at each message and registration.
  void heard(Steady now, std::uint64_t now_unix_ms);

  // Not above zero: its time is over. Before heard() for the same message.
  [[nodiscard]] std::chrono::milliseconds left(const OutgoingOperation& operation, Steady now,
                                               std::uint64_t now_unix_ms) const;

 private:
  Steady heard_at_;
  std::int64_t wall_minus_steady_ms_ = 0;  // then
};

}  // namespace muster
