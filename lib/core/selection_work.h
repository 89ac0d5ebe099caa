// Evaluates a selection over the registered backends, in turns of bounded length.
//
// What a selection says of one incarnation of a backend never changes, so it can be found out
// before the instant at which the backends are asked: at that instant those that were looked at
// only need to be looked up, and only those that registered since are matched then. The result is
// that of the instant, whatever came and went during the turns.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "core/registry.h"
#include "core/types.h"
#include "model/compiled_selection.h"

namespace muster::core {

class SelectionWork {
 public:
  explicit SelectionWork(const Selection& selection) : selection_(selection) {}

  // Looks at backends until the caller says that its turn is over, at a few at least. False when
  // all have been looked at.
  bool advance(const Registry& registry, const std::function<bool()>& turn_is_over);
  // Whether the selection is for the backend that the entry is now.
  [[nodiscard]] bool selects(EntryId id, const Entry& entry) const;

 private:
  static constexpr std::size_t kBetweenLooks = 8;  // whether the turn is over

  struct Known {
    Incarnation incarnation = 0;
    bool selected = false;
  };

  [[nodiscard]] bool matches(const Entry& entry) const;

  CompiledSelection selection_;
  std::vector<Known> known_;  // by EntryId
};

}  // namespace muster::core
