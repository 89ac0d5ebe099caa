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
#include <string>
#include <string_view>
#include <sys/epoll.h>

#include <asio/io_context.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>

#include "broker/socket_transport.h"
#include "core/slot_table.h"

namespace muster::broker {

class EpollTransport final : public SocketTransport {
 public:
  EpollTransport(asio::io_context& context, std::size_t max_queued_bytes, Events& events);
  ~EpollTransport() override;

  [[nodiscard]] std::string_view name() const noexcept override { return "epoll"; }
  [[nodiscard]] ConnectionId open(os::UniqueFd socket) override;
  void send(ConnectionId connection, const FramePtr& frame) override;
  void send(ConnectionId connection, std::string frame) override;
  void flush() override {}  // nothing is held back
  void drain(ConnectionId connection) override;
  void drain_all() override;
  [[nodiscard]] WatchId watch(int fd, Watcher& watcher, std::uint64_t token) override;
  void unwatch(WatchId watch) noexcept override;
  void stop() noexcept override;

 private:
  struct Watch {
    int fd = -1;
    Watcher* watcher = nullptr;
    std::uint64_t token = 0;
  };

  void wait();
  void turn();
  void fetch();
  void read_everybody();
  void handle(const epoll_event& event);
  void handle_connection(ConnectionId id, std::uint32_t events);
  void flush(ConnectionId id, Connection& connection);
  void want_write(ConnectionId id, Connection& connection, bool wanted);
  void wait_writable(ConnectionId id, Connection& connection) override;
  void send_held_back(const Connection&) noexcept override {}  // nothing is
  void set_events(ConnectionId id, Connection& connection, bool with_writing);
  void forget(const Connection& connection) noexcept override;
  void wait_for_hang_up(ConnectionId id, Connection& connection) override;
  void post(void (EpollTransport::*step)());

  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> epoll_;
  core::SlotTable<WatchId, Watch> watches_;

  // The events that were fetched and are not handled yet.
  std::array<epoll_event, kEventsATurn> fetched_{};
  std::size_t next_ = 0;
  std::size_t count_ = 0;
  bool draining_ = false;  // inside drain_all()
};

}  // namespace muster::broker
