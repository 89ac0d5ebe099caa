// Gives memory back to the system when a peak is over.
//
// The allocator keeps what was freed amid what is in use: after a thousand connections were closed
// the process would stay as large as it was with them. So, once nothing happened for a while, what
// is free is returned if that is worth it. The timer runs only after something happened: an idle
// broker does not wake up. The loop's thread.
#pragma once

#include <functional>
#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/steady_timer.hpp>

namespace muster::daemon {

class MemoryTrim {
 public:
  // Runs what takes a while somewhere else than on the loop.
  using Elsewhere = std::function<void(std::function<void()> work)>;

  explicit MemoryTrim(const asio::any_io_executor& loop, Elsewhere elsewhere = {})
      : timer_(loop), elsewhere_(std::move(elsewhere)) {}

  // Something happened that may have used memory.
  void noticed() {
    busy_ = true;
    if (!armed_ && !stopped_) arm();
  }
  // For good; the timer no longer keeps the loop running.
  void stop();

 private:
  void arm();

  asio::steady_timer timer_;
  Elsewhere elsewhere_;
  bool armed_ = false;
  bool busy_ = false;  // since it was armed
  bool stopped_ = false;
};

}  // namespace muster::daemon
