// Sockets, as the broker sees them: frames in, frames out, and descriptors that become readable.
//
// The one place that knows how bytes are moved, so that it can be changed without the rest knowing.
// A transport runs on an io_context's thread, does a bounded amount of work in one turn of it, and
// calls its Events from the loop only: never from inside one of its own functions, except for
// drain() and drain_all(), whose point it is.
//
// What belongs to a connection costs memory only while there is something in it: a queue while
// the peer does not read, a buffer while half a message is there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/broker.h"
#include "core/queue_account.h"
#include "core/shell.h"
#include "core/types.h"
#include "os/unique_fd.h"

namespace asio {
class io_context;
}

namespace muster::broker {

class HandlerMemory;

using core::ConnectionId;

// Bytes on their way to one connection or to many: a whole frame, header included.
struct OutboundBytes {
  explicit OutboundBytes(std::string b) : bytes(std::move(b)) {}
  const std::string bytes;
};
using FramePtr = std::shared_ptr<const OutboundBytes>;

class Transport {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    // Before the first event of each turn.
    virtual void turn_begins() noexcept = 0;
    // One whole frame; `body` is good during the call.
    virtual void frame_arrived(ConnectionId connection, std::string_view body) = 0;
    // The stream cannot be read any further, and is not. Whoever is told hangs up.
    virtual void stream_broken(ConnectionId connection, std::string problem) = 0;
    // The socket ended or must end. All that had arrived was delivered before; it is closed when
    // the call returns. Once for each connection, and not after hang_up().
    virtual void lost(ConnectionId connection, core::LossCause cause) = 0;
    // The peer sends nothing more, but some process still has its end open. All that had arrived
    // was delivered before. lost() follows when nobody has it any more. At most once.
    virtual void half_closed(ConnectionId connection) = 0;
    // One of the above threw; the connection is closed when the call returns. Or a Watcher did:
    // then no connection is meant.
    virtual void handling_failed(ConnectionId connection, std::string_view what) noexcept = 0;
  };

  // Told that a watched descriptor is readable, again and again until it is not or unwatched.
  class Watcher {
   public:
    virtual ~Watcher() = default;
    virtual void readable(std::uint64_t token) = 0;
  };
  struct WatchId {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;  // 0: no watch
  };

  virtual ~Transport() = default;
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;

  // Takes a connected, non-blocking stream socket. Throws std::system_error when it cannot be
  // watched; the socket is closed then.
  [[nodiscard]] virtual ConnectionId open(os::UniqueFd socket) = 0;

  // Stays the transport's; -1 when it is not open.
  [[nodiscard]] virtual int socket_of(ConnectionId connection) const noexcept = 0;

  // What waits for the connection is counted in `account` from now on, until hang_up() or
  // release(): so long `account` must live. Over the limit the connection ends with
  // LossCause::kUserQuota. A write that the socket takes at once counts nothing. REQUIRES: nothing
  // was sent yet.
  virtual void charge(ConnectionId connection, core::QueueAccount& account) noexcept = 0;

  // Both: in order, never blocking, nothing for a connection that is not open. What goes wrong is
  // reported by lost(), later. REQUIRES: the frame is not null.
  virtual void send(ConnectionId connection, const FramePtr& frame) = 0;
  virtual void send(ConnectionId connection, std::string frame) = 0;

  // Whatever send() still held back is on its way when this returns. What is never flushed leaves
  // at the end of the turn of the loop.
  virtual void flush() = 0;

  // Delivers what the kernel holds for this connection now, in order. The end of the stream is
  // not reported by this. REQUIRES: not called from inside an event of a connection.
  virtual void drain(ConnectionId connection) = 0;
  // One pass over everything that is readable now. REQUIRES: as above, and of a watch.
  virtual void drain_all() = 0;

  // Whether some process still has the other end open. False for a connection that is not open.
  [[nodiscard]] virtual bool has_peer(ConnectionId connection) const noexcept = 0;

  // Writes what the socket takes of what is queued, then closes it. The slot stays taken.
  virtual void hang_up(ConnectionId connection) noexcept = 0;
  // hang_up(), and the slot may be used again.
  virtual void release(ConnectionId connection) noexcept = 0;

  // `fd` stays the caller's and must be unwatched before it is closed. Throws std::system_error.
  [[nodiscard]] virtual WatchId watch(int fd, Watcher& watcher, std::uint64_t token) = 0;
  virtual void unwatch(WatchId watch) noexcept = 0;

  // How many sockets are open.
  [[nodiscard]] virtual std::size_t open_count() const noexcept = 0;

  // hang_up() for everybody; nothing is reported and the io_context is not kept busy any more.
  virtual void stop() noexcept = 0;

 protected:
  // An exception while one connection is handled ends that connection and nothing else.
  template <class Function>
  void guarded(Events& events, ConnectionId connection, Function&& function) noexcept {
    try {
      function();
    } catch (...) {
      end_after_exception(events, connection);
    }
  }

 private:
  void end_after_exception(Events& events, ConnectionId connection) noexcept;
};

// Connections whose sending failed. The core must not be called back from inside its own send(), so
// they end in a later turn of the loop, a bounded number in each. One thread, the io_context's.
class BrokenConnections {
 public:
  // `end` is told of each; false: no more of them. This outlives what it posts.
  using End = std::function<bool(ConnectionId connection, core::LossCause cause)>;
  BrokenConnections(asio::io_context& context, Transport::Events& events, End end);

  void add(ConnectionId connection, core::LossCause cause);
  // Nothing of what was added is told any more.
  void forget() noexcept { broken_.clear(); }

 private:
  static constexpr std::size_t kATurn = 512;

  struct Broken {
    ConnectionId connection;
    core::LossCause cause = core::LossCause::kClosed;
  };

  void schedule();
  void turn();

  asio::io_context& context_;
  HandlerMemory& memory_;
  Transport::Events& events_;
  End end_;
  std::vector<Broken> broken_;
  bool scheduled_ = false;
};

// Whether some process has the other end of a connected stream socket. One that was shut down in
// both directions counts as closed: the kernel does not tell these apart.
[[nodiscard]] bool has_peer(int socket) noexcept;

// `kind`: "epoll", "io_uring", or "auto", which is io_uring where the kernel has and allows it,
// else epoll; `fell_back` is then told why, in words. Throws std::invalid_argument for a kind that
// is not known, std::runtime_error when it cannot be had.
[[nodiscard]] std::unique_ptr<Transport> make_transport(std::string_view kind,
                                                        asio::io_context& context,
                                                        std::size_t max_queued_bytes,
                                                        Transport::Events& events,
                                                        std::string* fell_back = nullptr);

}  // namespace muster::broker
