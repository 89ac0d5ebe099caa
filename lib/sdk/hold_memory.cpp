#include "sdk/hold_memory.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "muster/path.h"

namespace muster {
namespace {

bool is_at_or_below(const ActiveHold& hold, std::string_view path) {
  return (!hold.path_prefix.empty() && path_is_under(hold.path_prefix, path)) ||
         (!hold.alias.empty() && path_is_under(hold.alias, path));
}

}  // namespace

template <class Matches>
bool HoldMemory::any(Matches matches) const {
  if (!any_.load() || !is_here()) return false;
  const std::lock_guard lock(mutex_);
  return std::any_of(kept_.begin(), kept_.end(),
                     [&](const Kept& kept) { return kept.counts() && matches(kept.hold); });
}

bool HoldMemory::covers(std::string_view path) const {
  return any([path](const ActiveHold& hold) { return is_at_or_below(hold, path); });
}

bool HoldMemory::has_quiesce() const {
  return any([](const ActiveHold& hold) { return hold.path_prefix.empty() && hold.alias.empty(); });
}

HoldMemory::All::iterator HoldMemory::find(HoldId id) noexcept {
  return std::find_if(kept_.begin(), kept_.end(),
                      [id](const Kept& kept) { return kept.hold.id == id; });
}

HoldMemory::All::iterator HoldMemory::find(const Request::State& request) noexcept {
  return std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) {
    return kept.asked && kept.asked->ref.serial == request.ref.serial;
  });
}

void HoldMemory::asked(const RequestPtr& request) {
  ActiveHold hold = *hold_of(request->message);
  const std::lock_guard lock(mutex_);
  if (const auto known = find(hold.id); known != kept_.end()) {
    known->asked = request;
    return;
  }
  Kept added;
  added.hold = std::move(hold);
  added.asked = request;
  kept_.push_back(std::move(added));
  any_ = true;
}

void HoldMemory::acked(const Request::State& request) noexcept {
  if (kept_.empty()) return;
  const std::lock_guard lock(mutex_);
  const auto kept = find(request);
  if (kept == kept_.end()) return;
  kept->asked.reset();
  (kept->ended ? kept->owes_begin : kept->is_acked) = true;
}

void HoldMemory::dropped(const Request::State& request) noexcept {
  if (kept_.empty()) return;
  const std::lock_guard lock(mutex_);
  const auto kept = find(request);
  if (kept == kept_.end()) return;
  kept->asked.reset();
  forget_what_is_over();
}

void HoldMemory::listed(const std::vector<ActiveHold>& holds,
                        const std::function<bool(HoldId)>& is_known) {
  All added;
  for (const ActiveHold& hold : holds) {
    const bool is_listed_twice = std::any_of(
        added.begin(), added.end(), [&](const Kept& one) { return one.hold.id == hold.id; });
    if (is_listed_twice || is_known(hold.id) || find(hold.id) != kept_.end()) continue;
    Kept& one = added.emplace_back();
    one.hold = hold;
    one.is_listed = true;
  }
  const std::lock_guard lock(mutex_);
  kept_.reserve(kept_.size() + added.size());
  for (Kept& kept : kept_) {
    kept.is_listed = std::any_of(holds.begin(), holds.end(),
                                 [&](const ActiveHold& hold) { return hold.id == kept.hold.id; });
    if (!kept.is_listed) kept.is_acked = false;
    kept.ended = kept.is_listed ? std::nullopt : std::optional(HoldEnd::kUnseen);
  }
  std::move(added.begin(), added.end(), std::back_inserter(kept_));
  forget_what_is_over();
}

bool HoldMemory::ended(HoldId id, HoldEnd why) noexcept {
  const std::lock_guard lock(mutex_);
  const auto kept = find(id);
  if (kept == kept_.end()) return false;
  kept->is_acked = kept->is_listed = false;
  kept->ended = why;
  const bool will_be_told = kept->is_told;
  forget_what_is_over();
  return will_be_told;
}

void HoldMemory::clear() noexcept {
  const std::lock_guard lock(mutex_);
  kept_.clear();
  any_ = false;
}

std::optional<HoldMemory::ToTell> HoldMemory::next_to_tell() const {
  for (const Kept& kept : kept_) {
    if (kept.ends()) return HoldEnded{kept.hold.id, *kept.ended};
  }
  for (const Kept& kept : kept_) {
    if (kept.begins()) return HoldStarted{kept.hold};
  }
  return std::nullopt;
}

void HoldMemory::told(const ToTell& what) noexcept {
  const auto* started = std::get_if<HoldStarted>(&what);
  const std::lock_guard lock(mutex_);
  const auto kept = find(started != nullptr ? started->hold.id : std::get<HoldEnded>(what).hold_id);
  if (kept == kept_.end()) return;
  kept->is_told = started != nullptr;
  kept->owes_begin = false;
  forget_what_is_over();
}

void HoldMemory::forget_what_is_over() noexcept {
  std::erase_if(kept_, [](const Kept& kept) {
    return !kept.asked && !kept.goes_on() && !kept.is_told && !kept.owes_begin;
  });
  any_ = !kept_.empty();
}

}  // namespace muster
