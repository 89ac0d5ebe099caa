// The loop: what is fetched from the epoll set, read from sockets and told to Events. What is
// written stands in epoll_transport_send.cpp.
#include "broker/epoll_transport.h"

#include <cerrno>
#include <exception>
#include <sys/socket.h>
#include <system_error>
#include <utility>

#include <asio/post.hpp>

#include "broker/watch_set.h"

namespace muster::broker {
namespace {

// An event's 64 bits: generation, then slot, whose highest bit tells watches from connections.
constexpr std::uint32_t kWatchBit = 0x8000'0000U;

constexpr std::uint64_t pack(std::uint32_t slot, std::uint32_t generation) noexcept {
  return static_cast<std::uint64_t>(generation) << 32 | slot;
}

}  // namespace

EpollTransport::EpollTransport(asio::io_context& context, std::size_t max_queued_bytes,
                               Events& events)
    : SocketTransport(context, max_queued_bytes, events), epoll_(context, make_epoll()) {
  wait();
}

EpollTransport::~EpollTransport() { stop(); }

void EpollTransport::post(void (EpollTransport::*step)()) {
  asio::post(context_, PooledHandler{&memory_, [this, step] { (this->*step)(); }});
}

// --- who is watched

ConnectionId EpollTransport::open(os::UniqueFd socket) {
  const int fd = socket.get();
  const ConnectionId id = connections_.insert({});
  try {
    watch_readable(epoll_.native_handle(), fd, pack(id.slot, id.generation));
  } catch (...) {
    connections_.erase(id);
    throw;
  }
  connections_.find(id)->socket = std::move(socket);
  ++open_;
  return id;
}

Transport::WatchId EpollTransport::watch(int fd, Watcher& watcher, std::uint64_t token) {
  const WatchId id = watches_.insert({fd, &watcher, token});
  try {
    watch_readable(epoll_.native_handle(), fd, pack(id.slot | kWatchBit, id.generation));
  } catch (...) {
    watches_.erase(id);
    throw;
  }
  return id;
}

void EpollTransport::unwatch(WatchId id) noexcept {
  const Watch* const watch = watches_.find(id);
  if (watch == nullptr) return;
  if (epoll_.is_open()) ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, watch->fd, nullptr);
  watches_.erase(id);
}

void EpollTransport::want_write(ConnectionId id, Connection& connection, bool wanted) {
  if (connection.wants_to_write == wanted) return;
  set_events(id, connection, wanted);
}

void EpollTransport::wait_for_hang_up(ConnectionId id, Connection& connection) {
  set_events(id, connection, connection.wants_to_write);
}

void EpollTransport::set_events(ConnectionId id, Connection& connection, bool with_writing) {
  epoll_event event{};
  event.events = (connection.is_half_closed ? 0U : static_cast<std::uint32_t>(EPOLLIN)) |
                 (with_writing ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
  event.data.u64 = pack(id.slot, id.generation);
  const int fd = connection.socket.get();
  if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_MOD, fd, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
  connection.wants_to_write = with_writing;
}

// --- turns of the loop

void EpollTransport::wait() {
  epoll_.async_wait(asio::posix::descriptor_base::wait_read,
                    PooledHandler{&memory_, [this](const std::error_code& error) {
                                    if (!error) turn();
                                  }});
}

void EpollTransport::fetch() {
  const int count = ::epoll_wait(epoll_.native_handle(), fetched_.data(), kEventsATurn, 0);
  next_ = 0;
  count_ = count > 0 ? static_cast<std::size_t>(count) : 0;
}

void EpollTransport::turn() {
  if (stopped_) return;
  events_.turn_begins();
  if (next_ == count_) fetch();
  received_ = 0;
  while (next_ < count_ && received_ < kBytesATurn) handle(fetched_[next_++]);
  if (stopped_) return;
  // A full batch or a rest: others have their turn first.
  if (next_ < count_ || count_ == kEventsATurn) {
    post(&EpollTransport::turn);
  } else {
    wait();
  }
}

void EpollTransport::drain_all() {
  if (stopped_) return;
  events_.turn_begins();
  draining_ = true;
  read_everybody();
  draining_ = false;
}

void EpollTransport::read_everybody() {
  while (next_ < count_) handle(fetched_[next_++]);
  // The kernel hands out what is ready in turn, so this sees everybody who is ready now at least
  // once, and ends even if all of them write without pause.
  for (std::size_t seen = 0; seen <= open_ + watches_.size(); seen += kEventsATurn) {
    fetch();
    while (next_ < count_) handle(fetched_[next_++]);
    if (count_ < kEventsATurn || stopped_) return;
  }
}

// Inline: each answer goes through here.
inline void EpollTransport::handle_connection(ConnectionId id, std::uint32_t events) {
  guarded(events_, id, [&] {
    Connection* const connection = find_open(id);
    if (connection == nullptr) return;
    if ((events & EPOLLOUT) != 0) flush(id, *connection);
    if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) == 0) return;
    const std::size_t before = received_;
    if (!receive(id, *connection)) return end_of_stream(id);
    // More than one recv takes may have come before a deadline that passed.
    if (draining_ && received_ - before == kBufferBytes) read_rest(id);
  });
}

void EpollTransport::handle(const epoll_event& event) {
  const auto slot = static_cast<std::uint32_t>(event.data.u64);
  const auto generation = static_cast<std::uint32_t>(event.data.u64 >> 32);
  // What is gone since it was fetched is not found.
  if ((slot & kWatchBit) == 0) {
    handle_connection({slot, generation}, event.events);
  } else if (const Watch* const watch = watches_.find({slot & ~kWatchBit, generation})) {
    try {
      watch->watcher->readable(watch->token);
    } catch (const std::exception& e) {
      events_.handling_failed({}, e.what());
    }
  }
}

// --- reading

void EpollTransport::drain(ConnectionId id) {
  guarded(events_, id, [&] { read_rest(id); });
}

// --- the end

void EpollTransport::forget(const Connection& connection) noexcept {
  const int socket = connection.socket.get();
  // Closing alone would leave it in the set if a forked child still had it.
  if (epoll_.is_open()) ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, socket, nullptr);
}

void EpollTransport::stop() noexcept {
  if (!stop_connections()) return;
  std::error_code ignored;
  (void)epoll_.close(ignored);
}

}  // namespace muster::broker
