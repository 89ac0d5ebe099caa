// Listening Unix sockets in a directory that one broker at a time owns.
//
// A broker first claims its directory (a lock file that lives as long as the claim), then makes
// its sockets there. What can go wrong is told in one sentence that says what is wrong and what
// would be right; nothing throws but bad_alloc, and nothing is left half done.
//
// Any thread, one at a time for each object.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "os/unique_fd.h"

namespace muster::os {

inline constexpr char kLockFileName[] = "musterd.lock";

struct Listening {
  UniqueFd socket;      // listening, non-blocking, close-on-exec; valid when problem is empty
  std::string problem;  // one sentence
};

// The exclusive right to make sockets in a directory; moved, not copied. The destructor removes the
// sockets that were made and then gives the right back. The lock file itself stays: removing
// it would let two brokers hold "the" lock, one of them on a file without a name.
class SocketDirClaim {
 public:
  struct Result;

  // Makes the directory where it is missing (0755 for root, 0700 for others; its parent must be
  // there) and takes the lock. Refuses a directory that another broker holds, that cannot be
  // written or that is none.
  [[nodiscard]] static Result claim(const std::filesystem::path& directory);

  SocketDirClaim() = default;
  SocketDirClaim(SocketDirClaim&&) noexcept = default;
  SocketDirClaim& operator=(SocketDirClaim&& other) noexcept;
  ~SocketDirClaim();

  // Makes a listening stream socket `name` with exactly `mode`. The socket of a dead broker is
  // replaced; a socket that somebody listens on, and whatever is no socket, is left alone and
  // refused. Nobody can connect before the mode is right. REQUIRES: claim() succeeded.
  [[nodiscard]] Listening listen(std::string_view name, mode_t mode);

  // Whether the lock file that is in the directory now is the one that is held: not when the
  // directory was removed, renamed or replaced.
  [[nodiscard]] bool holds_directory() const noexcept;
  // Whether the socket `name` that was made last is still what has that name.
  [[nodiscard]] bool is_in_place(std::string_view name) const;

  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(lock_); }
  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }

 private:
  struct Made {
    std::filesystem::path path;
    dev_t device = 0;
    ino_t inode = 0;
  };

  void give_up() noexcept;

  std::filesystem::path directory_;
  UniqueFd lock_;
  std::vector<Made> sockets_;
};

struct SocketDirClaim::Result {
  SocketDirClaim claim;  // valid when problem is empty
  std::string problem;   // one sentence
};

// A listening socket at `path`, as SocketDirClaim::listen() makes them, for tests and for programs
// that own the path by other means.
[[nodiscard]] Listening listen_unix(const std::filesystem::path& path, mode_t mode);

// Whether another process that has the same socket shut it down: nobody can connect any more, and
// accept(2) only ever says that nobody waits.
[[nodiscard]] bool is_shut_down(int listener) noexcept;

// Checks a socket that was passed to us (by a service manager): a listening Unix stream socket?
// Makes it non-blocking and close-on-exec. One sentence, or nothing when all is well.
[[nodiscard]] std::string adopt_listener(int fd);

}  // namespace muster::os
