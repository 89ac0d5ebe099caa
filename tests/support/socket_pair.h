// Two ends of a stream socket: ours does not block, like those of the broker.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "os/unique_fd.h"

namespace muster::test {

struct SocketPair {
  SocketPair() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
  }
  void say(std::string_view bytes) const {
    EXPECT_EQ(::send(theirs.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // At most 4,096 bytes of what they were sent; "end", "nothing".
  [[nodiscard]] std::string heard() const {
    std::array<char, 4096> bytes{};
    const ssize_t size = ::recv(theirs.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size == 0) return "end";
    return size < 0 ? std::string("nothing")
                    : std::string(bytes.data(), static_cast<std::size_t>(size));
  }
  // Reads all that they were sent, and counts it.
  [[nodiscard]] std::size_t unread() const {
    std::size_t all = 0;
    std::array<char, 65'536> bytes{};
    for (ssize_t size = 1; size > 0;) {
      size = ::recv(theirs.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (size > 0) all += static_cast<std::size_t>(size);
    }
    return all;
  }

  os::UniqueFd ours;
  os::UniqueFd theirs;
};

}  // namespace muster::test
