// Work over all registered backends that is done in turns: listing and selecting them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "muster/broker_view.h"

#include "core/registry.h"
#include "core/types.h"
#include "model/selector.h"

namespace muster::core {

// Backends as they were at one instant, to be written down in turns.
//
// A backend that comes, goes or changes its state after that instant changes nothing in the list.
class BackendSnapshot {
 public:
  // In registration order.
  void add(const Entry& entry);
  [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
  // REQUIRES: index < size().
  [[nodiscard]] BackendInfo info(std::size_t index) const;

 private:
  struct Row {
    EnrolmentPtr who;
    BackendState state = BackendState::kDead;
    Cause cause = Cause::kNone;
    std::optional<QuiescedState> quiesced;
    std::uint64_t since_unix_ms = 0;
    std::uint32_t open_operations = 0;
  };
  std::vector<Row> rows_;
};

// Evaluates a selection over the registered backends, in turns of bounded length.
//
// What a selection says of one incarnation of a backend never changes, so it can be found out
// before the instant at which the backends are asked: at that instant those that were looked at
// only need to be looked up, and only those that registered since are matched then. The result is
// that of the instant, whatever came and went during the turns.
class SelectionWork {
 public:
  explicit SelectionWork(const Selection& selection) : selection_(selection) {}

  // Looks at backends until the caller says that its turn is over, at a few at least. False when
  // all have been looked at.
  bool advance(const Registry& registry, const std::function<bool()>& turn_is_over);
  // Whether it selects whoever there is.
  [[nodiscard]] bool is_everybody() const noexcept { return selection_.terms() == 0; }
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
