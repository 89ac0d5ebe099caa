#include "core/broadcast_log.h"

#include <algorithm>

#include "core/report_bytes.h"

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
  const uid_t uid = broadcast->charged.value_or(kBroker);
  const auto [user, is_new] = users_.try_emplace(uid);
  try {
    if (is_new) user->second.quota = quotas_.of(uid).report_bytes;
    all_.push_back(std::move(broadcast));
  } catch (...) {
    if (is_new) users_.erase(user);
    throw;
  }
  ++user->second.broadcasts;
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
                                  [](const auto& broadcast) { return !is_over(broadcast->state); });
  return found == all_.end() ? nullptr : found->get();
}

BroadcastLog::User& BroadcastLog::user_of(const Broadcast& broadcast) noexcept {
  return users_.find(broadcast.charged.value_or(kBroker))->second;
}

void BroadcastLog::resize(Broadcast& report, std::size_t bytes) noexcept {
  for (Size* size : {&user_of(report).kept[list_of(report)].size, &total_[list_of(report)]}) {
    size->bytes += bytes;
    size->bytes -= report.bytes;
  }
  report.bytes = bytes;
}

void BroadcastLog::charge_enrolments(Broadcast& broadcast, BroadcastId before,
                                     std::size_t bytes) noexcept {
  broadcast.enrolment_bytes += bytes;
  Broadcast* const report = before == 0 ? nullptr : find(before);
  if (report == nullptr || !is_over(report->state) || report->charged != broadcast.charged ||
      report->own != broadcast.own) {
    return;
  }
  report->enrolment_bytes -= bytes;
  resize(*report, report->bytes - bytes);
}

void BroadcastLog::finished(Broadcast& broadcast) noexcept {
  const List list = list_of(broadcast);
  Kept& kept = user_of(broadcast).kept[list];
  running_own_ -= broadcast.own ? 1 : 0;
  broadcast.next_kept = nullptr;
  (kept.newest == nullptr ? kept.oldest : kept.newest->next_kept) = &broadcast;
  kept.newest = &broadcast;
  for (Size* size : {&kept.size, &total_[list]}) {
    ++size->reports;
    size->targets += weight(broadcast);
  }
  latest_[list] = &broadcast;
  broadcast.give_back_room();
  broadcast.bytes = 0;
  resize(broadcast, bytes_of(broadcast));
}

void BroadcastLog::has_grown(Broadcast& report, std::size_t bytes) noexcept {
  resize(report, report.bytes + bytes);
}

Broadcast* BroadcastLog::first_to_go(const Kept& kept) noexcept {
  Broadcast* first = kept.oldest;
  while (first != nullptr && first->is_held) first = first->next_kept;
  return first;
}

void BroadcastLog::drop_first(User& user, List list) noexcept {
  Kept& kept = user.kept[list];
  Broadcast* before = nullptr;
  Broadcast** link = &kept.oldest;
  for (; (*link)->is_held; link = &before->next_kept) before = *link;
  const auto place = position(all_, (*link)->id);
  Broadcast& first = **place;
  resize(first, 0);
  for (Size* size : {&kept.size, &total_[list]}) {
    --size->reports;
    size->targets -= weight(first);
  }
  *link = first.next_kept;
  if (*link == nullptr) kept.newest = before;
  if (latest_[list] == &first) latest_[list] = nullptr;
  --user.broadcasts;
  auto gone = std::move(*place);
  all_.erase(place);
  if (spare_.size() < kMaxSpare) {
    recycle(*gone);
    spare_.push_back(std::move(gone));
  }
}

BroadcastLog::Users::iterator BroadcastLog::who_loses(List list, std::size_t Size::*measure,
                                                      std::size_t most) noexcept {
  const auto has_more = [&](const Kept& one, const Kept& other) {
    if (one.size.*measure != other.size.*measure) {
      return one.size.*measure > other.size.*measure;
    }
    const Broadcast& first = *first_to_go(one);
    const Broadcast& others = *first_to_go(other);
    return std::pair(first.ended, first.id) < std::pair(others.ended, others.id);
  };
  auto loses = users_.end();
  auto last_resort = users_.end();
  for (auto user = users_.begin(); user != users_.end(); ++user) {
    const Kept& kept = user->second.kept[list];
    const Broadcast* const first = first_to_go(kept);
    if (first == nullptr || first == latest_[list]) continue;
    const bool stays = user->first == kBroker || is_reserved(user->first, kept.size.*measure, most);
    auto& found = stays ? last_resort : loses;
    if (found == users_.end() || has_more(kept, found->second.kept[list])) found = user;
  }
  return loses == users_.end() ? last_resort : loses;
}

void BroadcastLog::trim_to(List list, std::size_t Size::*measure, std::size_t most) noexcept {
  while (total_[list].*measure > most) {
    const auto user = who_loses(list, measure, most);
    if (user == users_.end()) return;
    drop_first(user->second, list);
    if (user->second.broadcasts == 0) users_.erase(user);
  }
}

// The broker's own first.
void BroadcastLog::trim(User& user, SteadyTime before) noexcept {
  for (const List list : {kOwn, kAsked}) {
    const Kept& kept = user.kept[list];
    while (const Broadcast* const first = first_to_go(kept)) {
      const bool is_over = user.bytes() > user.quota && first != kept.newest;
      if (!is_over && first->ended > before) break;
      drop_first(user, list);
    }
  }
}

void BroadcastLog::trim(const Bounds& bounds) noexcept {
  for (auto user = users_.begin(); user != users_.end();) {
    trim(user->second, bounds.before);
    user = user->second.broadcasts == 0 ? users_.erase(user) : std::next(user);
  }
  trim_to(kAsked, &Size::reports, bounds.reports);
  trim_to(kOwn, &Size::reports, kMaxOwnReports);
  for (const List list : {kAsked, kOwn}) {
    trim_to(list, &Size::targets, bounds.targets);
    trim_to(list, &Size::bytes, bounds.bytes);
  }
}

SteadyTime BroadcastLog::oldest_end() const noexcept {
  auto end = SteadyTime::max();
  for (const auto& [uid, user] : users_) {
    for (const Kept& kept : user.kept) {
      if (const Broadcast* const first = first_to_go(kept)) end = std::min(end, first->ended);
    }
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
  for (const auto& [uid, user] : users_) {
    for (const Kept& kept : user.kept) {
      for (const Broadcast* one = kept.oldest; one != nullptr; one = one->next_kept) {
        saved.kept_by_end.push_back(one->id);
      }
    }
  }
  for (const Broadcast* latest : latest_) {
    saved.latest.push_back(latest == nullptr ? 0 : latest->id);
  }
  return saved;
}

void BroadcastLog::restore(Saved saved) {
  for (Broadcast& broadcast : saved.all) {
    add(std::make_unique<Broadcast>(std::move(broadcast)));
  }
  for (const BroadcastId id : saved.kept_by_end) finished(*find(id));
  for (std::size_t list = 0; list < saved.latest.size(); ++list) {
    latest_[list] = find(saved.latest[list]);
  }
  first_id_ = saved.first_id;
  last_id_ = saved.last_id;
}

}  // namespace muster::core
