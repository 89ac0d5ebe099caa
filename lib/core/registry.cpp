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

}  // namespace muster::core
