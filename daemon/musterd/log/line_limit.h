// Keep lines that peers can cause as often as they like from drowning the log. Time comes in. One
// thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <sys/types.h>
#include <unordered_map>
#include <utility>

namespace muster::daemon {

struct LineBudget {
  std::int64_t burst = 50;       // lines at once
  std::int64_t per_second = 10;  // after that
};

// A token bucket.
class LineLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;

  LineLimit(std::int64_t burst, std::int64_t per_second)
      : step_(std::chrono::nanoseconds(std::chrono::seconds(1)) / per_second),
        depth_(step_ * (burst - 1)) {}
  explicit LineLimit(LineBudget budget) : LineLimit(budget.burst, budget.per_second) {}

  // Nothing when the line is to be left out; else how many were left out since the last one.
  [[nodiscard]] std::optional<std::uint64_t> admit(Time now) {
    const Time start = std::max(full_at_ - depth_, Time{});
    if (now < start) {
      ++left_out_;
      return std::nullopt;
    }
    full_at_ = std::max(full_at_, now) + step_;
    return std::exchange(left_out_, 0);
  }

  // Whether the whole burst is there again.
  [[nodiscard]] bool is_full(Time now) const noexcept { return full_at_ <= now; }
  // Counts lines of another limit as left out by this one.
  void take_over(const LineLimit& other) noexcept { left_out_ += other.left_out_; }

 private:
  std::chrono::nanoseconds step_;
  std::chrono::nanoseconds depth_;
  Time full_at_{};  // when the bucket will be full again
  std::uint64_t left_out_ = 0;
};

// A bucket for each user, so that one user's lines never keep another's out.
//
// Remembers at most `most_users` users (and root and the broker's own). When it knows that many, it
// forgets those that have their full budget back. While there is none, further users share one
// bucket of the size of one user's.
class UserLineLimits {
 public:
  using Time = LineLimit::Time;

  struct Budgets {
    LineBudget user;
    LineBudget broker{500, 100};  // root and the user that the broker runs as
    std::size_t most_users = 1'024;
  };
  struct Admitted {
    std::uint64_t left_out = 0;  // lines since the last that was admitted
    bool shared = false;         // of users that have no bucket of their own
  };

  UserLineLimits(uid_t own, Budgets budgets)
      : own_(own), budgets_(budgets), beyond_(budgets.user) {}

  // Nothing when the line is to be left out.
  [[nodiscard]] std::optional<Admitted> admit(uid_t user, Time now) {
    LineLimit* const limit = find(user, now);
    const auto left_out = (limit == nullptr ? beyond_ : *limit).admit(now);
    if (!left_out) return std::nullopt;
    return Admitted{*left_out, limit == nullptr};
  }

  [[nodiscard]] std::size_t users() const noexcept { return users_.size(); }

 private:
  // Null: it shares the one of the users beyond.
  LineLimit* find(uid_t user, Time now) {
    if (const auto known = users_.find(user); known != users_.end()) return &known->second;
    const bool is_broker = user == 0 || user == own_;
    if (!is_broker && users_.size() >= budgets_.most_users) forget_idle(now);
    if (!is_broker && users_.size() >= budgets_.most_users) return nullptr;
    return &users_.try_emplace(user, is_broker ? budgets_.broker : budgets_.user).first->second;
  }

  // Looks at all of them, so not more often than once a second.
  void forget_idle(Time now) {
    if (now < forget_again_at_) return;
    forget_again_at_ = now + std::chrono::seconds(1);
    std::erase_if(users_, [&](const auto& user) {
      if (!user.second.is_full(now)) return false;
      beyond_.take_over(user.second);
      return true;
    });
  }

  uid_t own_;
  Budgets budgets_;
  std::unordered_map<uid_t, LineLimit> users_;
  LineLimit beyond_;
  Time forget_again_at_{};
};

}  // namespace muster::daemon
