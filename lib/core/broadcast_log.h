// Every broadcast that runs and those whose report is still kept, by id.
//
// Ids ascend. A Broadcast's address is stable while it runs. Kept reports are bounded in number,
// age and size, and each is charged to the user whose broadcast it was: one user's reports never
// push out another's while that user has less of what is short.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "core/broadcast.h"
#include "core/quota.h"

namespace muster::core {

class BroadcastLog {
 public:
  // The account of what nobody in particular asked for: the broker's shutting down.
  static constexpr uid_t kBroker = static_cast<uid_t>(-1);

  explicit BroadcastLog(Quotas quotas = {}) : quotas_(std::move(quotas)) {
    spare_.reserve(kMaxSpare);
  }

  // A new, empty broadcast that is not in the log yet.
  [[nodiscard]] std::unique_ptr<Broadcast> make(BroadcastId id);
  // REQUIRES: its id is above every id before. Changes nothing when it throws.
  Broadcast& add(std::unique_ptr<Broadcast> broadcast);
  // Null when it is not here (any more).
  [[nodiscard]] Broadcast* find(BroadcastId id) noexcept;
  [[nodiscard]] const Broadcast* find(BroadcastId id) const noexcept;
  // The newest that is not the broker's own (an idle quiesce).
  [[nodiscard]] const Broadcast* newest() const noexcept;

  // A report keeps what its backends registered with. Many reports share it with each other and
  // with the registry: the newest of a user is charged for it, which is the last that goes. So
  // `broadcast`, which has just started, is charged instead of the report `before`, where that one
  // has ended and is the same user's.
  void charge_enrolments(Broadcast& broadcast, BroadcastId before, std::size_t bytes) noexcept;

  // It is over: from now on it is a report.
  void finished(Broadcast& broadcast) noexcept;
  // A report takes that much more.
  void has_grown(Broadcast& report, std::size_t bytes) noexcept;

  struct Bounds {
    std::size_t reports = 0;
    std::size_t targets = 0;
    std::size_t bytes = 0;
    SteadyTime before;  // what ended then or earlier goes
  };
  // Drops reports over the bounds, and over the quota of their user, whose oldest go first. Of what
  // all users share, the user with the most of it loses its oldest; root and the broker's own user
  // do so only when they have more than a quarter. The newest report of a user stays whatever its
  // quota is, and the newest of all whatever the bounds are: an operator is about to read it. So
  // does one whose hold goes on, which shows how that stands: a quota bounds how many these are.
  // The broker's own have a history apart, of kMaxOwnReports.
  void trim(const Bounds& bounds) noexcept;
  // When the oldest report ended that is no hold's; SteadyTime::max() without any.
  [[nodiscard]] SteadyTime oldest_end() const noexcept;

  [[nodiscard]] std::size_t running() const noexcept { return all_.size() - kept(); }
  [[nodiscard]] std::size_t kept() const noexcept { return total_[0].reports + total_[1].reports; }
  // Calls visit(uid_t, bytes of reports) for each user who has any, in ascending order.
  template <class Visit>
  void for_each_user(Visit&& visit) const {
    for (const auto& [uid, user] : users_) {
      if (uid != kBroker && user.bytes() != 0) visit(uid, user.bytes());
    }
  }
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
    std::vector<BroadcastId> latest;  // the last that ended of each list; 0: it is gone

    friend bool operator==(const Saved&, const Saved&) = default;
  };
  [[nodiscard]] Saved save() const;
  void restore(Saved saved);

  // Null when none runs.
  [[nodiscard]] Broadcast* oldest_running() noexcept;
  template <class Visit>
  void for_each_running(Visit&& visit) const {
    for (const auto& broadcast : all_) {
      if (!is_over(broadcast->state)) visit(*broadcast);
    }
  }

 private:
  std::deque<std::unique_ptr<Broadcast>> all_;  // by id; the oldest are the first to go
  struct Size {
    std::size_t reports = 0;
    std::size_t targets = 0;
    std::size_t bytes = 0;
  };
  // Those that are complete, in order of ending. Linked, so that an end allocates nothing.
  struct Kept {
    Broadcast* oldest = nullptr;
    Broadcast* newest = nullptr;
    Size size;
  };
  enum List : std::uint8_t { kAsked, kOwn };
  static constexpr std::size_t kLists = 2;
  struct User {
    std::size_t broadcasts = 0;  // in all_
    std::uint64_t quota = 0;     // of bytes
    Kept kept[kLists];
    [[nodiscard]] std::size_t bytes() const noexcept {
      return kept[kAsked].size.bytes + kept[kOwn].size.bytes;
    }
  };
  using Users = std::map<uid_t, User>;

  [[nodiscard]] static List list_of(const Broadcast& broadcast) noexcept {
    return broadcast.own ? kOwn : kAsked;
  }
  [[nodiscard]] User& user_of(const Broadcast& broadcast) noexcept;
  void resize(Broadcast& report, std::size_t bytes) noexcept;
  void trim(User& user, SteadyTime before) noexcept;
  // The oldest of which no hold goes on; null: there is none.
  [[nodiscard]] static Broadcast* first_to_go(const Kept& kept) noexcept;
  // REQUIRES: there is one.
  void drop_first(User& user, List list) noexcept;
  void trim_to(List list, std::size_t Size::*measure, std::size_t most) noexcept;
  // Who loses a report when there is too much of `measure`; users_.end(): nobody.
  [[nodiscard]] Users::iterator who_loses(List list, std::size_t Size::*measure,
                                          std::size_t most) noexcept;

  Quotas quotas_;
  Users users_;  // those with a broadcast
  Size total_[kLists];
  const Broadcast* latest_[kLists] = {};  // the report that ended last
  std::size_t running_own_ = 0;
  // Emptied ones, whose vectors have room already: a round allocates nothing for its targets.
  static constexpr std::size_t kMaxSpare = 4;
  std::vector<std::unique_ptr<Broadcast>> spare_;
  BroadcastId first_id_ = 0;
  BroadcastId last_id_ = 0;
};

}  // namespace muster::core
