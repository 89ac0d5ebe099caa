#include "core/deadlines.h"

namespace muster::core {

DeadlineId Deadlines::add(Deadline what) {
  if (free_.empty()) {
    slots_.emplace_back();
    free_.reserve(slots_.capacity());  // so that remove() never allocates
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

}  // namespace muster::core
