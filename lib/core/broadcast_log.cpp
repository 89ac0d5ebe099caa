#include "core/broadcast_log.h"

#include <algorithm>

namespace muster::core {
namespace {

constexpr std::size_t kMaxSpare = 4;

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
  auto frames = std::move(broadcast.frames);
  targets.clear();
  skipped.clear();
  frames.clear();
  broadcast = Broadcast{};
  broadcast.targets = std::move(targets);
  broadcast.skipped = std::move(skipped);
  broadcast.frames = std::move(frames);
}

}  // namespace

Broadcast& BroadcastLog::add(BroadcastId id) {
  std::unique_ptr<Broadcast> added;
  if (spare_.empty()) {
    added = std::make_unique<Broadcast>();
  } else {
    added = std::move(spare_.back());
    spare_.pop_back();
  }
  added->id = id;
  if (first_id_ == 0) first_id_ = id;
  last_id_ = id;
  all_.push_back(std::move(added));
  return *all_.back();
}

const Broadcast* BroadcastLog::find(BroadcastId id) const noexcept {
  const auto found = position(all_, id);
  return found != all_.end() && (*found)->id == id ? found->get() : nullptr;
}

Broadcast* BroadcastLog::find(BroadcastId id) noexcept {
  return const_cast<Broadcast*>(std::as_const(*this).find(id));
}

const Broadcast* BroadcastLog::find_key(std::string_view operation_key) const noexcept {
  const auto found = std::find_if(all_.rbegin(), all_.rend(), [&](const auto& broadcast) {
    return broadcast->request.operation_key == operation_key;
  });
  return found == all_.rend() ? nullptr : found->get();
}

const Broadcast* BroadcastLog::newest() const noexcept {
  return all_.empty() ? nullptr : all_.back().get();
}

void BroadcastLog::finished(Broadcast& broadcast) {
  kept_.push_back(broadcast.id);
  kept_targets_ += weight(broadcast);
}

void BroadcastLog::trim(std::size_t max_reports, std::size_t max_targets, SteadyTime before) {
  while (!kept_.empty()) {
    const auto oldest = position(all_, kept_.front());
    // The newest report stays whatever its size: somebody is about to read it.
    const bool over =
        kept_.size() > max_reports || (kept_targets_ > max_targets && kept_.size() > 1);
    if (!over && (*oldest)->ended > before) return;
    kept_targets_ -= weight(**oldest);
    kept_.pop_front();
    auto gone = std::move(*oldest);
    all_.erase(oldest);
    if (spare_.size() < kMaxSpare) {
      recycle(*gone);
      spare_.push_back(std::move(gone));
    }
  }
}

SteadyTime BroadcastLog::oldest_end() const noexcept {
  return kept_.empty() ? SteadyTime::max() : find(kept_.front())->ended;
}

}  // namespace muster::core
