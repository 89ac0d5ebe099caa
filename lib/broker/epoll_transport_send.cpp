// Writing: at once when the socket takes it, else through a bounded queue; and the last words of a
// connection that is hung up.
#include <exception>
#include <utility>

#include "broker/epoll_transport.h"

namespace muster::broker {

void EpollTransport::charge(ConnectionId id, core::QueueAccount& account) noexcept {
  Connection* const connection = connections_.find(id);
  if (connection == nullptr) return;
  connection->account = &account;
  connection->partial.charge(account);
}

void EpollTransport::send(ConnectionId id, const FramePtr& frame) {
  Connection* const connection = connections_.find(id);
  if (connection == nullptr || !connection->socket || connection->broken) return;
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
  Connection* const connection = connections_.find(id);
  if (connection == nullptr || !connection->socket) return;
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

void EpollTransport::enqueue(ConnectionId id, Connection& connection, FramePtr frame,
                             std::size_t written) {
  try {
    if (!connection.broken) {
      const auto refusal = refusal_to_queue(connection.queue.get(), connection.account,
                                            frame->bytes.size() - written, max_queued_bytes_);
      if (refusal) return break_later(id, connection, *refusal);
    }
    if (connection.queue == nullptr) {
      connection.queue = std::make_unique<SendQueue>(connection.account);
    }
    connection.queue->push(std::move(frame), written);
    want_write(id, connection, true);
  } catch (const std::exception&) {
    // Half a frame may be out: nothing that follows would make sense to the peer.
    connection.queue.reset();
    break_later(id, connection, core::LossCause::kClosed);
  }
}

void EpollTransport::flush(ConnectionId id, Connection& connection) {
  if (connection.queue != nullptr) {
    const auto state = connection.queue->flush(connection.socket.get());
    if (state == SendQueue::State::kBlocked) return;
    connection.queue.reset();
    if (state == SendQueue::State::kBroken) break_later(id, connection, core::LossCause::kClosed);
  }
  want_write(id, connection, false);
}

void EpollTransport::break_later(ConnectionId id, Connection& connection, core::LossCause cause) {
  if (!std::exchange(connection.broken, true)) broken_.add(id, cause);
}

bool EpollTransport::end(ConnectionId id, core::LossCause cause) {
  if (stopped_) return false;
  drain(id);  // an answer that is there counts, whatever became of its sender
  guarded(events_, id, [&] { lose(id, cause); });
  return !stopped_;
}

void EpollTransport::hang_up(ConnectionId id) noexcept {
  Connection* const connection = connections_.find(id);
  if (connection == nullptr || !connection->socket) return;
  say_last_words(connection->socket.get(), connection->queue.get());
  close(*connection);
}

}  // namespace muster::broker
