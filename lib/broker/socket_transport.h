// What both transports do the same way: the table of connections, what waits to be written to each,
// cutting what was read into frames, and how a connection ends.
//
// A transport adds how bytes get to the kernel and back, and the turns of the loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include <asio/io_context.hpp>

#include "broker/frame_splitter.h"
#include "broker/handler_memory.h"
#include "broker/send_queue.h"
#include "broker/transport.h"
#include "core/slot_table.h"

namespace muster::broker {

class SocketTransport : public Transport {
 public:
  [[nodiscard]] int socket_of(ConnectionId connection) const noexcept final;
  void charge(ConnectionId connection, core::QueueAccount& account) noexcept final;
  [[nodiscard]] bool has_peer(ConnectionId connection) const noexcept final;
  void hang_up(ConnectionId connection) noexcept final;
  void release(ConnectionId connection) noexcept final;
  [[nodiscard]] std::size_t open_count() const noexcept final { return open_; }

 protected:
  // In one turn of the loop.
  static constexpr std::size_t kEventsATurn = 512;
  static constexpr std::size_t kBytesATurn = 1024 * 1024;
  // One recv: at least one frame of any size, and many of the usual ones.
  static constexpr std::size_t kBufferBytes = 128 * 1024;

  struct Connection {
    os::UniqueFd socket;  // empty: closed, the slot waits for release()
    bool broken = false;  // writing failed, or the stream is no frames: a lost() is on its way
    bool wants_to_write = false;  // epoll: it waits for EPOLLOUT
    bool is_half_closed = false;  // nothing more comes; its end is awaited
    std::uint16_t batch = 0;      // io_uring: the last in which something was sent to it
    std::unique_ptr<SendQueue> queue;
    core::QueueAccount* account = nullptr;  // its user's; charged by the queue
    PartialFrame partial;
    WatchId hang_up;  // io_uring: of one that is half closed
  };

  SocketTransport(asio::io_context& context, std::size_t max_queued_bytes, Events& events);

  // --- what a transport adds

  // write_queue() is to be called when the socket takes bytes. Throws std::exception.
  virtual void wait_writable(ConnectionId id, Connection& connection) = 0;
  // Before hang_up() writes the last words: what send() held back for it leaves.
  virtual void send_held_back(const Connection& connection) noexcept = 0;
  // The socket is closed next: nothing is awaited of it any more.
  virtual void forget(const Connection& connection) noexcept = 0;
  // end_of_stream() is to be called when nobody has the other end any more, and nothing more is
  // received until then. Throws std::exception.
  virtual void wait_for_hang_up(ConnectionId id, Connection& connection) = 0;

  // --- what it uses

  // Null when it is not open.
  [[nodiscard]] Connection* find_open(ConnectionId id) noexcept {
    Connection* const connection = connections_.find(id);
    return connection != nullptr && connection->socket ? connection : nullptr;
  }
  // The connection ends in a later turn.
  void break_later(ConnectionId id, Connection& connection, core::LossCause cause) {
    if (!std::exchange(connection.broken, true)) broken_.add(id, cause);
  }
  // The frame waits; `written` bytes of it are on their way already.
  void enqueue(ConnectionId id, Connection& connection, FramePtr frame, std::size_t written);
  // Writes what waits. False: some of it still does. REQUIRES: something does.
  [[nodiscard]] bool write_queue(ConnectionId id, Connection& connection);

  // Hands on the frames that end in `bytes`, which were received.
  void deliver(ConnectionId id, Connection& connection, std::string_view bytes);
  // One recv, and what it got is delivered. False at the end of the stream.
  bool receive(ConnectionId id, Connection& connection);
  // Delivers what the socket holds now.
  void read_rest(ConnectionId id);

  // Nothing more comes. All that had arrived was delivered.
  void end_of_stream(ConnectionId id);
  // The same.
  void lose(ConnectionId id, core::LossCause cause);
  // REQUIRES: it is open.
  void close(Connection& connection) noexcept;
  // False when it was done before.
  bool stop_connections() noexcept;

  asio::io_context& context_;
  Events& events_;
  HandlerMemory& memory_;
  const std::size_t max_queued_bytes_;
  core::SlotTable<ConnectionId, Connection> connections_;
  std::size_t open_ = 0;
  bool stopped_ = false;
  std::size_t received_ = 0;  // bytes, in this turn
  std::unique_ptr<char[]> buffer_;

 private:
  bool end(ConnectionId id, core::LossCause cause);

  BrokenConnections broken_;
};

}  // namespace muster::broker
