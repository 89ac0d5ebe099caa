#include "core/deadlines.h"

namespace muster::core {

Deadlines::Saved Deadlines::save() const {
  Saved saved;
  saved.free = table_.free();
  table_.for_each_slot([&](std::uint32_t generation, const Deadline* one) {
    if (one == nullptr)
      return saved.slots.push_back({Deadline::Kind::kFree, 0, generation, 0, {}, 0, {}});
    saved.slots.push_back({one->kind, one->index, generation,
                           one->broadcast == nullptr ? 0 : one->broadcast->id, one->connection,
                           one->hold, one->at});
  });
  return saved;
}

void Deadlines::restore(const Saved& saved, BroadcastLog& log,
                        const std::function<void(DeadlineId, SteadyTime)>& armed) {
  table_ = {};
  for (const Saved::Slot& one : saved.slots) {
    table_.append_slot(one.generation, one.kind != Deadline::Kind::kFree,
                       {one.kind, one.index, one.broadcast == 0 ? nullptr : log.find(one.broadcast),
                        one.connection, one.hold, one.at});
  }
  table_.set_free(saved.free);
  table_.for_each([&](DeadlineId id, const Deadline& one) { armed(id, one.at); });
}

}  // namespace muster::core
