#include "broker/socket_transport.h"

#include <cerrno>
#include <exception>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace muster::broker {

SocketTransport::SocketTransport(asio::io_context& context, std::size_t max_queued_bytes,
                                 Events& events)
    : context_(context),
      events_(events),
      memory_(asio::use_service<HandlerMemory>(context)),
      max_queued_bytes_(max_queued_bytes),
      buffer_(std::make_unique<char[]>(kBufferBytes)),
      broken_(context, events,
              [this](ConnectionId id, core::LossCause cause) { return end(id, cause); }) {}

int SocketTransport::socket_of(ConnectionId id) const noexcept {
  const Connection* const found = connections_.find(id);
  return found == nullptr ? -1 : found->socket.get();
}

void SocketTransport::charge(ConnectionId id, core::QueueAccount& account) noexcept {
  Connection* const connection = connections_.find(id);
  if (connection == nullptr) return;
  connection->account = &account;
  connection->partial.charge(account);
}

bool SocketTransport::has_peer(ConnectionId id) const noexcept {
  const Connection* const connection = connections_.find(id);
  return connection != nullptr && connection->socket && broker::has_peer(connection->socket.get());
}

// --- what waits to be written

void SocketTransport::enqueue(ConnectionId id, Connection& connection, FramePtr frame,
                              std::size_t written) {
  try {
    if (!connection.broken) {
      const auto refusal = refusal_to_queue(connection.queue.get(), connection.account,
                                            frame->bytes.size() - written, max_queued_bytes_);
      if (refusal) return break_later(id, connection, *refusal);
    }
    if (connection.queue == nullptr) {
      wait_writable(id, connection);
      connection.queue = std::make_unique<SendQueue>(connection.account);
    }
    connection.queue->push(std::move(frame), written);
  } catch (const std::exception&) {
    // Half a frame may be out: nothing that follows would make sense to the peer.
    connection.queue.reset();
    break_later(id, connection, core::LossCause::kClosed);
  }
}

bool SocketTransport::write_queue(ConnectionId id, Connection& connection) {
  const auto state = connection.queue->flush(connection.socket.get());
  if (state == SendQueue::State::kBlocked) return false;
  connection.queue.reset();
  if (state == SendQueue::State::kBroken) break_later(id, connection, core::LossCause::kClosed);
  return true;
}

// --- reading

void SocketTransport::deliver(ConnectionId id, Connection& connection, std::string_view bytes) {
  received_ += bytes.size();
  bool is_open = true;
  auto problem =
      split_frames(connection.partial, bytes, wire::kMaxBackendBody, [&](std::string_view body) {
        events_.frame_arrived(id, body);
        is_open = find_open(id) != nullptr;
        return is_open;
      });
  if (!is_open) return;
  if (!connection.partial.has_room()) break_later(id, connection, core::LossCause::kUserQuota);
  if (problem.empty()) return;
  events_.stream_broken(id, std::move(problem));
  if (Connection* const still = find_open(id)) close(*still);
}

bool SocketTransport::receive(ConnectionId id, Connection& connection) {
  const ssize_t size = ::recv(connection.socket.get(), buffer_.get(), kBufferBytes, MSG_DONTWAIT);
  if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  if (size == 0) return false;
  deliver(id, connection, {buffer_.get(), static_cast<std::size_t>(size)});
  return true;
}

void SocketTransport::read_rest(ConnectionId id) {
  const Connection* const first = find_open(id);
  if (first == nullptr) return;
  // Somebody may go on writing: a child that inherited the socket. That is not for this call.
  int queued = 0;
  if (::ioctl(first->socket.get(), SIOCINQ, &queued) != 0 || queued <= 0) return;
  const std::size_t until = received_ + static_cast<std::size_t>(queued);
  while (received_ < until) {
    const std::size_t before = received_;
    Connection* const connection = find_open(id);
    if (connection == nullptr || !receive(id, *connection) || received_ == before) return;
  }
}

// --- the end of a connection

bool SocketTransport::end(ConnectionId id, core::LossCause cause) {
  if (stopped_) return false;
  drain(id);  // an answer that is there counts, whatever became of its sender
  guarded(events_, id, [&] { lose(id, cause); });
  return !stopped_;
}

void SocketTransport::end_of_stream(ConnectionId id) {
  Connection* const connection = find_open(id);
  if (connection == nullptr) return;
  if (connection->broken || !broker::has_peer(connection->socket.get())) {
    return lose(id, core::LossCause::kClosed);
  }
  if (connection->is_half_closed) return;
  connection->is_half_closed = true;
  wait_for_hang_up(id, *connection);
  events_.half_closed(id);
}

void SocketTransport::lose(ConnectionId id, core::LossCause cause) {
  Connection* const connection = find_open(id);
  if (connection == nullptr) return;
  if (cause == core::LossCause::kClosed) close(*connection);
  events_.lost(id, cause);
  hang_up(id);
}

void SocketTransport::hang_up(ConnectionId id) noexcept {
  Connection* const connection = find_open(id);
  if (connection == nullptr) return;
  send_held_back(*connection);
  say_last_words(connection->socket.get(), connection->queue.get());
  close(*connection);
}

void SocketTransport::close(Connection& connection) noexcept {
  forget(connection);
  connection = Connection{};
  --open_;
}

void SocketTransport::release(ConnectionId id) noexcept {
  hang_up(id);
  connections_.erase(id);
}

bool SocketTransport::stop_connections() noexcept {
  if (std::exchange(stopped_, true)) return false;
  broken_.forget();
  connections_.for_each([&](ConnectionId id, Connection&) { release(id); });
  return true;
}

}  // namespace muster::broker
