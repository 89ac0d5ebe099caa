// The loop: what the ring has completed, told to Events. What is sent stands in
// uring_transport_send.cpp.
#include "broker/uring_transport.h"

#include <cerrno>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <system_error>
#include <utility>

#include <asio/post.hpp>

namespace muster::broker {
namespace {

int make_eventfd() {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return fd;
}

// A request in the ring would find out later.
void require_socket(int fd) {
  struct stat what {};
  if (::fstat(fd, &what) != 0) throw std::system_error(errno, std::generic_category(), "fstat");
  if (!S_ISSOCK(what.st_mode)) {
    throw std::system_error(ENOTSOCK, std::generic_category(), "a connection");
  }
}

}  // namespace

UringTransport::UringTransport(asio::io_context& context, std::size_t max_queued_bytes,
                               Events& events)
    : SocketTransport(context, max_queued_bytes, events),
      wake_(context, make_eventfd()),
      ring_(wake_.native_handle()),
      watches_(context, [this] {
        events_.turn_begins();
        watches_.serve(events_);
      }) {
  // What a handler sends may bring completions, and has no memory to ask for: all that the ring
  // holds, and as many that wait for their turn.
  inbox_.reserve(std::size_t{2} * IoRing::kCompletions);
  (void)ring_.be_told();
  wait();
}

UringTransport::~UringTransport() { stop(); }

// --- who is there

ConnectionId UringTransport::open(os::UniqueFd socket) {
  require_socket(socket.get());
  const ConnectionId id = connections_.insert({});
  Connection& connection = *connections_.find(id);
  connection.socket = std::move(socket);
  ++open_;
  try {
    arm(id, connection);
    schedule_turn();
  } catch (...) {
    release(id);
    throw;
  }
  return id;
}

Transport::WatchId UringTransport::watch(int fd, Transport::Watcher& watcher, std::uint64_t token) {
  return watches_.add(fd, watcher, token);
}

void UringTransport::unwatch(WatchId id) noexcept { watches_.remove(id); }

// --- turns of the loop

void UringTransport::wait() {
  if (std::exchange(waiting_, true)) return;
  wake_.async_wait(asio::posix::descriptor_base::wait_read,
                   PooledHandler{&memory_, [this](const std::error_code& error) {
                                   waiting_ = false;
                                   if (error || stopped_) return;
                                   eventfd_t ignored = 0;
                                   (void)::eventfd_read(wake_.native_handle(), &ignored);
                                   turn();
                                 }});
}

void UringTransport::schedule_turn() {
  if (in_turn_ || std::exchange(turn_scheduled_, true)) return;
  asio::post(context_, PooledHandler{&memory_, [this] {
                                       turn_scheduled_ = false;
                                       turn();
                                     }});
}

bool UringTransport::collect() noexcept {
  inbox_.clear();
  next_ = 0;
  exchange(true);
  return !inbox_.empty();
}

void UringTransport::turn() {
  if (stopped_) return;
  ring_.be_silent();
  events_.turn_begins();
  in_turn_ = true;
  received_ = 0;
  for (std::size_t i = 0; i < kEventsATurn && received_ < kBytesATurn && !stopped_; ++i) {
    if (next_ == inbox_.size() && !collect()) break;
    handle(Completion(inbox_[next_++]));
  }
  in_turn_ = false;
  rest();
}

// What handlers sent goes out; then others have their turn, or nobody has anything to do.
void UringTransport::rest() {
  if (stopped_) return;
  if (!exchange(false) || next_ < inbox_.size()) return schedule_turn();
  wait();
  if (!ring_.be_told()) schedule_turn();
}

void UringTransport::drain_all() {
  if (stopped_) return;
  ring_.be_silent();
  events_.turn_begins();
  in_turn_ = true;
  // The kernel does at least 20 connections in one call, one after another: so everybody who has
  // something now is seen, and this ends even if all of them write without pause.
  constexpr std::size_t kAtLeastAtOnce = 16;
  for (std::size_t round = 0; round <= open_ / kAtLeastAtOnce + 2; ++round) {
    while (next_ < inbox_.size() && !stopped_) handle(Completion(inbox_[next_++]));
    if (stopped_ || (!collect() && !ring_.has_news())) break;
  }
  while (next_ < inbox_.size() && !stopped_) handle(Completion(inbox_[next_++]));
  if (!stopped_) watches_.serve_all(events_);
  in_turn_ = false;
  rest();
}

// --- receiving

void UringTransport::handle(const Completion& completion) {
  const Tag tag = unpack(completion.tag);
  if (tag.kind == Tag::Kind::kReceive) return handle_received(tag.connection, completion);
  guarded(events_, tag.connection, [&] {
    Connection* const connection = find_open(tag.connection);
    if (connection == nullptr || connection->queue == nullptr) return;
    if (!write_queue(tag.connection, *connection)) wait_writable(tag.connection, *connection);
  });
}

void UringTransport::handle_received(ConnectionId id, const Completion& completion) {
  const int result = completion.result;
  if (result > 0) {
    guarded(events_, id, [&] {
      Connection* const connection = find_open(id);
      if (connection != nullptr) deliver(id, *connection, ring_.bytes(completion));
    });
  }
  if (completion.has_buffer()) ring_.give_back(completion);
  if (completion.more()) return;
  guarded(events_, id, [&] {
    const Connection* const connection = find_open(id);
    if (connection == nullptr) return;
    // No buffer was left, or no room to tell: they are given back by the time it is armed again.
    const bool goes_on = result > 0 || result == -ENOBUFS || result == -EINTR || result == -EAGAIN;
    if (goes_on) return arm(id, *connection);
    end_of_stream(id);
  });
}

// Not a request of the ring, which would complete at once: POLLRDHUP is part of every poll there.
void UringTransport::wait_for_hang_up(ConnectionId id, Connection& connection) {
  connection.hang_up =
      watches_.add_for_hang_up(connection.socket.get(), *this, pack({Tag::Kind::kReceive, id}));
}

void UringTransport::readable(std::uint64_t token) {
  const ConnectionId id = unpack(token).connection;
  guarded(events_, id, [&] { end_of_stream(id); });
}

void UringTransport::arm(ConnectionId id, const Connection& connection) {
  const std::uint64_t tag = pack({Tag::Kind::kReceive, id});
  if (ring_.receive(connection.socket.get(), tag)) return;
  if (ring_.submit() && ring_.receive(connection.socket.get(), tag)) return;
  throw std::system_error(ENOMEM, std::generic_category(), "io_uring");
}

void UringTransport::drain(ConnectionId id) {
  guarded(events_, id, [&] {
    take_completions();
    for (std::size_t i = next_; i < inbox_.size(); ++i) {
      const Completion completion = inbox_[i];
      const Tag tag = unpack(completion.tag);
      if (completion.result <= 0 || tag.kind != Tag::Kind::kReceive ||
          tag.connection.slot != id.slot || tag.connection.generation != id.generation) {
        continue;
      }
      inbox_[i] = {};  // of no connection
      handle_received(id, completion);
    }
    read_rest(id);  // what the ring did not receive yet
  });
}

// --- the end

void UringTransport::forget(const Connection& connection) noexcept {
  const int socket = connection.socket.get();
  watches_.remove(connection.hang_up);
  ring_.forget(socket);
  // The armed receive keeps the socket; this is the end all the same, for the peer and for it.
  ::shutdown(socket, SHUT_RDWR);
}

void UringTransport::stop() noexcept {
  if (!stop_connections()) return;
  watches_.stop();
  std::error_code ignored;
  (void)wake_.close(ignored);
  // The receives end now. A child that was forked may have the ring, and with it our sockets.
  while (ring_.has_news() && ring_.submit_and_collect()) {
    inbox_.clear();
    ring_.take(inbox_);
    if (inbox_.empty()) break;  // news that was none: IoRing::be_told()
  }
}

}  // namespace muster::broker
