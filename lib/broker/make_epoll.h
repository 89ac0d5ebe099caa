// An epoll set of the broker's own.
#pragma once

#include <cerrno>
#include <sys/epoll.h>
#include <system_error>

namespace muster::broker {

// A descriptor that is closed on exec. Throws std::system_error.
[[nodiscard]] inline int make_epoll() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  return fd;
}

}  // namespace muster::broker
