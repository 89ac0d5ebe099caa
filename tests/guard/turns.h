// Broker and peers take turns, over a socket pair: while one works the other waits. So the order of
// everything is the same in every run, and the broker's system calls and instructions can be
// counted exactly.
//
// readv and writev, which the broker does not use, so that these calls can be told from its own.
#pragma once

#include <cerrno>
#include <cstdint>
#include <sys/uio.h>
#include <system_error>

namespace muster::guard {

struct Turn {
  enum class What : std::uint32_t {
    kConnect,  // `count` more peers connect and register
    kAnswer,   // each peer takes its registration's answer or `count` operations, and acks those
    kDone,     // the peers' side: yours again
  };
  What what = What::kDone;
  std::uint32_t count = 0;
};

inline void give_turn(int fd, Turn turn) {
  const iovec part{&turn, sizeof(turn)};
  if (::writev(fd, &part, 1) != sizeof(turn)) {
    throw std::system_error(errno, std::generic_category(), "giving the other side its turn");
  }
}

// False when the other side is gone.
[[nodiscard]] inline bool await_turn(int fd, Turn& turn) {
  const iovec part{&turn, sizeof(turn)};
  return ::readv(fd, &part, 1) == sizeof(turn);
}

}  // namespace muster::guard
