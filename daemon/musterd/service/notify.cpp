#include "musterd/service/notify.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <utility>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace muster::daemon {
namespace {

using std::chrono::microseconds;

// Beside the backends' time: to answer operators and write down what must be kept.
constexpr microseconds kMargin = std::chrono::seconds(5);
// What nobody has read yet is sent again after this.
constexpr std::chrono::milliseconds kSendAgainAfter{100};
// States that wait to be sent. Older ones no longer say anything that is true.
constexpr std::size_t kMostWaiting = 8;

}  // namespace

ServiceManager::ServiceManager(const asio::any_io_executor& loop)
    : watchdog_timer_(loop), extend_timer_(loop), again_timer_(loop) {
  const char* socket = ::secure_getenv("NOTIFY_SOCKET");
  const std::string_view path = socket == nullptr ? std::string_view() : std::string_view(socket);
  if ((path.starts_with('/') || path.starts_with('@')) && path.size() < sizeof(address_.sun_path)) {
    address_.sun_family = AF_UNIX;
    std::memcpy(address_.sun_path, path.data(), path.size());
    if (path.front() == '@') address_.sun_path[0] = '\0';
    address_size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    socket_ = os::UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }
  std::uint64_t period = 0;
  if (::sd_watchdog_enabled(0, &period) > 0) {
    watchdog_half_ = microseconds(std::max<std::uint64_t>(period / 2, 1000));
  }
}

bool ServiceManager::send(const std::string& text) {
  if (!socket_) return true;
  const auto* where = reinterpret_cast<const sockaddr*>(&address_);
  while (::sendto(socket_.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL, where,
                  address_size_) < 0) {
    // Nobody there, or nobody who may be told: it will not be otherwise later.
    if (errno != EINTR) return errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM;
  }
  return true;
}

// States come in order; a ping or a request for time is not worth the wait.
void ServiceManager::state(std::string text) {
  waiting_.push_back(std::move(text));
  if (waiting_.size() > kMostWaiting) waiting_.pop_front();
  send_waiting();
}

void ServiceManager::send_waiting() {
  while (!waiting_.empty() && send(waiting_.front())) waiting_.pop_front();
  if (waiting_.empty() || done_) return;
  again_timer_.expires_after(kSendAgainAfter);
  again_timer_.async_wait([this](std::error_code error) {
    if (!error && !done_) send_waiting();
  });
}

void ServiceManager::passing(const std::string& text) {
  if (waiting_.empty()) (void)send(text);
}

void ServiceManager::start_watchdog(Healthy healthy) {
  healthy_ = std::move(healthy);
  if (watchdog_half_) feed();
}

void ServiceManager::feed() {
  // Without it the service manager ends this process after a while, and starts another.
  if (!healthy_ || healthy_()) passing("WATCHDOG=1");
  watchdog_timer_.expires_after(*watchdog_half_);
  watchdog_timer_.async_wait([this](std::error_code error) {
    if (!error && !done_) feed();
  });
}

void ServiceManager::ready(const std::string& status) {
  state(fmt::format("READY=1\nSTATUS={}", status));
}

void ServiceManager::reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto usec = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
                    static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
  state(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", usec));
}

void ServiceManager::stopping(const std::string& status, LatestEnd latest_end) {
  latest_end_ = std::move(latest_end);
  state(fmt::format("STOPPING=1\nSTATUS={}", status));
  extend();
}

void ServiceManager::extend() {
  const auto now = std::chrono::steady_clock::now();
  const auto left = std::max(latest_end_(), now) - now;
  const auto wanted = std::chrono::duration_cast<microseconds>(left) + kMargin;
  passing(fmt::format("EXTEND_TIMEOUT_USEC={}", wanted.count()));
  // Backends may ask for more time meanwhile.
  extend_timer_.expires_after(kMargin / 2);
  extend_timer_.async_wait([this](std::error_code error) {
    if (!error && !done_) extend();
  });
}

void ServiceManager::done() {
  // Nothing is sent any more while the state is written down.
  passing(fmt::format("WATCHDOG=1\nEXTEND_TIMEOUT_USEC={}", (2 * kMargin).count()));
  // A timer that has expired may wait for its turn already: cancelling it says nothing to it.
  done_ = true;
  watchdog_timer_.cancel();
  extend_timer_.cancel();
  again_timer_.cancel();
}

}  // namespace muster::daemon
