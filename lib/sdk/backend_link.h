// One connection to a broker: whole frames over a non-blocking Unix socket, without a loop.
//
// Whoever drives it waits for the socket, and calls receive() when there is something to read and
// flush() when there is room to write. What is sent waits in a queue that is bounded in bytes.
// Never raises SIGPIPE. One thread at a time.
//
// The descriptor may be taken away: a program that closes all its descriptors (closefrom(3)) may
// get the number again for something else, which is then neither read, written nor closed here.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <system_error>

#include "os/unique_fd.h"

namespace muster {

// Which file a descriptor is, for as long as that is open.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;

  [[nodiscard]] static std::optional<FileIdentity> of(int fd) noexcept;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

class BackendLink {
 public:
  // `socket` is connected and non-blocking.
  explicit BackendLink(os::UniqueFd socket);
  // Shuts the connection down, and closes the descriptor unless it was taken away.
  ~BackendLink();
  BackendLink(const BackendLink&) = delete;
  BackendLink& operator=(const BackendLink&) = delete;

  struct Received {
    std::optional<std::string_view> body;  // of one frame; good until the next receive()
    std::error_code error;                 // why there will be no more
    std::string problem;                   // what came is not the protocol
  };
  // All three unset: nothing is there now.
  [[nodiscard]] Received receive();

  // Written at once as far as nothing waits and the socket takes it. False when the queue is full:
  // nothing of it is sent, and the caller is to give the connection up. After a write that failed
  // it does nothing; receive() then gives what the broker had said, and the end.
  [[nodiscard]] bool send(std::string frames);
  void flush();
  [[nodiscard]] bool blocked() const noexcept { return !queue_.empty(); }
  // Last words: sent if nothing waits and the socket takes them; then no more comes or goes.
  void say_goodbye(std::string_view frames) noexcept;

  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  // The descriptor is still this connection's. Once it is not, it is left alone.
  [[nodiscard]] bool is_ours() noexcept;

 private:
  void fail() noexcept;

  os::UniqueFd socket_;
  const std::optional<FileIdentity> identity_;

  std::string input_;
  std::size_t taken_ = 0;  // of input_

  std::deque<std::string> queue_;
  std::size_t written_ = 0;  // of its front
  std::size_t queued_ = 0;   // bytes
  std::error_code error_;
};

}  // namespace muster
