#include "broker/watch_set.h"

#include <exception>
#include <utility>

namespace muster::broker {
WatchSet::WatchSet(asio::io_context& context, std::function<void()> ready)
    : memory_(asio::use_service<HandlerMemory>(context)),
      ready_(std::move(ready)),
      epoll_(context, make_epoll()) {
  wait();
}

WatchSet::WatchId WatchSet::add(int fd, Transport::Watcher& watcher, std::uint64_t token,
                                std::uint32_t events) {
  const WatchId id = watches_.insert({fd, &watcher, token});
  try {
    watch_readable(epoll_.native_handle(), fd, std::uint64_t{id.generation} << 32 | id.slot,
                   events);
  } catch (...) {
    watches_.erase(id);
    throw;
  }
  return id;
}

void WatchSet::remove(WatchId id) noexcept {
  const Watch* const watch = watches_.find(id);
  if (watch == nullptr) return;
  if (epoll_.is_open()) ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, watch->fd, nullptr);
  watches_.erase(id);
}

void WatchSet::wait() {
  if (!epoll_.is_open() || std::exchange(waiting_, true)) return;
  epoll_.async_wait(asio::posix::descriptor_base::wait_read,
                    PooledHandler{&memory_, [this](const std::error_code& error) {
                                    waiting_ = false;
                                    if (!error) ready_();
                                  }});
}

std::size_t WatchSet::serve_some(Transport::Events& failed) {
  std::array<epoll_event, kEventsAtOnce> events{};
  const int count =
      ::epoll_wait(epoll_.native_handle(), events.data(), static_cast<int>(kEventsAtOnce), 0);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t id = events[static_cast<std::size_t>(i)].data.u64;
    // What was removed since it was fetched is not found.
    const Watch* const watch =
        watches_.find({static_cast<std::uint32_t>(id), static_cast<std::uint32_t>(id >> 32)});
    if (watch == nullptr) continue;
    try {
      watch->watcher->readable(watch->token);
    } catch (const std::exception& e) {
      failed.handling_failed({}, e.what());
    }
  }
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

void WatchSet::serve(Transport::Events& failed) {
  serve_some(failed);
  wait();  // Asio arms it anew, and sees what is readable still
}

// The kernel hands out what is ready in turn, so this comes to everybody, and to an end.
void WatchSet::serve_all(Transport::Events& failed) {
  for (std::size_t seen = 0; seen <= watches_.size() && epoll_.is_open(); seen += kEventsAtOnce) {
    if (serve_some(failed) < kEventsAtOnce) return;
  }
}

void WatchSet::stop() noexcept {
  std::error_code ignored;
  (void)epoll_.close(ignored);
}

}  // namespace muster::broker
