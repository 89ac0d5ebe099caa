// What happened, in order, told by any thread and waited for by the test's.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

namespace muster::test {

// Long enough for a loaded machine under a sanitizer; only a failing test waits for it.
inline constexpr std::chrono::seconds kGenerous{30};

class EventLog {
 public:
  void add(std::string what) {
    // Under the lock: whoever waited for this may destroy the log right after.
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(what));
    changed_.notify_all();
  }

  // Waits for an event that is not older than the last one that was waited for, and takes all up to
  // it. Returns it, or "nothing but: ..." when it did not come.
  std::string wait_for(const std::string& beginning) {
    std::unique_lock lock(mutex_);
    std::size_t at = taken_;
    const auto found = [&] {
      for (; at < events_.size(); ++at) {
        if (events_[at].starts_with(beginning)) return true;
      }
      return false;
    };
    if (changed_.wait_for(lock, kGenerous, found)) {
      taken_ = at + 1;
      return events_[at];
    }
    std::string others = "nothing but:";
    for (std::size_t i = taken_; i < events_.size(); ++i) others += " [" + events_[i] + "]";
    return others;
  }

  [[nodiscard]] std::size_t count(const std::string& beginning) const {
    const std::lock_guard lock(mutex_);
    std::size_t number = 0;
    for (const auto& event : events_) number += event.starts_with(beginning) ? 1 : 0;
    return number;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> events_;
  std::size_t taken_ = 0;
};

}  // namespace muster::test
