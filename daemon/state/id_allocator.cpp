#include "state/id_allocator.h"

#include <algorithm>

namespace muster::daemon {
namespace {

constexpr BroadcastId kAskAgainAfter = 64;

}  // namespace

IdAllocator::IdAllocator(std::optional<IdMark> mark, std::uint64_t unix_seconds)
    // Never 0: that is no broadcast.
    : next_(std::max({mark ? mark->next : 1, unix_seconds, std::uint64_t{1}})),
      reserved_(next_),
      ask_again_(next_) {
  first_ = mark ? mark->first : next_;
}

BroadcastId IdAllocator::take() { return next_++; }

std::optional<IdMark> IdAllocator::reserve() {
  if (under_way_ || next_ < ask_again_ || next_ + kBlock / 2 <= reserved_) return std::nullopt;
  under_way_ = true;
  return IdMark{first_, next_ + kBlock};
}

void IdAllocator::reserved(IdMark mark) {
  under_way_ = false;
  reserved_ = mark.next;
}

void IdAllocator::reserved_for_now() {
  under_way_ = false;
  ask_again_ = next_ + 1;
}

void IdAllocator::reservation_failed() {
  under_way_ = false;
  ask_again_ = next_ + kAskAgainAfter;
}

}  // namespace muster::daemon
