// The transport on epoll.
//
// An epoll set of its own holds every socket, pidfd and listener, level-triggered. Asio watches
// that set through one descriptor, so that neither Asio's second recv for each message nor its
// epoll_ctl for each wait is paid. A turn takes at most kEventsATurn events and about kBytesATurn
// bytes, one recv for each readable socket into one shared buffer; what is left waits for the next
// turn.
#pragma once

#include <array>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>

#include "broker/frame_splitter.h"
#include "broker/handler_memory.h"
#include "broker/send_queue.h"
#include "broker/transport.h"
#include "core/slot_table.h"

namespace muster::broker {

class EpollTransport final : public Transport {
 public:
  EpollTransport(asio::io_context& context, std::size_t max_queued_bytes, Events& events);
  ~EpollTransport() override;

  [[nodiscard]] std::string_view name() const noexcept override { return "epoll"; }
  [[nodiscard]] ConnectionId open(os::UniqueFd socket) override;
  [[nodiscard]] int socket_of(ConnectionId connection) const noexcept override;
  void charge(ConnectionId connection, core::QueueAccount& account) noexcept override;
  void send(ConnectionId connection, const FramePtr& frame) override;
  void send(ConnectionId connection, std::string frame) override;
  void flush() override {}  // nothing is held back
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
  // One recv: at least one frame of any size, and many of the usual ones.
  static constexpr std::size_t kBufferBytes = 128 * 1024;

  struct Connection {
    os::UniqueFd socket;  // empty: closed, the slot waits for release()
    bool wants_to_write = false;
    bool broken = false;  // writing failed, or the stream is no frames: a lost() is on its way
    std::unique_ptr<SendQueue> queue;
    core::QueueAccount* account = nullptr;  // its user's; charged by the queue
    PartialFrame partial;
  };
  struct Watch {
    int fd = -1;
    Watcher* watcher = nullptr;
    std::uint64_t token = 0;
  };
  enum class Read { kSome, kNothing, kEnd };

  void wait();
  void turn();
  void fetch();
  void read_everybody();
  void handle(const epoll_event& event);
  void handle_connection(ConnectionId id, std::uint32_t events);
  Read read(ConnectionId id, Connection& connection);
  void read_all(ConnectionId id);
  void lose(ConnectionId id, core::LossCause cause);
  void enqueue(ConnectionId id, Connection& connection, FramePtr frame, std::size_t written);
  void flush(ConnectionId id, Connection& connection);
  void want_write(ConnectionId id, Connection& connection, bool wanted);
  void break_later(ConnectionId id, Connection& connection, core::LossCause cause);
  bool end(ConnectionId id, core::LossCause cause);
  void close(Connection& connection) noexcept;
  void post(void (EpollTransport::*step)());

  asio::io_context& context_;
  Events& events_;
  HandlerMemory& memory_;
  const std::size_t max_queued_bytes_;
  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> epoll_;
  core::SlotTable<ConnectionId, Connection> connections_;
  core::SlotTable<WatchId, Watch> watches_;
  std::size_t open_ = 0;
  bool stopped_ = false;

  // The events that were fetched and are not handled yet.
  std::array<epoll_event, kEventsATurn> fetched_{};
  std::size_t next_ = 0;
  std::size_t count_ = 0;
  std::size_t received_ = 0;  // bytes, in this turn
  bool draining_ = false;     // inside drain_all()

  BrokenConnections broken_;
  std::unique_ptr<char[]> buffer_;
};

}  // namespace muster::broker
