// Whole frames over a connected Unix stream socket, for coroutines, and why they ended.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include "os/unique_fd.h"
#include "wire/framing.h"

namespace muster::net {

// Why a framed stream ended or did not take something, as std::error_code.
enum class Errc {
  kEndOfStream = 1,  // the peer closed between two frames
  kTruncated,        // the peer closed in the middle of a frame
  kBadFrame,         // what came is no frame, or is over the limit
  kQueueFull,        // the peer does not read: what is queued would go over its bound
  kClosed,           // closed at this end
  kNoRoom,           // StreamLimits::charge_received refused
};

[[nodiscard]] const std::error_category& stream_category() noexcept;
[[nodiscard]] inline std::error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), stream_category()};
}

// Whole frames over a connected Unix stream socket, for coroutines.
//
// Lives on one executor whose handlers never run at the same time; every member function is called
// there, but for those that say otherwise. One coroutine at a time may be in receive(). What is
// sent waits in a queue that is bounded in bytes; a writer takes all that is queued at once.
//
// Lifetime: destroying a FramedStream closes it; what still runs for it keeps what it needs and
// ends by itself. It may be destroyed together with its io_context. Never raises SIGPIPE.

using SharedBytes = std::shared_ptr<const std::string>;

struct StreamLimits {
  std::size_t first_body = wire::kMaxFirstBody;  // the first frame that is received
  std::size_t body = wire::kMaxBackendBody;      // each later one
  std::size_t queued_bytes = 256 * 1024;         // waiting to be sent
  // Asked whenever the memory for what was received changes by that many bytes. False, of a
  // growth only: there is no room, and receive() ends with kNoRoom. Null: there always is.
  std::function<bool(std::ptrdiff_t bytes)> charge_received = nullptr;
};

struct Received {
  std::string_view body;  // good until the next receive(); when error is not set
  std::error_code error;  // why there will be no more: an Errc, or what the system said
  std::string problem;    // kBadFrame: the sentence to refuse with
};

class FramedStream {
 public:
  // `socket` is connected; it is made non-blocking.
  FramedStream(const asio::any_io_executor& executor, os::UniqueFd socket,
               StreamLimits limits = {});
  ~FramedStream();
  FramedStream(const FramedStream&) = delete;
  FramedStream& operator=(const FramedStream&) = delete;

  // The next frame's body. After a failed send this still gives what the peer had sent before.
  // Gives the executor's other handlers a turn now and then, however much there is to read.
  [[nodiscard]] asio::awaitable<Received> receive();

  // Both: `framed` is one or more whole frames. In order, never waiting. kQueueFull when it does
  // not fit into the queue (nothing of it is sent; the caller is to close), kClosed after a close,
  // else what a write said.
  //
  // Sent at the executor's next turn, together with whatever else is sent in this one.
  std::error_code send(SharedBytes framed);
  std::error_code send(std::string framed);
  // Parts of one or more whole frames: all of them or none.
  std::error_code send(std::span<const SharedBytes> parts);
  // Written before this returns, as far as nothing waits before it and the socket takes it.
  std::error_code send_now(SharedBytes framed);
  std::error_code send_now(std::string framed);

  // Takes no more to send, and closes when all that is queued is written, or writing fails. A peer
  // that does not read can hold that up for ever: close() ends it.
  void close_after_flush();
  // At once; receive() gives kClosed.
  void close();
  [[nodiscard]] bool is_open() const noexcept;

  // Whether the peer still has its end open, for reading or for writing: the kernel is asked.
  [[nodiscard]] bool has_peer() const noexcept;

  // Waiting to be sent. Any thread.
  [[nodiscard]] std::size_t queued_bytes() const noexcept;
  // Last words for an executor that may never run again: writes `framed` if nothing is queued and
  // the socket takes it, and shuts the socket down. Any thread, while no other member function but
  // a suspended receive() runs.
  void say_goodbye(std::string_view framed) noexcept;
  // -1 once closed.
  [[nodiscard]] int native_handle() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::net

template <>
struct std::is_error_code_enum<muster::net::Errc> : std::true_type {};
