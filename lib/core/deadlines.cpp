#include "core/deadlines.h"

namespace muster::core {

DeadlineId Deadlines::add(Deadline what) {
  if (free_.empty()) {
    // So that remove() never allocates, and nothing is lost when this does not get what it asks
    // for.
    if (free_.capacity() <= slots_.size()) free_.reserve(2 * slots_.size() + 1);
    slots_.emplace_back();
    free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
  }
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  // 0 means "no deadline", also after 2^32 uses of a slot.
  std::uint32_t generation = slots_[slot].generation + 1;
  if (generation == 0) generation = 1;
  what.generation = generation;
  slots_[slot] = what;
  return {slot, generation};
}

const Deadline* Deadlines::find(DeadlineId id) const noexcept {
  if (!id.armed() || id.slot >= slots_.size()) return nullptr;
  const auto& deadline = slots_[id.slot];
  if (deadline.kind == Deadline::Kind::kFree || deadline.generation != id.generation) {
    return nullptr;
  }
  return &deadline;
}

void Deadlines::remove(DeadlineId id) noexcept {
  if (find(id) == nullptr) return;
  slots_[id.slot].kind = Deadline::Kind::kFree;
  slots_[id.slot].broadcast = nullptr;
  free_.push_back(id.slot);
}

Deadlines::Saved Deadlines::save() const {
  Saved saved;
  saved.free = free_;
  for (const Deadline& one : slots_) {
    if (one.kind == Deadline::Kind::kFree) {
      saved.slots.push_back({one.kind, 0, one.generation, 0, {}, {}});
      continue;
    }
    saved.slots.push_back({one.kind, one.index, one.generation,
                           one.broadcast == nullptr ? 0 : one.broadcast->id, one.connection,
                           one.at});
  }
  return saved;
}

void Deadlines::restore(const Saved& saved, BroadcastLog& log,
                        const std::function<void(DeadlineId, SteadyTime)>& armed) {
  slots_.clear();
  for (const Saved::Slot& one : saved.slots) {
    slots_.push_back({one.kind, one.index, one.generation,
                      one.broadcast == 0 ? nullptr : log.find(one.broadcast), one.connection,
                      one.at});
  }
  free_.reserve(slots_.capacity());
  free_ = saved.free;
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].kind == Deadline::Kind::kFree) continue;
    armed({slot, slots_[slot].generation}, slots_[slot].at);
  }
}

}  // namespace muster::core
