// What the broker let be known: messages to connections, and events. The simulation writes down
// what came, the oracle what should have come, and both lists must be equal.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "muster/broker_view.h"

namespace muster::simulator {

struct Sent {
  enum class Kind : std::uint8_t {
    kOperation,     // a: broadcast, b: budget in ms
    kCancel,        // a: broadcast
    kRegistered,    // a: request, b: incarnation
    kDeregistered,  // a: request
    kRefused,       // a: request, b: see refusal()
    kResumed,       // a: hold
    kHoldEnded,     // a: hold, b: why, when it is not resumed
    kHangUp,
    kRelease,
  };
  std::uint32_t connection = 0;
  Kind kind = Kind::kHangUp;
  std::uint64_t a = 0;
  std::uint64_t b = 0;

  [[nodiscard]] static std::uint64_t refusal(RefusalCode code, bool answers_a_request) {
    return static_cast<std::uint64_t>(code) * 2 + (answers_a_request ? 1 : 0);
  }
  friend bool operator==(const Sent&, const Sent&) = default;
};

struct Told {
  Event::Kind kind = Event::Kind::kShuttingDown;
  BroadcastId broadcast = 0;
  std::uint32_t key = 0;  // kKeys: none
  pid_t pid = 0;
  uid_t uid = 0;
  // Of an outcome: which; of a broadcast that starts or finishes: counts(); of a backend that is
  // not connected: words() of the reason.
  std::uint64_t more = 0;

  [[nodiscard]] static std::uint64_t counts(std::uint64_t acks, std::uint64_t timeouts,
                                            std::uint64_t failures, std::uint64_t skipped) {
    return acks | timeouts << 8U | failures << 16U | skipped << 24U;
  }
  [[nodiscard]] static std::uint64_t words(std::string_view text);
  friend auto operator<=>(const Told&, const Told&) = default;
};

// Brings both into an order that does not depend on the broker's: by connection, each in order of
// sending; events in any order.
void sort(std::vector<Sent>& sent);
void sort(std::vector<Told>& told);

[[nodiscard]] std::string_view to_string(Sent::Kind kind);
[[nodiscard]] std::string to_string(const std::vector<Sent>& sent);
[[nodiscard]] std::string to_string(const std::vector<Told>& told);
[[nodiscard]] std::string to_string(const Counters& counters);
void add(Counters& sum, const Counters& more);

}  // namespace muster::simulator
