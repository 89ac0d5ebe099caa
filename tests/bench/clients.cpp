#include "bench/clients.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <system_error>

#include "bench/unix_socket.h"

namespace muster::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Connection {
  os::UniqueFd fd;
  std::size_t client = 0;
  bool greeted = false;
  std::string partial;  // half a frame; rarely anything
};

// What both kinds of client do with a socket that is readable. One buffer for all.
class Reader {
 public:
  Reader(ClientProtocol& protocol, RoundBoard& board) : protocol_(protocol), board_(board) {}

  // Answers each operation. Returns how many registrations were answered.
  std::size_t serve(Connection& connection) {
    const std::size_t kept = connection.partial.size();
    if (kept > 0) {
      std::copy(connection.partial.begin(), connection.partial.end(), buffer_.begin());
      connection.partial.clear();
    }
    const ssize_t count =
        ::recv(connection.fd.get(), buffer_.data() + kept, buffer_.size() - kept, MSG_DONTWAIT);
    if (count <= 0) throw std::runtime_error("the server ended a connection");
    std::string_view input(buffer_.data(), kept + static_cast<std::size_t>(count));
    std::size_t registered = 0;
    while (!input.empty()) {
      const Seen seen = protocol_.see(input, connection.greeted);
      if (seen.kind == Seen::Kind::kBad) throw std::runtime_error("the server sent a bad frame");
      if (seen.kind == Seen::Kind::kPartial) {
        connection.partial = input;
        break;
      }
      input.remove_prefix(seen.bytes);
      if (seen.kind == Seen::Kind::kOperation) answer(connection, seen);
      if (seen.kind == Seen::Kind::kTold) board_.one_more();
      if (seen.kind == Seen::Kind::kGreeting) {
        send_all(connection.fd.get(), protocol_.more(connection.client));
      }
      connection.greeted = true;
      if (seen.kind == Seen::Kind::kRegistered) ++registered;
    }
    return registered;
  }

 private:
  void answer(const Connection& connection, const Seen& operation) {
    const std::string_view answer = protocol_.answer(operation, connection.client);
    if (answer.empty()) return;
    if (::send(connection.fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(answer.size())) {
      throw std::system_error(errno, std::generic_category(), "send");
    }
    board_.one_more();
  }

  ClientProtocol& protocol_;
  RoundBoard& board_;
  std::array<char, 65'536> buffer_{};
};

// All clients of one process: an epoll set.
class ClientSet {
 public:
  ClientSet(ClientProtocol& protocol, RoundBoard& board)
      : epoll_(epoll_create1(EPOLL_CLOEXEC)),
        protocol_(protocol),
        board_(board),
        reader_(protocol, board) {}

  void connect_all(const std::filesystem::path& socket, std::size_t count) {
    constexpr std::size_t kUnanswered = 256;  // registrations under way
    std::vector<std::string> hellos;
    for (std::size_t i = 0; i < count; ++i) hellos.push_back(protocol_.hello(i));
    connections_.reserve(count);

    const auto start = Clock::now();
    for (const std::string& hello : hellos) {
      const std::size_t client = connections_.size();
      os::UniqueFd fd = connect_to(socket);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = client;
      epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event);
      send_all(fd.get(), hello);
      connections_.push_back({std::move(fd), client, false, {}});
      while (connections_.size() - registered_ >= kUnanswered) serve(-1);
    }
    while (registered_ < count) serve(-1);
    board_.set_registration_time(Clock::now() - start);
    for (std::size_t i = 0; i < count; ++i) board_.one_more();
  }

  void serve(int timeout) {
    const int count =
        epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), timeout);
    for (int i = 0; i < count; ++i) {
      registered_ += reader_.serve(connections_[events_[static_cast<std::size_t>(i)].data.u64]);
    }
  }

 private:
  os::UniqueFd epoll_;
  ClientProtocol& protocol_;
  RoundBoard& board_;
  std::vector<Connection> connections_;
  std::size_t registered_ = 0;
  std::array<epoll_event, 512> events_{};
  Reader reader_;
};

void run_many(const std::filesystem::path& socket, ClientProtocol& protocol, std::size_t count,
              RoundBoard& board) {
  ClientSet clients(protocol, board);
  clients.connect_all(socket, count);
  for (;;) clients.serve(-1);
}

void run_one(const std::filesystem::path& socket, ClientProtocol& protocol, std::size_t client,
             RoundBoard& board) {
  Reader reader(protocol, board);
  Connection connection{connect_to(socket), client, false, {}};
  send_all(connection.fd.get(), protocol.hello(client));
  pollfd readable{connection.fd.get(), POLLIN, 0};
  for (bool registered = false;;) {
    if (::poll(&readable, 1, -1) != 1) continue;
    if (reader.serve(connection) > 0 && !registered) {
      registered = true;
      board.one_more();
    }
  }
}

}  // namespace

Clients::Clients(const std::filesystem::path& socket, std::unique_ptr<ClientProtocol> protocol,
                 Mode mode, std::size_t count) {
  board_.expect(count);
  if (mode == Mode::kOneProcess) {
    children_.push_back(Child::fork([&] { run_many(socket, *protocol, count, board_); }));
  } else {
    children_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      children_.push_back(Child::fork([&] { run_one(socket, *protocol, i, board_); }));
    }
  }
  board_.wait();
}

}  // namespace muster::bench
