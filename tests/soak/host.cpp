#include "soak/host.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

#include "bench/unix_socket.h"
#include "wire/framing.h"

namespace muster::soak {
namespace {

constexpr std::string_view kGarbage = "GET / HTTP/1.1\r\n\r\n";

}  // namespace

Host::Host(int orders, std::filesystem::path backend_socket, std::uint64_t seed)
    : orders_(orders),
      socket_(std::move(backend_socket)),
      seed_(seed),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      current_(kKeys, -1) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = orders_;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, orders_, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

void Host::run() {
  std::array<epoll_event, 64> events{};
  for (;;) {
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      if (event.data.fd != orders_) {
        ready(event.data.fd, event.events);
        continue;
      }
      const auto order = receive_order(orders_);
      if (!order) return;
      obey(*order);
    }
  }
}

void Host::obey(const Order& order) {
  auto* const connection = current(order.key);
  const auto done = [&] { send_reply(orders_, {Reply::Kind::kDone, order.key, 0, {}}); };
  switch (order.kind) {
    case Order::Kind::kJoin:
      return join(order.key, true);
    case Order::Kind::kSilence:
      silent_ = order.value != 0;
      return done();
    case Order::Kind::kLastWords:
      last_words_ = order.value;
      return done();
    default:
      break;
  }
  if (connection == nullptr) return trouble(order.key, "it has no connection");
  if (order.kind == Order::Kind::kStopReading) {
    watch(*connection, false, false);
    connection->reads = false;
    connection->tells_end = true;
    return done();
  }
  connection->tells_end = true;
  if (order.kind == Order::Kind::kLeave) {
    say(*connection, wire::encode(2, Deregister{}));
  } else if (order.kind == Order::Kind::kGarbage) {
    say(*connection, kGarbage);
  } else {
    drop(connection->fd.get());
  }
}

Host::Connection* Host::current(std::uint32_t key) {
  const auto found = connections_.find(current_[key]);
  return found == connections_.end() ? nullptr : found->second.get();
}

void Host::join(std::uint32_t key, bool announces) {
  auto connection = std::make_unique<Connection>();
  connection->key = key;
  connection->announces = announces;
  try {
    connection->fd = bench::connect_to(socket_);
  } catch (const std::system_error& error) {
    // The broker is being restarted: it is told to join when there is one again.
    if (announces) trouble(key, error.what());
    current_[key] = -1;
    return;
  }
  const int fd = connection->fd.get();
  watch(*connection, true, true);
  say(*connection, wire::encode(1, registration_of(key)));
  current_[key] = fd;
  connections_[fd] = std::move(connection);
}

void Host::watch(const Connection& connection, bool reads, bool is_new) {
  epoll_event event{};
  event.events = reads ? EPOLLIN : 0U;
  event.data.fd = connection.fd.get();
  const int what = is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (::epoll_ctl(epoll_.get(), what, connection.fd.get(), &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

void Host::drop(int fd) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  const auto key = found->second->key;
  const bool tells = found->second->tells_end;
  if (current_[key] == fd) current_[key] = -1;
  connections_.erase(found);
  if (tells) send_reply(orders_, {Reply::Kind::kEnded, key, 0, {}});
}

void Host::ready(int fd, std::uint32_t events) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;  // dropped meanwhile
  if (found->second->reads) return read(*found->second);
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) drop(fd);
}

void Host::read(Connection& connection) {
  const int fd = connection.fd.get();
  std::array<char, 16'384> chunk{};
  const auto got = ::recv(fd, chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return drop(fd);
  connection.input.append(chunk.data(), static_cast<std::size_t>(got));
  std::string_view rest = connection.input;
  for (;;) {
    const auto frame = wire::next_frame(rest, wire::kMaxBackendBody);
    if (frame.status == wire::FrameView::Status::kBad) {
      trouble(connection.key, frame.problem);
      return drop(fd);
    }
    if (frame.status == wire::FrameView::Status::kIncomplete) break;
    rest.remove_prefix(frame.bytes);
    hear(connection, frame.body);
    // What it did may have ended this connection, or made it one that is not listened to.
    if (!connections_.contains(fd)) return;
  }
  connection.input.erase(0, connection.input.size() - rest.size());
}

void Host::say(const Connection& connection, std::string_view bytes) {
  try {
    bench::send_all(connection.fd.get(), bytes);
  } catch (const std::system_error&) {
    // Nothing to do: the broker ended it, and that is read next.
  }
}

void Host::trouble(std::uint32_t key, std::string_view text) {
  send_reply(orders_, {Reply::Kind::kTrouble, key, 0, {}}, text);
}

}  // namespace muster::soak
