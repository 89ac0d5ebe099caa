// The quiesces that a backend acked and that have not ended, of those that the broker ends. Pure,
// and bounded.
//
// They end together: the broker tells the end of the last one, by the id of any of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "muster/operation.h"
#include "muster/registration.h"

namespace muster {

class AckedQuiesces {
 public:
  static constexpr std::size_t kMost = 64;  // that are told from what was never acked

  // Before the handler of one may be called. Throws std::bad_alloc.
  void reserve() { ids_.reserve(kMost); }
  // REQUIRES: reserve(). An idle quiesce ends with the next activity, which nobody tells: only the
  // last is kept.
  void add(HoldId id, QuiesceReason reason) noexcept {
    if (reason == QuiesceReason::kIdleTimeout) {
      idle_ = id;
      return;
    }
    if (std::find(ids_.begin(), ids_.end(), id) != ids_.end()) return;
    if (ids_.size() == kMost) {
      ids_.erase(ids_.begin());
      forgot_some_ = true;
    }
    ids_.push_back(id);
  }
  [[nodiscard]] bool contains(HoldId id) const noexcept {
    return forgot_some_ || (idle_ == id && id != 0) ||
           std::find(ids_.begin(), ids_.end(), id) != ids_.end();
  }
  // Of an operator, which go on.
  [[nodiscard]] bool any() const noexcept { return !ids_.empty(); }
  // All of them, where `id` is one. False when it is none.
  bool end(HoldId id) noexcept {
    if (!contains(id)) return false;
    ids_.clear();
    idle_ = 0;
    forgot_some_ = false;
    return true;
  }

 private:
  std::vector<HoldId> ids_;  // oldest first
  HoldId idle_ = 0;          // 0: none
  bool forgot_some_ = false;
};

}  // namespace muster
