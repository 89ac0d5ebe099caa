#include "core/registry.h"

#include <algorithm>

namespace muster::core {

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
  enrolment.order = is_new ? next_order_++ : entries_[id].enrolment->order;
  auto shared = std::make_shared<const Enrolment>(std::move(enrolment));
  if (is_new) {
    if (free_.empty()) {
      id = static_cast<EntryId>(entries_.size());
      entries_.emplace_back();
      place_.push_back(0);
    } else {
      id = free_.back();
      free_.pop_back();
    }
    // Whoever is found has an enrolment, even if one of the next two runs out of memory.
    entries_[id].enrolment = std::move(shared);
    place_[id] = static_cast<std::uint32_t>(order_.size());
    order_.push_back(id);
    by_key_.emplace(hash, id);
  } else {
    if (entries_[id].state == BackendState::kDead) forget_death(entries_[id]);
    entries_[id].enrolment = std::move(shared);
  }
  entries_[id].state = BackendState::kLive;
  entries_[id].cause = Cause::kNone;
  return id;
}

void Registry::remove(EntryId id) {
  auto& entry = entries_[id];
  if (entry.state == BackendState::kDead) forget_death(entry);
  const auto [begin, end] = by_key_.equal_range(BackendKeyHash{}(entry.enrolment->key()));
  by_key_.erase(std::find_if(begin, end, [&](const auto& one) { return one.second == id; }));
  order_[place_[id]] = kNone;
  ++removed_;
  entry = Entry{};
  free_.push_back(id);
  compact();
}

void Registry::mark_dead(EntryId id, Now now) {
  auto& entry = entries_[id];
  if (entry.state == BackendState::kDead) forget_death(entry);
  entry.state = BackendState::kDead;
  entry.since_unix_ms = now.unix_ms;
  entry.death = ++last_death_;
  auto& dead = dead_by_user_[entry.enrolment->peer.uid];
  ++dead.count;
  ++dead_;
  dead.deaths.push_back({id, entry.death, now.steady});
  // A backend that dies and comes back again and again leaves a record each time, behind one that
  // stays dead.
  if (dead.deaths.size() < 2 * dead.count + 64) return;
  std::erase_if(dead.deaths, [&](const Death& death) { return !is_current(death); });
}

void Registry::forget_death(const Entry& entry) {
  const auto user = dead_by_user_.find(entry.enrolment->peer.uid);
  if (user == dead_by_user_.end()) return;  // a registration that ran out of memory
  --dead_;
  if (--user->second.count == 0) dead_by_user_.erase(user);
}

bool Registry::is_current(const Death& death) const {
  const auto& entry = entries_[death.id];
  return entry.enrolment != nullptr && entry.state == BackendState::kDead &&
         entry.death == death.number;
}

const Registry::Death& Registry::longest(DeadOfUser& dead) const {
  while (!is_current(dead.deaths.front())) dead.deaths.pop_front();
  return dead.deaths.front();
}

void Registry::evict_dead(std::size_t max_dead) {
  while (dead_ > max_dead) {
    std::size_t most = 0;
    for (const auto& [uid, dead] : dead_by_user_) most = std::max(most, dead.count);
    const Death* victim = nullptr;
    for (auto& [uid, dead] : dead_by_user_) {
      if (dead.count != most) continue;
      const Death& candidate = longest(dead);
      if (victim == nullptr || candidate.number < victim->number) victim = &candidate;
    }
    remove(victim->id);
  }
}

SteadyTime Registry::expire_dead(SteadyTime before) {
  auto oldest = SteadyTime::max();
  for (auto user = dead_by_user_.begin(); user != dead_by_user_.end();) {
    auto& dead = (user++)->second;  // removing its last one removes the user
    for (auto left = dead.count; left > 0; --left) {
      const Death& death = longest(dead);
      if (death.when > before) {
        oldest = std::min(oldest, death.when);
        break;
      }
      remove(death.id);
    }
  }
  return oldest;
}

// Removing is O(1) by leaving a hole; half of the order may be holes.
void Registry::compact() {
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
            {}};
    for (const OpenOperation& open : entry.open) slot.open.push_back({open.id, open.target});
    if (entry.quiesced) slot.quiesced = *entry.quiesced;
  });
  for (const auto& [uid, dead] : dead_by_user_) {
    for (const Death& death : dead.deaths) {
      if (!is_current(death)) continue;
      saved.slots[death.id].death = death.number;
      saved.slots[death.id].died = death.when;
    }
  }
  return saved;
}

void Registry::restore(Saved saved, const std::function<Broadcast*(BroadcastId)>& broadcast_of) {
  for (Saved::Slot& slot : saved.slots) {
    auto& entry = entries_.emplace_back();
    entry.enrolment = std::move(slot.enrolment);
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
    entry.since_unix_ms = slot.since_unix_ms;
    if (slot.quiesced) entry.quiesced = std::make_unique<Quiesced>(*std::move(slot.quiesced));
  }
  place_.resize(entries_.size());
  order_ = std::move(saved.order);
  free_ = std::move(saved.free);
  last_death_ = saved.last_death;
  next_order_ = saved.next_order;
  std::vector<EntryId> dead;
  for (std::uint32_t place = 0; place < order_.size(); ++place) {
    const EntryId id = order_[place];
    place_[id] = place;
    by_key_.emplace(BackendKeyHash{}(entries_[id].enrolment->key()), id);
    if (entries_[id].state == BackendState::kDead) dead.push_back(id);
  }
  // Each user's in the order of dying.
  std::sort(dead.begin(), dead.end(),
            [&](EntryId a, EntryId b) { return entries_[a].death < entries_[b].death; });
  for (const EntryId id : dead) {
    auto& of_user = dead_by_user_[entries_[id].enrolment->peer.uid];
    of_user.deaths.push_back({id, entries_[id].death, saved.slots[id].died});
    ++of_user.count;
  }
  dead_ = dead.size();
}

}  // namespace muster::core
