// What the service manager is told (sd_notify(3)). Without one, every call does nothing.
//
// Never waits: sd_notify() does while nobody reads the socket. What cannot be sent now is sent
// later (states, in order) or left out (watchdog pings, requests for time).
//
// The loop's thread.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>

#include <asio/any_io_executor.hpp>
#include <asio/steady_timer.hpp>

#include "os/unique_fd.h"

namespace muster::daemon {

class ServiceManager {
 public:
  // When everything will be over, as far as is known now; time_point::min() when nothing is open.
  using LatestEnd = std::function<std::chrono::steady_clock::time_point()>;
  // Whether the broker serves everything that it should. Asked for each ping, so it must be cheap.
  using Healthy = std::function<bool()>;

  explicit ServiceManager(const asio::any_io_executor& loop);
  // Feeds the watchdog from now on, if there is one, at half of its period while `healthy` holds
  // (null: always): from the loop itself, so that a loop that hangs is seen.
  void start_watchdog(Healthy healthy = {});

  void ready(const std::string& status);
  void reloading();
  // Also asks for the time that stopping takes, again and again, until done().
  void stopping(const std::string& status, LatestEnd latest_end);
  // Arms nothing any more.
  void done();

 private:
  // False: it would have to wait.
  bool send(const std::string& text);
  void state(std::string text);
  void send_waiting();
  void passing(const std::string& text);
  void feed();
  void extend();

  asio::steady_timer watchdog_timer_;
  asio::steady_timer extend_timer_;
  asio::steady_timer again_timer_;
  os::UniqueFd socket_;  // empty: nobody is to be told
  sockaddr_un address_{};
  socklen_t address_size_ = 0;
  std::deque<std::string> waiting_;
  std::optional<std::chrono::microseconds> watchdog_half_;
  Healthy healthy_;
  LatestEnd latest_end_;
  bool done_ = false;
};

}  // namespace muster::daemon
