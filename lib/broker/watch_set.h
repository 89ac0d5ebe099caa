// Epoll sets of the broker's own, and what is watched by one.
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <sys/epoll.h>
#include <system_error>

#include <asio/io_context.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>

#include "broker/handler_memory.h"
#include "broker/transport.h"
#include "core/slot_table.h"

namespace muster::broker {

// A descriptor that is closed on exec. Throws std::system_error.
[[nodiscard]] inline int make_epoll() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  return fd;
}

// `data` comes back with each event. Throws std::system_error.
inline void watch_readable(int epoll, int fd, std::uint64_t data, std::uint32_t events = EPOLLIN) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

// Descriptors that are watched until they are readable: listeners and pidfds.
//
// An epoll set of its own, level-triggered, watched by Asio through one descriptor. For a transport
// that moves its bytes by other means: what is watched fires rarely, must be refused at once when
// it cannot be watched, and must be let go of at once when it is not watched any more, which a
// request in an io_uring would not do (it would hold a listener open behind its owner's back).
// One thread, the io_context's.
class WatchSet {
 public:
  using WatchId = Transport::WatchId;

  // `ready` is called from the loop when there is something for serve(). Throws std::system_error.
  WatchSet(asio::io_context& context, std::function<void()> ready);

  // As Transport's.
  [[nodiscard]] WatchId add(int fd, Transport::Watcher& watcher, std::uint64_t token) {
    return add(fd, watcher, token, EPOLLIN);
  }
  // Tells of the end of the other side of a socket alone.
  [[nodiscard]] WatchId add_for_hang_up(int fd, Transport::Watcher& watcher, std::uint64_t token) {
    return add(fd, watcher, token, 0);  // the kernel always tells of that
  }
  void remove(WatchId watch) noexcept;
  // Tells the watchers of what is readable now, and calls `ready` again when there is more later.
  // Exceptions of watchers go to `failed`.
  void serve(Transport::Events& failed);
  // Everybody who is readable now is told at least once.
  void serve_all(Transport::Events& failed);
  void stop() noexcept;

 private:
  static constexpr std::size_t kEventsAtOnce = 64;

  struct Watch {
    int fd = -1;
    Transport::Watcher* watcher = nullptr;
    std::uint64_t token = 0;
  };

  WatchId add(int fd, Transport::Watcher& watcher, std::uint64_t token, std::uint32_t events);
  void wait();
  std::size_t serve_some(Transport::Events& failed);

  HandlerMemory& memory_;
  std::function<void()> ready_;
  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> epoll_;
  core::SlotTable<WatchId, Watch> watches_;
  bool waiting_ = false;
};

}  // namespace muster::broker
