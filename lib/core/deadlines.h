// The meaning of each armed deadline. The shell knows only its number.
//
// An event for a deadline that was cancelled, or that passed while its cancellation was on its way,
// has a number that is not in use any more, and is ignored.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/broadcast_log.h"
#include "core/registry.h"
#include "core/slot_table.h"
#include "core/types.h"

namespace muster::core {

struct Deadline {
  enum class Kind : std::uint8_t {
    kFree,
    kTarget,        // a backend's time to answer: broadcast, index is the target
    kRegister,      // a connection's time to register: connection
    kGrace,         // a backend's time to reconnect: index is the entry
    kIdle,          // a backend's idle timeout: index is the entry
    kExpireDead,    // the oldest dead entry
    kExpireReport,  // the oldest report
    kVerify,        // a verification's next scan: broadcast
    kHoldExpires,   // a hold's time: hold
    kHoldScan,      // its next scan: hold
    kHoldOwner,     // the time in which its operator may come back: hold
  };
  Kind kind = Kind::kFree;
  std::uint32_t index = 0;
  Broadcast* broadcast = nullptr;
  ConnectionId connection;
  HoldId hold = 0;
  SteadyTime at;
};

class Deadlines {
 public:
  [[nodiscard]] DeadlineId add(const Deadline& what) { return table_.insert(what); }
  // Null when the id is not in use (any more).
  [[nodiscard]] const Deadline* find(DeadlineId id) const noexcept { return table_.find(id); }
  void remove(DeadlineId id) noexcept { table_.erase(id); }
  [[nodiscard]] std::size_t in_use() const noexcept { return table_.size(); }

  // As values, with the id of a broadcast for its address.
  struct Saved {
    struct Slot {
      Deadline::Kind kind = Deadline::Kind::kFree;
      std::uint32_t index = 0;
      std::uint32_t generation = 0;
      BroadcastId broadcast = 0;
      ConnectionId connection;
      HoldId hold = 0;
      SteadyTime at;

      friend bool operator==(const Slot&, const Slot&) = default;
    };
    std::vector<Slot> slots;
    std::vector<std::uint32_t> free;  // the last is used next

    friend bool operator==(const Saved&, const Saved&) = default;
  };
  [[nodiscard]] Saved save() const;
  // `log` has the broadcasts of what is saved. Calls armed(DeadlineId, SteadyTime) for each.
  void restore(const Saved& saved, BroadcastLog& log,
               const std::function<void(DeadlineId, SteadyTime)>& armed);

 private:
  SlotTable<DeadlineId, Deadline, std::vector> table_;
};

}  // namespace muster::core
