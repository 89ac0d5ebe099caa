// Writing: at once when the socket takes it, else through a bounded queue.
#include <utility>

#include "broker/epoll_transport.h"

namespace muster::broker {

void EpollTransport::send(ConnectionId id, const FramePtr& frame) {
  Connection* const connection = find_open(id);
  if (connection == nullptr || connection->broken) return;
  const auto& bytes = frame->bytes;
  std::ptrdiff_t written = 0;
  if (connection->queue == nullptr) {
    written = write_now(connection->socket.get(), bytes);
    if (written == static_cast<std::ptrdiff_t>(bytes.size())) return;
    if (written < 0) return break_later(id, *connection, core::LossCause::kClosed);
  }
  enqueue(id, *connection, frame, static_cast<std::size_t>(written));
}

void EpollTransport::send(ConnectionId id, std::string frame) {
  Connection* const connection = find_open(id);
  if (connection == nullptr) return;
  // The last words of a slow reader still go behind what is queued: see hang_up().
  if (connection->broken && connection->queue == nullptr) return;
  std::ptrdiff_t written = 0;
  if (connection->queue == nullptr) {
    written = write_now(connection->socket.get(), frame);
    if (written == static_cast<std::ptrdiff_t>(frame.size())) return;
    if (written < 0) return break_later(id, *connection, core::LossCause::kClosed);
  }
  enqueue(id, *connection, std::make_shared<const OutboundBytes>(std::move(frame)),
          static_cast<std::size_t>(written));
}

void EpollTransport::wait_writable(ConnectionId id, Connection& connection) {
  want_write(id, connection, true);
}

void EpollTransport::flush(ConnectionId id, Connection& connection) {
  if (connection.queue != nullptr && !write_queue(id, connection)) return;
  want_write(id, connection, false);
}

}  // namespace muster::broker
