#include "core/broadcast_log.h"

#include <algorithm>

namespace muster::core {
namespace {

auto position(auto& all, BroadcastId id) {
  return std::lower_bound(all.begin(), all.end(), id,
                          [](const auto& broadcast, BroadcastId i) { return broadcast->id < i; });
}

std::size_t weight(const Broadcast& broadcast) {
  return broadcast.targets.size() + broadcast.skipped.size();
}

// Empties it and keeps the room of its vectors.
void recycle(Broadcast& broadcast) {
  auto targets = std::move(broadcast.targets);
  auto skipped = std::move(broadcast.skipped);
  targets.clear();
  skipped.clear();
  broadcast = Broadcast{};
  broadcast.targets = std::move(targets);
  broadcast.skipped = std::move(skipped);
}

}  // namespace

std::unique_ptr<Broadcast> BroadcastLog::make(BroadcastId id) {
  std::unique_ptr<Broadcast> made;
  if (spare_.empty()) {
    made = std::make_unique<Broadcast>();
  } else {
    made = std::move(spare_.back());
    spare_.pop_back();
  }
  made->id = id;
  return made;
}

Broadcast& BroadcastLog::add(std::unique_ptr<Broadcast> broadcast) {
  all_.push_back(std::move(broadcast));
  Broadcast& added = *all_.back();
  if (first_id_ == 0) first_id_ = added.id;
  last_id_ = added.id;
  running_own_ += added.own ? 1 : 0;
  return added;
}

const Broadcast* BroadcastLog::find(BroadcastId id) const noexcept {
  const auto found = position(all_, id);
  return found != all_.end() && (*found)->id == id ? found->get() : nullptr;
}

Broadcast* BroadcastLog::find(BroadcastId id) noexcept {
  return const_cast<Broadcast*>(std::as_const(*this).find(id));
}

const Broadcast* BroadcastLog::newest() const noexcept {
  const auto found = std::find_if(all_.rbegin(), all_.rend(),
                                  [](const auto& broadcast) { return !broadcast->own; });
  return found == all_.rend() ? nullptr : found->get();
}

Broadcast* BroadcastLog::oldest_running() noexcept {
  const auto found = std::find_if(all_.begin(), all_.end(),
                                  [](const auto& broadcast) { return !broadcast->complete(); });
  return found == all_.end() ? nullptr : found->get();
}

void BroadcastLog::finished(Broadcast& broadcast) noexcept {
  Kept& list = broadcast.own ? own_ : kept_;
  running_own_ -= broadcast.own ? 1 : 0;
  broadcast.next_kept = nullptr;
  (list.newest == nullptr ? list.oldest : list.newest->next_kept) = &broadcast;
  list.newest = &broadcast;
  ++list.count;
  list.targets += weight(broadcast);
}

void BroadcastLog::trim(std::size_t max_reports, std::size_t max_targets,
                        SteadyTime before) noexcept {
  trim(kept_, max_reports, max_targets, before);
  trim(own_, kMaxOwnReports, max_targets, before);
}

void BroadcastLog::trim(Kept& list, std::size_t max_reports, std::size_t max_targets,
                        SteadyTime before) noexcept {
  while (list.oldest != nullptr) {
    // The newest report stays whatever its size: an operator is about to read it.
    const bool over = list.count > max_reports || (list.targets > max_targets && list.count > 1);
    if (!over && list.oldest->ended > before) return;
    const auto oldest = position(all_, list.oldest->id);
    list.targets -= weight(**oldest);
    --list.count;
    list.oldest = (*oldest)->next_kept;
    if (list.oldest == nullptr) list.newest = nullptr;
    auto gone = std::move(*oldest);
    all_.erase(oldest);
    if (spare_.size() < kMaxSpare) {
      recycle(*gone);
      spare_.push_back(std::move(gone));
    }
  }
}

SteadyTime BroadcastLog::oldest_end() const noexcept {
  auto end = SteadyTime::max();
  for (const Kept* list : {&kept_, &own_}) {
    if (list->oldest != nullptr) end = std::min(end, list->oldest->ended);
  }
  return end;
}

BroadcastLog::Saved BroadcastLog::save() const {
  Saved saved;
  saved.first_id = first_id_;
  saved.last_id = last_id_;
  for (const auto& broadcast : all_) {
    saved.all.push_back(*broadcast);
    saved.all.back().next_kept = nullptr;
  }
  for (const Kept* list : {&kept_, &own_}) {
    for (const Broadcast* one = list->oldest; one != nullptr; one = one->next_kept) {
      saved.kept_by_end.push_back(one->id);
    }
  }
  return saved;
}

void BroadcastLog::restore(Saved saved) {
  for (Broadcast& broadcast : saved.all) {
    add(std::make_unique<Broadcast>(std::move(broadcast)));
  }
  for (const BroadcastId id : saved.kept_by_end) finished(*find(id));
  first_id_ = saved.first_id;
  last_id_ = saved.last_id;
}

}  // namespace muster::core
