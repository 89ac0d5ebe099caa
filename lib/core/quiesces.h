// The quiesces that a backend acked and that have not ended: it takes no work until the last of
// them has. Each ends by its own id, so that resuming one does not end what another operator
// relies on.
//
// Their memory is taken when a quiesce is sent, not when it is acked, so no ack is without its
// record. A backend that was never asked costs a pointer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "muster/broker_view.h"
#include "muster/report.h"

namespace muster::core {

struct Quiesce {
  BroadcastId broadcast = 0;  // 0: none
  QuiesceReason reason = QuiesceReason::kMaintenance;
  // There was no room for an earlier one: this one goes on until all of them are ended.
  bool stands_for_more = false;
  std::uint64_t since_unix_ms = 0;
  std::shared_ptr<const Operator> by;  // null: the broker itself; shared by a broadcast's targets

  friend bool operator==(const Quiesce& a, const Quiesce& b) {
    const bool same_operator = a.by == b.by || (a.by && b.by && *a.by == *b.by);
    return same_operator && a.broadcast == b.broadcast && a.reason == b.reason &&
           a.stands_for_more == b.stands_for_more && a.since_unix_ms == b.since_unix_ms;
  }
};

class Quiesces {
 public:
  static constexpr std::size_t kMost = 8;

  Quiesces() = default;
  Quiesces(const Quiesces& other)
      : record_(other.record_ ? std::make_unique<Record>(*other.record_) : nullptr) {}
  Quiesces(Quiesces&&) noexcept = default;
  Quiesces& operator=(const Quiesces& other) { return *this = Quiesces(other); }
  Quiesces& operator=(Quiesces&&) noexcept = default;
  ~Quiesces() = default;

  // Makes room for one; more than once is no more.
  void reserve() {
    if (!record_) record_ = std::make_unique<Record>();
  }

  // None that goes on, and none whose end has to be told.
  [[nodiscard]] bool empty() const noexcept { return !record_ || record_->newest.broadcast == 0; }
  // Whether it takes no work. Not while it only has to be told of the end.
  [[nodiscard]] bool holds() const noexcept { return !empty() && !record_->ended; }
  // All ended while the backend was not connected: to be told on its return.
  [[nodiscard]] bool ended() const noexcept { return !empty() && record_->ended; }
  // The last that was acked, and the others, the oldest first. REQUIRES: !empty().
  [[nodiscard]] const Quiesce& newest() const noexcept { return record_->newest; }
  [[nodiscard]] const std::vector<Quiesce>& older() const noexcept { return record_->older; }
  // Nothing when no quiesce goes on.
  [[nodiscard]] std::optional<QuiescedState> state() const {
    if (!holds()) return std::nullopt;
    const Quiesce& last = newest();
    QuiescedState shown{last.since_unix_ms, last.broadcast, last.reason, std::nullopt};
    if (last.by) shown.by = *last.by;
    return shown;
  }

  // Never fails after reserve(). An idle quiesce ends with the next activity: an operator's takes
  // its place, and beside an operator's it does not count.
  void add(Quiesce quiesce) noexcept {
    if (!record_) record_.reset(new (std::nothrow) Record());
    if (!record_) return;
    const bool is_idle = quiesce.reason == QuiesceReason::kIdleTimeout;
    if (holds() && newest().reason != QuiesceReason::kIdleTimeout) {
      if (is_idle) return;
      if (newest().broadcast != quiesce.broadcast && !keep_newest()) quiesce.stands_for_more = true;
    }
    record_->newest = std::move(quiesce);
    record_->ended = false;
  }

  // Whether `id` goes on; 0: whether any does.
  [[nodiscard]] bool holds(BroadcastId id) const noexcept {
    if (!holds()) return false;
    if (id == 0 || newest().broadcast == id) return true;
    for (const Quiesce& one : older()) {
      if (one.broadcast == id) return true;
    }
    return false;
  }
  // Ends `id` if others go on after it; else nothing is changed. 0 is all, after which none does.
  // REQUIRES: holds(id).
  bool end_one_of_many(BroadcastId id) noexcept {
    if (id == 0) return false;
    auto& [newest, older, ended] = *record_;
    if (newest.broadcast == id) {
      if (newest.stands_for_more) return true;
      if (older.empty()) return false;
      newest = std::move(older.back());
      older.pop_back();
      return true;
    }
    for (auto one = older.begin(); one != older.end(); ++one) {
      if (one->broadcast != id) continue;
      if (!one->stands_for_more) older.erase(one);
      break;
    }
    return true;
  }
  // All end, and the backend is to be told when it is back. REQUIRES: holds().
  void end_while_away() noexcept {
    record_->older.clear();
    record_->ended = true;
  }
  // Keeps the memory.
  void clear() noexcept {
    if (record_) *record_ = {};
  }

  friend bool operator==(const Quiesces& a, const Quiesces& b) {
    if (a.empty() || b.empty()) return a.empty() && b.empty();
    return *a.record_ == *b.record_;
  }

 private:
  struct Record {
    Quiesce newest;
    std::vector<Quiesce> older;
    bool ended = false;

    friend bool operator==(const Record&, const Record&) = default;
  };

  bool keep_newest() noexcept {
    if (record_->older.size() + 1 >= kMost) return false;
    try {
      record_->older.push_back(record_->newest);
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }

  std::unique_ptr<Record> record_;  // null: as most
};

}  // namespace muster::core
