// Every broadcast that runs and those whose report is still kept, by id.
//
// Ids ascend. A Broadcast's address is stable while it runs. Kept reports are bounded in number,
// age and size.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "core/broadcast.h"

namespace muster::core {

class BroadcastLog {
 public:
  BroadcastLog() { spare_.reserve(kMaxSpare); }

  // A new, empty broadcast that is not in the log yet.
  [[nodiscard]] std::unique_ptr<Broadcast> make(BroadcastId id);
  // REQUIRES: its id is above every id before. Changes nothing when it throws.
  Broadcast& add(std::unique_ptr<Broadcast> broadcast);
  // Null when it is not here (any more).
  [[nodiscard]] Broadcast* find(BroadcastId id) noexcept;
  [[nodiscard]] const Broadcast* find(BroadcastId id) const noexcept;
  // The newest that is not the broker's own (an idle quiesce).
  [[nodiscard]] const Broadcast* newest() const noexcept;

  // It is complete: from now on it is a report.
  void finished(Broadcast& broadcast) noexcept;
  // Drops the oldest reports over the bounds. Of a moment: those that ended before `before`. The
  // broker's own have a history apart, of kMaxOwnReports.
  void trim(std::size_t max_reports, std::size_t max_targets, SteadyTime before) noexcept;
  // When the oldest report ended; SteadyTime::max() without any.
  [[nodiscard]] SteadyTime oldest_end() const noexcept;

  [[nodiscard]] std::size_t running() const noexcept { return all_.size() - kept(); }
  [[nodiscard]] std::size_t kept() const noexcept { return kept_.count + own_.count; }
  [[nodiscard]] std::size_t running_own() const noexcept { return running_own_; }
  static constexpr std::size_t kMaxOwnReports = 256;
  [[nodiscard]] BroadcastId first_id() const noexcept { return first_id_; }
  [[nodiscard]] BroadcastId last_id() const noexcept { return last_id_; }

  // As values; of a broadcast, next_kept is null.
  struct Saved {
    std::vector<Broadcast> all;            // by id
    std::vector<BroadcastId> kept_by_end;  // complete, in the order of ending; the own ones too
    BroadcastId first_id = 0;
    BroadcastId last_id = 0;

    friend bool operator==(const Saved&, const Saved&) = default;
  };
  [[nodiscard]] Saved save() const;
  void restore(Saved saved);

  // Null when none runs.
  [[nodiscard]] Broadcast* oldest_running() noexcept;
  template <class Visit>
  void for_each_running(Visit&& visit) const {
    for (const auto& broadcast : all_) {
      if (!broadcast->complete()) visit(*broadcast);
    }
  }

 private:
  std::deque<std::unique_ptr<Broadcast>> all_;  // by id; the oldest are the first to go
  // Those that are complete, in order of ending. Linked, so that an end allocates nothing.
  struct Kept {
    Broadcast* oldest = nullptr;
    Broadcast* newest = nullptr;
    std::size_t count = 0;
    std::size_t targets = 0;
  };
  void trim(Kept& list, std::size_t max_reports, std::size_t max_targets,
            SteadyTime before) noexcept;
  Kept kept_;
  Kept own_;
  std::size_t running_own_ = 0;
  // Emptied ones, whose vectors have room already: a round allocates nothing for its targets.
  static constexpr std::size_t kMaxSpare = 4;
  std::vector<std::unique_ptr<Broadcast>> spare_;
  BroadcastId first_id_ = 0;
  BroadcastId last_id_ = 0;
};

}  // namespace muster::core
