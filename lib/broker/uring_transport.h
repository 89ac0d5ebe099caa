// The transport on io_uring, and what its requests are tagged with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>

#include "broker/io_ring.h"
#include "broker/socket_transport.h"
#include "broker/watch_set.h"
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
class UringTransport final : public SocketTransport, private Transport::Watcher {
 public:
  // Throws std::system_error, with a text for people, where io_uring cannot be used.
  UringTransport(asio::io_context& context, std::size_t max_queued_bytes, Events& events);
  ~UringTransport() override;

  [[nodiscard]] std::string_view name() const noexcept override { return "io_uring"; }
  [[nodiscard]] ConnectionId open(os::UniqueFd socket) override;
  void send(ConnectionId connection, const FramePtr& frame) override;
  void send(ConnectionId connection, std::string frame) override;
  void flush() override;
  void drain(ConnectionId connection) override;
  void drain_all() override;
  [[nodiscard]] WatchId watch(int fd, Transport::Watcher& watcher, std::uint64_t token) override;
  void unwatch(WatchId watch) noexcept override;
  void stop() noexcept override;

 private:
  static constexpr std::size_t kSendsAtOnce = 256;

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
  void forget(const Connection& connection) noexcept override;
  void wait_for_hang_up(ConnectionId id, Connection& connection) override;
  void readable(std::uint64_t token) override;  // of a hang-up

  // uring_transport_send.cpp: what leaves
  void put(ConnectionId id, Connection& connection, const FramePtr& frame);
  bool exchange(bool collect) noexcept;
  void request_sends() noexcept;
  void take_completions();
  void sent_less(std::size_t index, std::int32_t result);
  void wait_writable(ConnectionId id, Connection& connection) override;
  void send_held_back(const Connection& connection) noexcept override;

  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> wake_;
  IoRing ring_;
  WatchSet watches_;
  bool waiting_ = false;         // for the ring's descriptor
  bool turn_scheduled_ = false;  // posted
  bool in_turn_ = false;

  // Taken from the ring and not handled yet.
  std::vector<Completion> inbox_;
  std::size_t next_ = 0;
  // To be sent. A frame that goes to many, one after another, stands in frames_ once.
  std::vector<Outbound> outbox_;
  std::vector<FramePtr> frames_;
  std::size_t requested_ = 0;  // of outbox_: handed to the ring
  // What is in the outbox; a connection is in it once. One that meets an old number again when the
  // count comes round is sent to a little sooner than it had to be.
  std::uint16_t batch_ = 1;
};

}  // namespace muster::broker
