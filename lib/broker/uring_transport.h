// The transport on io_uring, and what its requests are tagged with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>

#include "broker/frame_splitter.h"
#include "broker/handler_memory.h"
#include "broker/io_ring.h"
#include "broker/send_queue.h"
#include "broker/transport.h"
#include "broker/watch_set.h"
#include "core/slot_table.h"
#include "core/types.h"

namespace muster::broker {

// What a request to the ring was about: the 64 bits that come back with its completion.
//
//   63..32  the connection's generation; 0 for a send
//   31      for a connection: whether it waits to be writable
//   30..0   the connection's slot, or which send of the batch it was
struct Tag {
  enum class Kind { kSend, kReceive, kWritable };
  Kind kind = Kind::kSend;
  core::ConnectionId connection;  // of a send: its slot is the number in the batch
};

inline constexpr std::uint64_t kWritableBit = 0x8000'0000U;

constexpr std::uint64_t pack(Tag tag) noexcept {
  const std::uint64_t slot = tag.connection.slot;
  switch (tag.kind) {
    case Tag::Kind::kSend:
      return slot;
    case Tag::Kind::kReceive:
      return std::uint64_t{tag.connection.generation} << 32 | slot;
    case Tag::Kind::kWritable:
      return std::uint64_t{tag.connection.generation} << 32 | kWritableBit | slot;
  }
  return 0;
}

constexpr Tag unpack(std::uint64_t bits) noexcept {
  const auto slot = static_cast<std::uint32_t>(bits & (kWritableBit - 1));
  const auto generation = static_cast<std::uint32_t>(bits >> 32);
  if (generation == 0) return {Tag::Kind::kSend, {slot, 0}};
  const bool writable = (bits & kWritableBit) != 0;
  return {writable ? Tag::Kind::kWritable : Tag::Kind::kReceive, {slot, generation}};
}

// The transport on io_uring.
//
// What is sent while the loop handles one thing waits in `outbox_` and goes to the kernel in one
// call: at the end of a turn, when enough has gathered, or when somebody must know what became of
// it. After that call nothing of it is under way: a socket took it, or what it did not take is in
// the connection's queue, which is written when the socket takes bytes again.
//
// Every open connection has one receive armed, which stays armed and fills buffers from the ring's.
// The kernel reads a socket only inside our own calls (see io_ring.h), so what was received in
// them, in order, and then what is still in the socket, is all there is.
//
// A closed socket is shut down before: the armed receive holds on to it, and ends by that. What
// completes for a connection that is gone finds its slot's generation changed.
//
// One turn takes at most kEventsATurn completions and about kBytesATurn bytes. Listeners and pidfds
// are in a WatchSet.
class UringTransport final : public Transport {
 public:
  // Throws std::system_error, with a text for people, where io_uring cannot be used.
  UringTransport(asio::io_context& context, std::size_t max_queued_bytes, Events& events);
  ~UringTransport() override;

  [[nodiscard]] std::string_view name() const noexcept override { return "io_uring"; }
  [[nodiscard]] ConnectionId open(os::UniqueFd socket) override;
  [[nodiscard]] int socket_of(ConnectionId connection) const noexcept override;
  void charge(ConnectionId connection, core::QueueAccount& account) noexcept override;
  void send(ConnectionId connection, const FramePtr& frame) override;
  void send(ConnectionId connection, std::string frame) override;
  void flush() override;
  void drain(ConnectionId connection) override;
  void drain_all() override;
  [[nodiscard]] bool has_peer(ConnectionId connection) const noexcept override;
  void hang_up(ConnectionId connection) noexcept override;
  void release(ConnectionId connection) noexcept override;
  [[nodiscard]] WatchId watch(int fd, Watcher& watcher, std::uint64_t token) override;
  void unwatch(WatchId watch) noexcept override;
  [[nodiscard]] std::size_t open_count() const noexcept override { return open_; }
  void stop() noexcept override;

 private:
  static constexpr std::size_t kEventsATurn = 512;
  static constexpr std::size_t kBytesATurn = 1024 * 1024;
  static constexpr std::size_t kSendsAtOnce = 256;
  static constexpr std::size_t kBufferBytes = 64 * 1024;

  struct Connection {
    os::UniqueFd socket;      // empty: closed, the slot waits for release()
    bool broken = false;      // writing failed, or the stream is no frames: a lost() is on its way
    std::uint32_t batch = 0;  // the last in which something was sent to it
    std::unique_ptr<SendQueue> queue;
    core::QueueAccount* account = nullptr;  // its user's; charged by the queue
    PartialFrame partial;
  };
  struct Outbound {
    ConnectionId connection;
    std::uint32_t frame = 0;  // of frames_
  };
  using Completion = IoRing::Completion;

  // uring_transport.cpp: the loop, and what arrives
  void wait();
  void schedule_turn();
  void turn();
  void rest();
  bool collect() noexcept;
  void handle(const Completion& completion);
  void handle_received(ConnectionId id, const Completion& completion);
  void arm(ConnectionId id, const Connection& connection);
  void deliver(ConnectionId id, Connection& connection, std::string_view bytes);
  void read_rest(ConnectionId id);
  void lose(ConnectionId id, core::LossCause cause);
  void close(Connection& connection) noexcept;
  [[nodiscard]] Connection* find_open(ConnectionId id) noexcept;

  // uring_transport_send.cpp: what leaves
  void put(ConnectionId id, Connection& connection, const FramePtr& frame);
  bool exchange(bool collect) noexcept;
  void request_sends() noexcept;
  void take_completions();
  void sent_less(std::size_t index, std::int32_t result);
  void enqueue(ConnectionId id, Connection& connection, FramePtr frame, std::size_t written);
  void write_queue(ConnectionId id, Connection& connection);
  void wait_writable(ConnectionId id, const Connection& connection);
  void break_later(ConnectionId id, Connection& connection, core::LossCause cause);
  bool end(ConnectionId id, core::LossCause cause);

  asio::io_context& context_;
  Events& events_;
  HandlerMemory& memory_;
  const std::size_t max_queued_bytes_;
  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> wake_;
  IoRing ring_;
  WatchSet watches_;
  core::SlotTable<ConnectionId, Connection> connections_;
  std::size_t open_ = 0;
  bool stopped_ = false;

  bool waiting_ = false;         // for the ring's descriptor
  bool turn_scheduled_ = false;  // posted
  bool in_turn_ = false;
  std::size_t received_ = 0;  // bytes, in this turn

  // Taken from the ring and not handled yet.
  std::vector<Completion> inbox_;
  std::size_t next_ = 0;
  // To be sent. A frame that goes to many, one after another, stands in frames_ once.
  std::vector<Outbound> outbox_;
  std::vector<FramePtr> frames_;
  std::size_t requested_ = 0;  // of outbox_: handed to the ring
  std::uint32_t batch_ = 1;    // what is in the outbox; a connection is in it once

  BrokenConnections broken_;
  std::unique_ptr<char[]> buffer_;  // for what is read without the ring
};

}  // namespace muster::broker
