#include "core/registry.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/quota.h"
#include "core/report_bytes.h"

namespace muster::core {
namespace {

// Reserves room for `size` elements; at least doubles the capacity, as push_back() does.
template <class Vector>
void grow(Vector& list, std::size_t size) {
  if (list.capacity() < size) list.reserve(std::max(size, 2 * list.capacity()));
}

// What a backend may register with is a small part of what fits.
std::uint16_t units_of(const Enrolment& enrolment) noexcept {
  constexpr std::size_t kMost = std::numeric_limits<std::uint16_t>::max();
  return static_cast<std::uint16_t>(std::min(bytes_of(enrolment) / Entry::kEnrolmentUnit, kMost));
}

}  // namespace

EntryId Registry::find(const BackendKey& key) const { return find(key, BackendKeyHash{}(key)); }

EntryId Registry::find(const BackendKey& key, std::size_t hash) const {
  const auto [begin, end] = by_key_.equal_range(hash);
  const auto found = std::find_if(begin, end, [&](const auto& candidate) {
    return entries_[candidate.second].enrolment->key() == key;
  });
  return found == end ? kNone : found->second;
}

EntryId Registry::put(Enrolment enrolment) {
  const std::size_t hash = BackendKeyHash{}(enrolment.key());
  EntryId id = find(enrolment.key(), hash);
  const bool is_new = id == kNone;
  const uid_t uid = enrolment.peer.uid;
  enrolment.order = is_new ? next_order_ : entries_[id].enrolment->order;
  auto shared = std::make_shared<const Enrolment>(std::move(enrolment));
  if (is_new && free_.empty()) {
    grow(free_, entries_.size() + 1);
    grow(place_, entries_.size() + 1);
    entries_.emplace_back();
    place_.push_back(0);
    free_.push_back(static_cast<EntryId>(entries_.size() - 1));
  }
  if (is_new) grow(order_, order_.size() + 1);
  const auto user = users_.try_emplace(uid).first;
  try {
    if (is_new) by_key_.emplace(hash, free_.back());
  } catch (...) {
    if (user->second.entries == 0) users_.erase(user);
    throw;
  }
  // Nothing below allocates.
  ++user->second.entries;
  if (is_new) {
    id = free_.back();
    free_.pop_back();
    ++next_order_;
    place_[id] = static_cast<std::uint32_t>(order_.size());
    order_.push_back(id);
  } else {
    if (entries_[id].state == BackendState::kDead) forget_death(entries_[id]);
    leave(entries_[id].enrolment->peer.uid);
  }
  entries_[id].enrolment_units = units_of(*shared);
  entries_[id].charged_to = 0;
  entries_[id].enrolment = std::move(shared);
  entries_[id].state = BackendState::kLive;
  entries_[id].cause = Cause::kNone;
  return id;
}

void Registry::remove(EntryId id) noexcept {
  auto& entry = entries_[id];
  if (entry.state == BackendState::kDead) forget_death(entry);
  leave(entry.enrolment->peer.uid);
  const auto [begin, end] = by_key_.equal_range(BackendKeyHash{}(entry.enrolment->key()));
  by_key_.erase(std::find_if(begin, end, [&](const auto& one) { return one.second == id; }));
  order_[place_[id]] = kNone;
  ++removed_;
  entry = Entry{};
  free_.push_back(id);
  compact();
}

void Registry::leave(uid_t uid) noexcept {
  const auto user = users_.find(uid);
  if (--user->second.entries == 0) users_.erase(user);
}

void Registry::mark_dead(EntryId id, Now now) noexcept {
  auto& entry = entries_[id];
  if (entry.state == BackendState::kDead) forget_death(entry);
  entry.state = BackendState::kDead;
  entry.since_unix_ms = now.unix_ms;
  entry.death = ++last_death_;
  entry.died = now.steady;
  add_death(id);
}

void Registry::add_death(EntryId id) noexcept {
  auto& entry = entries_[id];
  User& user = users_.find(entry.enrolment->peer.uid)->second;
  entry.died_before = std::exchange(user.last_dead, id);
  entry.died_after = kNone;
  (entry.died_before == kNone ? user.longest_dead : entries_[entry.died_before].died_after) = id;
  ++user.dead;
  ++dead_;
}

void Registry::forget_death(Entry& entry) noexcept {
  User& user = users_.find(entry.enrolment->peer.uid)->second;
  const EntryId before = std::exchange(entry.died_before, kNone);
  const EntryId after = std::exchange(entry.died_after, kNone);
  (before == kNone ? user.longest_dead : entries_[before].died_after) = after;
  (after == kNone ? user.last_dead : entries_[after].died_before) = before;
  --user.dead;
  --dead_;
}

void Registry::evict_dead(std::size_t max_dead) noexcept {
  while (dead_ > max_dead) {
    const User* has_most = nullptr;
    const User* last_resort = nullptr;
    for (const auto& [uid, user] : users_) {
      if (user.dead == 0) continue;
      const User*& most = is_reserved(uid, user.dead, max_dead) ? last_resort : has_most;
      if (most == nullptr || user.dead > most->dead ||
          (user.dead == most->dead &&
           entries_[user.longest_dead].death < entries_[most->longest_dead].death)) {
        most = &user;
      }
    }
    remove((has_most == nullptr ? last_resort : has_most)->longest_dead);
  }
}

SteadyTime Registry::expire_dead(SteadyTime before) noexcept {
  auto oldest = SteadyTime::max();
  for (auto next = users_.begin(); next != users_.end();) {
    const User& user = (next++)->second;  // removing its last entry removes the user
    for (auto left = user.dead; left > 0; --left) {
      const EntryId longest = user.longest_dead;
      if (entries_[longest].died > before) {
        oldest = std::min(oldest, entries_[longest].died);
        break;
      }
      remove(longest);
    }
  }
  return oldest;
}

// Removing is O(1) by leaving a hole; half of the order may be holes.
void Registry::compact() noexcept {
  if (removed_ < 64 || removed_ * 2 < order_.size()) return;
  std::size_t kept = 0;
  for (const EntryId id : order_) {
    if (id == kNone) continue;
    place_[id] = static_cast<std::uint32_t>(kept);
    order_[kept++] = id;
  }
  order_.resize(kept);
  removed_ = 0;
}

Registry::Saved Registry::save() const {
  Saved saved;
  saved.free = free_;
  saved.last_death = last_death_;
  saved.next_order = next_order_;
  saved.slots.resize(entries_.size());
  for_each([&](EntryId id, const Entry& entry) {
    saved.order.push_back(id);
    auto& slot = saved.slots[id];
    slot = {entry.enrolment,
            entry.state,
            entry.cause,
            entry.connection,
            {},
            entry.idle,
            entry.grace,
            entry.last_activity,
            0,
            {},
            entry.since_unix_ms,
            {},
            entry.charged_to};
    for (const OpenOperation& open : entry.open) slot.open.push_back({open.id, open.target});
    slot.quiesced = entry.quiesced;
    if (entry.state != BackendState::kDead) return;
    slot.death = entry.death;
    slot.died = entry.died;
  });
  return saved;
}

void Registry::restore(Saved saved, const std::function<Broadcast*(BroadcastId)>& broadcast_of) {
  for (Saved::Slot& slot : saved.slots) {
    auto& entry = entries_.emplace_back();
    entry.enrolment = std::move(slot.enrolment);
    if (entry.enrolment != nullptr) entry.enrolment_units = units_of(*entry.enrolment);
    entry.charged_to = slot.charged_to;
    entry.state = slot.state;
    entry.cause = slot.cause;
    entry.connection = slot.connection;
    for (const Saved::Open& open : slot.open) {
      entry.open.push_back({open.broadcast, broadcast_of(open.broadcast), open.target});
    }
    entry.idle = slot.idle;
    entry.grace = slot.grace;
    entry.last_activity = slot.last_activity;
    entry.death = slot.death;
    entry.died = slot.died;
    entry.since_unix_ms = slot.since_unix_ms;
    entry.quiesced = std::move(slot.quiesced);
  }
  place_.resize(entries_.size());
  order_ = std::move(saved.order);
  free_ = std::move(saved.free);
  grow(free_, entries_.size());
  last_death_ = saved.last_death;
  next_order_ = saved.next_order;
  std::vector<EntryId> dead;
  for (std::uint32_t place = 0; place < order_.size(); ++place) {
    const EntryId id = order_[place];
    place_[id] = place;
    by_key_.emplace(BackendKeyHash{}(entries_[id].enrolment->key()), id);
    ++users_[entries_[id].enrolment->peer.uid].entries;
    if (entries_[id].state == BackendState::kDead) dead.push_back(id);
  }
  // Each user's in the order of dying.
  std::sort(dead.begin(), dead.end(),
            [&](EntryId a, EntryId b) { return entries_[a].death < entries_[b].death; });
  for (const EntryId id : dead) add_death(id);
}

}  // namespace muster::core
