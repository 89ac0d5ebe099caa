// What the service manager is told (sd_notify(3)). Without one, every call does nothing.
//
// The loop's thread.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include <asio/any_io_executor.hpp>
#include <asio/steady_timer.hpp>

namespace muster::daemon {

class ServiceManager {
 public:
  // When everything will be over, as far as is known now; time_point::min() when nothing is open.
  using LatestEnd = std::function<std::chrono::steady_clock::time_point()>;

  explicit ServiceManager(const asio::any_io_executor& loop);
  // Feeds the watchdog from now on, if there is one, at half of its period: from the loop itself,
  // so that a loop that hangs is seen.
  void start_watchdog();

  void ready(const std::string& status);
  void reloading();
  // Also asks for the time that stopping takes, again and again, until done().
  void stopping(const std::string& status, LatestEnd latest_end);
  // Arms nothing any more.
  void done();

 private:
  void feed();
  void extend();

  asio::steady_timer watchdog_timer_;
  asio::steady_timer extend_timer_;
  std::optional<std::chrono::microseconds> watchdog_half_;
  LatestEnd latest_end_;
  bool done_ = false;
};

}  // namespace muster::daemon
