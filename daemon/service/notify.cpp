#include "service/notify.h"

#include <algorithm>
#include <cstdint>
#include <time.h>
#include <utility>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace muster::daemon {
namespace {

using std::chrono::microseconds;

// Beside the backends' time: to answer operators and write down what must be kept.
constexpr microseconds kMargin = std::chrono::seconds(5);

}  // namespace

ServiceManager::ServiceManager(const asio::any_io_executor& loop)
    : watchdog_timer_(loop), extend_timer_(loop) {
  std::uint64_t period = 0;
  if (::sd_watchdog_enabled(0, &period) > 0) {
    watchdog_half_ = microseconds(std::max<std::uint64_t>(period / 2, 1000));
  }
}

void ServiceManager::start_watchdog() {
  if (watchdog_half_) feed();
}

void ServiceManager::feed() {
  ::sd_notify(0, "WATCHDOG=1");
  watchdog_timer_.expires_after(*watchdog_half_);
  watchdog_timer_.async_wait([this](std::error_code error) {
    if (!error && !done_) feed();
  });
}

void ServiceManager::ready(const std::string& status) {
  ::sd_notify(0, fmt::format("READY=1\nSTATUS={}", status).c_str());
}

void ServiceManager::reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto usec = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
                    static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
  ::sd_notify(0, fmt::format("RELOADING=1\nMONOTONIC_USEC={}", usec).c_str());
}

void ServiceManager::stopping(const std::string& status, LatestEnd latest_end) {
  latest_end_ = std::move(latest_end);
  ::sd_notify(0, fmt::format("STOPPING=1\nSTATUS={}", status).c_str());
  extend();
}

void ServiceManager::extend() {
  const auto now = std::chrono::steady_clock::now();
  const auto left = std::max(latest_end_(), now) - now;
  const auto wanted = std::chrono::duration_cast<microseconds>(left) + kMargin;
  ::sd_notify(0, fmt::format("EXTEND_TIMEOUT_USEC={}", wanted.count()).c_str());
  // Backends may ask for more time meanwhile.
  extend_timer_.expires_after(kMargin / 2);
  extend_timer_.async_wait([this](std::error_code error) {
    if (!error && !done_) extend();
  });
}

void ServiceManager::done() {
  // A timer that has expired may wait for its turn already: cancelling it says nothing to it.
  done_ = true;
  watchdog_timer_.cancel();
  extend_timer_.cancel();
}

}  // namespace muster::daemon
