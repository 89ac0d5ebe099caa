// Backends as they were at one instant, to be written down in turns.
//
// A backend that comes, goes or changes its state after that instant changes nothing in the list.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "muster/broker_view.h"

#include "core/registry.h"

namespace muster::core {

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

}  // namespace muster::core
