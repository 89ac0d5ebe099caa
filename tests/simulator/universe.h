// What the numbers in a script stand for: keys, selections, operations, processes. Pure tables.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "muster/broker_view.h"
#include "muster/holders.h"

#include "core/access_policy.h"
#include "core/types.h"

namespace muster::simulator {

// A duration, where a script has one.
[[nodiscard]] inline std::optional<std::chrono::milliseconds> optional_ms(std::int64_t value) {
  return value < 0 ? std::nullopt : std::optional(std::chrono::milliseconds(value));
}

inline constexpr std::uint32_t kKeys = 8;
// 0 to kKeys - 1; and shared_key(), numbered_key(): the key as the broker lists it for a process
// that shares it, and for one of which nothing tells which process it is.
[[nodiscard]] const BackendKey& key_of(std::int64_t key);
// kKeys when it is none of them.
[[nodiscard]] std::uint32_t index_of(const BackendKey& key);
[[nodiscard]] std::uint32_t shared_key(std::uint32_t key, const core::ProcessId& process);
[[nodiscard]] std::uint32_t numbered_key(std::uint32_t key, std::uint64_t number);
// That stands for all processes of a user of which nothing tells which they are.
[[nodiscard]] std::uint32_t user_key(std::uint32_t key, uid_t uid);
// What the process itself called it.
[[nodiscard]] std::uint32_t own_key(std::uint32_t key);

// Selection 0 is everybody. `selected` says by hand what selection_of() means.
inline constexpr std::uint32_t kSelections = 8;
[[nodiscard]] const Selection& selection_of(std::int64_t selection);
[[nodiscard]] bool selected(std::int64_t selection, std::uint32_t key, bool hot);

// What an operator asks for, and what it is once accepted; nothing when it must be refused.
struct OperationChoice {
  BroadcastOperation asked;
  std::optional<BroadcastOperation> accepted;
};
inline constexpr std::uint32_t kOperations = 13;
inline constexpr std::uint32_t kGoodOperations = 5;  // the first of them
inline constexpr std::uint32_t kMaintenance = 4;     // a quiesce
inline constexpr std::uint32_t kLongPath = 8;        // few holds have room for it
// Of a release, of the same spelled in another way, of a quiesce, and one that must be refused.
inline constexpr std::uint32_t kFirstPreflight = 9;
inline constexpr std::uint32_t kPreflights = 4;
[[nodiscard]] const OperationChoice& operation_of(std::int64_t operation);

// Who may hold something: the first bits of `who` say which of them do, kPossibly of which that is
// not certain, and kCrowd that many more do.
inline constexpr std::uint32_t kHolders = 6;
inline constexpr std::int64_t kPossibly = 1 << kHolders;  // that many times the same bits
inline constexpr std::int64_t kCrowd = kPossibly << kHolders;
inline constexpr std::uint32_t kCrowdSize = 66;  // more than a hold tells of
[[nodiscard]] std::vector<Holder> holders_of(std::int64_t who);

// 0: none; the last one is too long.
inline constexpr std::uint32_t kOperationKeys = 4;
[[nodiscard]] const std::string& operation_key_of(std::int64_t key);

inline constexpr gid_t kGuests = 60;  // a supplementary group of the third user

// The three who exist; the third is root.
inline constexpr std::uint32_t kUsers = 3;
// Two users that are not the one who runs this (whom the core favours), and root.
inline constexpr uid_t kFirstUid = 54'000;
[[nodiscard]] uid_t uid_of(std::int64_t user);

// Policy 0 is none at all. may_connect() and may_register() say by hand what policy_of() means.
inline constexpr std::uint32_t kPolicies = 4;
[[nodiscard]] core::AccessPolicyPtr policy_of(std::int64_t policy);
[[nodiscard]] bool may_connect(std::int64_t policy, uid_t uid);
[[nodiscard]] bool may_register(std::int64_t policy, uid_t uid, std::uint32_t key);
// One key at least.
[[nodiscard]] bool may_register_something(std::int64_t policy, uid_t uid);

// Whether a process of that user, in whatever groups it is, might register one that is selected.
[[nodiscard]] bool might_register(std::int64_t policy, uid_t uid, std::int64_t selection);

// Every fourth process is of the second user, every eighth of the third, and pids are used twice.
// Every eleventh cannot be seen (pid 0); of those every other one is known by its pidfd, and
// nothing tells the rest apart. Whoever `exited` before the broker looked is known by its pid
// alone, if its parent was quick.
[[nodiscard]] std::vector<gid_t> groups_of(std::int64_t process);
[[nodiscard]] core::Peer peer_of(std::int64_t process, bool exited = false);

}  // namespace muster::simulator
