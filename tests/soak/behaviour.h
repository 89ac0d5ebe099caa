// What each backend of the soak is, and what it does with each broadcast. Pure functions of the
// seed: whoever plays a backend and whoever says what the result must be ask the same, and the
// broker is between them.
//
// Every behaviour has one outcome, whatever the timing: who answers has an hour, who does not has
// milliseconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "muster/registration.h"

namespace muster::soak {

// Keys are numbers; each has its home in one slot, a process that holds connections.
inline constexpr std::uint32_t kSlots = 8;
inline constexpr std::uint32_t kKeysEach = 30;
inline constexpr std::uint32_t kKeys = kSlots * kKeysEach;
inline constexpr std::uint32_t kGroups = 5;

inline constexpr std::chrono::milliseconds kHour = std::chrono::hours(1);

enum class Kind : std::uint8_t {
  kAwake,   // answers, with an hour for it
  kAsleep,  // never answers in time
  kPlain,   // acks, or reads nothing
};

[[nodiscard]] std::uint32_t home_of(std::uint32_t key);
[[nodiscard]] Kind kind_of_slot(std::uint32_t slot);
[[nodiscard]] Kind kind_of(std::uint32_t key);
[[nodiscard]] std::uint32_t group_of(std::uint32_t key);
[[nodiscard]] std::chrono::milliseconds budget_of(std::uint32_t key);
[[nodiscard]] Registration registration_of(std::uint32_t key);

// What one that is awake does with a broadcast.
enum class Reaction : std::uint8_t {
  kAck,
  kAckTwice,
  kWorkThenAck,
  kFail,
  // Its connection ends, it comes back on another and acks what it is asked again.
  kReplace,  // the second connection comes first
  kVanish,   // closed without a word
  kGarbage,  // says what is no frame
};
// `alone`: no other broadcast begins meanwhile. Else one would skip who is away for a moment, or
// not, as it happens; so nobody is.
[[nodiscard]] Reaction reaction_of(std::uint64_t seed, BroadcastId id, std::uint32_t key,
                                   bool alone);
inline constexpr std::string_view kAlone = "/soak/alone";  // what such a broadcast releases
[[nodiscard]] BroadcastFailureReason reason_of(std::uint64_t seed, BroadcastId id,
                                               std::uint32_t key);

// What one that is asleep says when it hears that nobody waits any more.
enum class Afterthought : std::uint8_t { kNone, kLateAck, kLateFailure, kLateTwice };
[[nodiscard]] Afterthought afterthought_of(std::uint64_t seed, BroadcastId id, std::uint32_t key);

}  // namespace muster::soak
