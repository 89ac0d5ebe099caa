#include "soak/behaviour.h"

#include <array>
#include <string>

#include "simulator/rng.h"

namespace muster::soak {
namespace {

constexpr std::array<Kind, kSlots> kKinds = {Kind::kAwake,  Kind::kAwake, Kind::kAwake,
                                             Kind::kAwake,  Kind::kAwake, Kind::kAsleep,
                                             Kind::kAsleep, Kind::kPlain};
constexpr std::array<const char*, 3> kKindNames = {"awake", "asleep", "plain"};

std::uint64_t draw(std::uint64_t seed, std::uint64_t a, std::uint64_t b, std::uint64_t what) {
  simulator::Rng rng(seed ^ a * 0x9e3779b97f4a7c15U ^ b * 0xc2b2ae3d27d4eb4fU ^ what << 56U);
  return rng.next();
}

}  // namespace

std::uint32_t home_of(std::uint32_t key) { return key % kSlots; }
Kind kind_of_slot(std::uint32_t slot) { return kKinds[slot]; }
Kind kind_of(std::uint32_t key) { return kKinds[home_of(key)]; }
std::uint32_t group_of(std::uint32_t key) { return key % kGroups; }

std::chrono::milliseconds budget_of(std::uint32_t key) {
  if (kind_of(key) != Kind::kAsleep) return kHour;
  return std::chrono::milliseconds(1 + key % 50);
}

Registration registration_of(std::uint32_t key) {
  Registration registration;
  registration.key.service_name = "soak";
  registration.key.service_version = "1.0.0";
  registration.key.replica = std::to_string(key);
  registration.ack_timeout = budget_of(key);
  registration.labels["kind"] = kKindNames[static_cast<std::size_t>(kind_of(key))];
  registration.labels["group"] = std::to_string(group_of(key));
  registration.sdk_name = "muster-soak";
  registration.sdk_version = "1";
  return registration;
}

Reaction reaction_of(std::uint64_t seed, BroadcastId id, std::uint32_t key, bool alone) {
  const auto permille = draw(seed, id, key, 1) % 1000;
  // The same, alone or not, for those who fail: who says what must come of it does not ask more.
  if (permille < 150) return Reaction::kFail;
  if (alone && permille < 170) return Reaction::kVanish;
  if (alone && permille < 190) return Reaction::kGarbage;
  if (permille < 195) return Reaction::kReplace;
  if (permille < 250) return Reaction::kAckTwice;
  return permille < 300 ? Reaction::kWorkThenAck : Reaction::kAck;
}

BroadcastFailureReason reason_of(std::uint64_t seed, BroadcastId id, std::uint32_t key) {
  return static_cast<BroadcastFailureReason>(draw(seed, id, key, 2) % 3);
}

Afterthought afterthought_of(std::uint64_t seed, BroadcastId id, std::uint32_t key) {
  const auto percent = draw(seed, id, key, 3) % 100;
  if (percent < 50) return Afterthought::kNone;
  if (percent < 80) return Afterthought::kLateAck;
  return percent < 90 ? Afterthought::kLateFailure : Afterthought::kLateTwice;
}

}  // namespace muster::soak
