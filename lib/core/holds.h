// The holds that go on. No clock, no shell.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "muster/broker_view.h"
#include "muster/holds.h"

#include "core/registry.h"
#include "core/types.h"

namespace muster::core {

// Who held something when a hold began, or was told of since.
struct HolderName {
  pid_t pid = 0;              // 0: the kernel
  std::uint64_t started = 0;  // tells processes with one pid apart
  std::string object;         // of the kernel

  // Who has a file open that nobody was found to have.
  static constexpr const char* kNotFound = "a holder that was not found";

  [[nodiscard]] static HolderName of(const Holder& holder) {
    return {holder.pid, holder.started, holder.pid == 0 ? holder.object : std::string()};
  }
  friend bool operator==(const HolderName&, const HolderName&) = default;
};

// A connection of a backend that has to hear of the end.
struct HoldMember {
  EntryId entry = kNoEntry;
  Incarnation incarnation = 0;

  friend auto operator<=>(const HoldMember&, const HoldMember&) = default;
};

struct Hold {
  HoldId id = 0;
  BroadcastOperation operation = BroadcastOperation::unknown();
  Selection selection;
  std::optional<Operator> asked_by;
  std::optional<uid_t> charged;  // in whose account it counts
  std::optional<std::chrono::milliseconds> ttl;
  bool verify = false;
  std::uint64_t mount_namespace = 0;

  HoldState state;
  std::uint32_t acked = 0;  // backends
  std::vector<HoldMember> members;
  std::vector<HolderName> known;  // no violations (any more)
  bool is_of_all = false;         // there was no memory for the list: everybody is told
  bool is_scanning = false;
  bool is_ending = false;        // after its last scan
  std::uint32_t last_tries = 0;  // of the last scan
  DeadlineId expires;
  DeadlineId next_scan;
  DeadlineId owner;  // armed while its operator may come back

  // Of what it is told as to each backend that registers.
  [[nodiscard]] std::size_t text_bytes() const noexcept;

  friend bool operator==(const Hold&, const Hold&) = default;
};

class Holds {
 public:
  // What a Registered has room for, of paths and what stands beside each.
  static constexpr std::size_t kMostTextBytes = 32 * 1024;

  // REQUIRES: its id is not in use. Strong.
  Hold& add(Hold hold) {
    text_bytes_ += hold.text_bytes();
    const HoldId id = hold.id;
    return by_id_.emplace(id, std::move(hold)).first->second;
  }
  // Null when there is none (any more).
  [[nodiscard]] Hold* find(HoldId id) noexcept {
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const Hold* find(HoldId id) const noexcept {
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : &found->second;
  }
  // REQUIRES: it is there.
  Hold take(HoldId id) noexcept {
    const auto found = by_id_.find(id);
    Hold taken = std::move(found->second);
    by_id_.erase(found);
    text_bytes_ -= taken.text_bytes();
    return taken;
  }
  [[nodiscard]] bool empty() const noexcept { return by_id_.empty(); }
  [[nodiscard]] const std::map<HoldId, Hold>& all() const noexcept { return by_id_; }
  [[nodiscard]] std::map<HoldId, Hold>& all() noexcept { return by_id_; }
  [[nodiscard]] std::size_t text_bytes() const noexcept { return text_bytes_; }

  friend bool operator==(const Holds&, const Holds&) = default;

 private:
  std::map<HoldId, Hold> by_id_;
  std::size_t text_bytes_ = 0;
};

}  // namespace muster::core
