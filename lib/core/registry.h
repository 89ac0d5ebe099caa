// The registered backends in registration order, and those that died.
//
// A key has one entry. Registering it again replaces the entry's registration in its place in the
// order. An entry's number (EntryId) stays while the entry does; its `order` is never used again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "muster/broker_view.h"
#include "muster/registration.h"

#include "core/quiesces.h"
#include "core/stable_vector.h"
#include "core/types.h"

namespace muster::core {

struct Broadcast;

// What stays true of one incarnation of a backend. Shared with the reports that name it.
struct Enrolment {
  Registration registration;
  Peer peer;
  Incarnation incarnation = 0;
  std::uint64_t order = 0;  // of its entry: the place in registration order

  [[nodiscard]] const BackendKey& key() const noexcept { return registration.key; }
};
using EnrolmentPtr = std::shared_ptr<const Enrolment>;

// A target that an entry still owes an answer.
struct OpenOperation {
  BroadcastId id = 0;
  Broadcast* broadcast = nullptr;
  std::uint32_t target = 0;  // index in the broadcast
};

using EntryId = std::uint32_t;
inline constexpr EntryId kNoEntry = ~EntryId{0};

struct Entry {
  EnrolmentPtr enrolment;  // null: the slot is free
  BackendState state = BackendState::kDead;
  Cause cause = Cause::kNone;         // of one that is not live
  std::uint16_t enrolment_units = 0;  // its enrolment's bytes, in kEnrolmentUnit
  // Live: its socket. Reconnecting and lost: a closed one, by which its process is watched.
  ConnectionId connection;
  std::vector<OpenOperation> open;  // in the order in which they were accepted
  DeadlineId idle;                  // live and with an idle timeout
  DeadlineId grace;                 // reconnecting
  SteadyTime last_activity;
  std::uint64_t death = 0;  // counts up over all entries: two may die at the same time
  SteadyTime died;
  EntryId died_before = kNoEntry;  // its neighbours in the list of its user's dead
  EntryId died_after = kNoEntry;
  std::uint64_t since_unix_ms = 0;  // of the state
  Quiesces quiesced;
  BroadcastId charged_to = 0;  // whose report is charged for its enrolment; 0: none yet

  // It registered, and is not dead.
  [[nodiscard]] bool is_registered() const noexcept {
    return state != BackendState::kDead && !is_refused();
  }
  [[nodiscard]] bool is_refused() const noexcept {
    return state == BackendState::kLost && is_refusal(cause);
  }

  static constexpr std::size_t kEnrolmentUnit = 16;
  [[nodiscard]] std::size_t enrolment_bytes() const noexcept {
    return enrolment_units * kEnrolmentUnit;
  }
};

class Registry {
 public:
  // Entries by number; a number that find() or add() gave is good until remove().
  [[nodiscard]] Entry& at(EntryId id) { return entries_[id]; }
  [[nodiscard]] const Entry& at(EntryId id) const { return entries_[id]; }
  // kNone when no backend has the key.
  [[nodiscard]] EntryId find(const BackendKey& key) const;
  static constexpr EntryId kNone = kNoEntry;

  // A new entry at the end of the order, or the one that the key has. The enrolment's `order` is
  // filled in. Strong: when it throws nothing has changed. It is the only one that allocates.
  EntryId put(Enrolment enrolment);
  void remove(EntryId id) noexcept;

  void mark_dead(EntryId id, Now now) noexcept;
  // Removes dead entries until at most `max_dead` are left. Each time the user with the most dead
  // entries loses its oldest one, so that no user pushes out those of another. Root and the
  // broker's own user lose theirs last, as long as they have at most a quarter of `max_dead`.
  void evict_dead(std::size_t max_dead) noexcept;
  // Removes those that died before `before`. The time at which the oldest of the rest died, or
  // SteadyTime::max().
  SteadyTime expire_dead(SteadyTime before) noexcept;

  // Calls visit(EntryId, Entry&) in registration order. REQUIRES: visit adds and removes nothing.
  template <class Visit>
  void for_each(Visit&& visit) {
    for (const EntryId id : order_) {
      if (id != kNone) visit(id, entries_[id]);
    }
  }
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const EntryId id : order_) {
      if (id != kNone) visit(id, entries_[id]);
    }
  }
  // Calls visit(uid_t, std::size_t) for each user with dead entries, in no order.
  template <class Visit>
  void for_each_with_dead(Visit&& visit) const {
    for (const auto& [uid, user] : users_) {
      if (user.dead != 0) visit(uid, user.dead);
    }
  }
  // As values, with the ids of broadcasts for their addresses.
  struct Saved {
    struct Open {
      BroadcastId broadcast = 0;
      std::uint32_t target = 0;

      friend bool operator==(const Open&, const Open&) = default;
    };
    struct Slot {
      EnrolmentPtr enrolment;  // null: the slot is free
      BackendState state = BackendState::kDead;
      Cause cause = Cause::kNone;
      ConnectionId connection;
      std::vector<Open> open;
      DeadlineId idle;
      DeadlineId grace;
      SteadyTime last_activity;
      std::uint64_t death = 0;
      SteadyTime died;
      std::uint64_t since_unix_ms = 0;
      Quiesces quiesced;
      BroadcastId charged_to = 0;

      friend bool operator==(const Slot&, const Slot&) = default;
    };
    std::vector<Slot> slots;
    std::vector<EntryId> free;   // the last is used next
    std::vector<EntryId> order;  // of registration
    std::uint64_t last_death = 0;
    std::uint64_t next_order = 1;

    friend bool operator==(const Saved&, const Saved&) = default;
  };
  [[nodiscard]] Saved save() const;
  // Into one that is empty. `broadcast_of` gives the address of a running broadcast.
  void restore(Saved saved, const std::function<Broadcast*(BroadcastId)>& broadcast_of);

  // Every EntryId is below it; those whose enrolment is null are free.
  [[nodiscard]] std::size_t slots() const noexcept { return entries_.size(); }
  // At least as many as are registered, dead ones included.
  [[nodiscard]] std::size_t size_hint() const noexcept { return order_.size(); }

 private:
  // Of every user with an entry. Its dead are linked in the order of dying.
  struct User {
    std::size_t entries = 0;
    std::size_t dead = 0;
    EntryId longest_dead = kNone;
    EntryId last_dead = kNone;
  };

  [[nodiscard]] EntryId find(const BackendKey& key, std::size_t hash) const;
  void compact() noexcept;
  // It is the last of its user's who died.
  void add_death(EntryId id) noexcept;
  // The entry is not dead any more, or about to go.
  void forget_death(Entry& entry) noexcept;
  void leave(uid_t uid) noexcept;

  StableVector<Entry> entries_;  // growing must not move 10,000 entries
  std::vector<EntryId> free_;
  std::vector<EntryId> order_;        // kNone where one was removed
  std::vector<std::uint32_t> place_;  // EntryId -> index in order_
  std::size_t removed_ = 0;           // kNones in order_
  // By the hash of the key, which is computed once; the key itself stands in the enrolment.
  std::unordered_multimap<std::size_t, EntryId> by_key_;
  std::unordered_map<uid_t, User> users_;
  std::size_t dead_ = 0;
  std::uint64_t last_death_ = 0;
  std::uint64_t next_order_ = 1;
};

}  // namespace muster::core
