// "The daemon did something", from any thread, at the price of one load when it was said before.
#pragma once

#include <atomic>

namespace muster {

// Raised by whoever is active, lowered by the loop just before it tells the broker: what happens
// after that raises it again, so the last activity of a burst is never lost.
class ActivityFlag {
 public:
  // True for the one that raised it.
  bool raise() noexcept {
    return !raised_.load(std::memory_order_relaxed) && !raised_.exchange(true);
  }
  void lower() noexcept { raised_.store(false); }
  [[nodiscard]] bool raised() const noexcept { return raised_.load(); }

 private:
  std::atomic<bool> raised_ = false;
};

}  // namespace muster
