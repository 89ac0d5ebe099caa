#include "musterd/state/id_allocator.h"

#include <algorithm>

namespace muster::daemon {
namespace {

BroadcastId range_of(std::uint64_t unix_ms) { return unix_ms * IdAllocator::kIdsOfAMillisecond; }

}  // namespace

IdAllocator::IdAllocator(std::optional<IdMark> mark, bool mark_was_lost, std::uint64_t unix_ms)
    // Never 0: that is no broadcast.
    : next_(std::max({mark ? mark->next : BroadcastId{1}, BroadcastId{unix_ms / 1000},
                      mark_was_lost ? range_of(unix_ms) : BroadcastId{1}})),
      reserved_(next_) {
  first_ = mark ? mark->first : next_;
}

IdAllocator::Taken IdAllocator::take(std::uint64_t unix_ms) {
  const bool covered = next_ < reserved_;
  if (!covered) next_ = std::max(next_, range_of(unix_ms));
  return {next_++, covered};
}

std::optional<IdMark> IdAllocator::reserve() {
  if (under_way_ || next_ + (kBlock - kAskAfter) < reserved_) return std::nullopt;
  under_way_ = true;
  return IdMark{first_, next_ + kBlock};
}

void IdAllocator::reserved(IdMark mark) {
  under_way_ = false;
  // One that is below what was given out meanwhile covers nothing.
  reserved_ = std::max(reserved_, mark.next);
}

void IdAllocator::reservation_failed() { under_way_ = false; }

}  // namespace muster::daemon
