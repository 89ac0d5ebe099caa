// What a connection's socket did not take yet. Exists only while there is something in it.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "broker/transport.h"

namespace muster::broker {

class SendQueue {
 public:
  enum class State {
    kEmpty,    // all is written
    kBlocked,  // the socket takes no more for now
    kBroken,   // it never will
  };

  // `account`, which outlives it, is charged with what waits; null: nobody is.
  explicit SendQueue(core::QueueAccount* account) noexcept : account_(account) {}
  ~SendQueue() { settle(bytes_); }
  SendQueue(const SendQueue&) = delete;
  SendQueue& operator=(const SendQueue&) = delete;

  // `written` bytes of the frame are on their way already.
  void push(FramePtr frame, std::size_t written);
  // Writes what the socket takes, without blocking.
  State flush(int fd) noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  void consume(std::size_t written) noexcept;
  void settle(std::size_t bytes) noexcept {
    if (account_ != nullptr) account_->used -= bytes;
  }

  core::QueueAccount* account_;
  std::vector<FramePtr> frames_;
  std::size_t first_ = 0;    // the first of frames_ that is not written
  std::size_t written_ = 0;  // of the first
  std::size_t bytes_ = 0;    // left to write
};

// Writes `frame` to a socket with an empty queue: how much was taken, or -1 when it is broken.
[[nodiscard]] std::ptrdiff_t write_now(int fd, std::string_view frame) noexcept;

// What ends a connection for which `more` bytes would have to wait; nothing: they may. `queue` and
// `account` are its own, null when it has none; `most` bytes may wait for it alone.
[[nodiscard]] std::optional<core::LossCause> refusal_to_queue(const SendQueue* queue,
                                                              const core::QueueAccount* account,
                                                              std::size_t more,
                                                              std::size_t most) noexcept;

// Before a connection is closed: writes what the socket still takes of `queue` (null: there is
// none), and makes the peer see the end of the stream behind it.
void say_last_words(int fd, SendQueue* queue) noexcept;

}  // namespace muster::broker
