#include "bench/peers.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <system_error>

#include "bench/frames.h"
#include "bench/unix_socket.h"

namespace muster::bench {
namespace {

using Clock = std::chrono::steady_clock;

// What both kinds of client do with a socket that is readable. One buffer for all.
class Reader {
 public:
  // Acks each operation. Returns how many other frames came (an answer to a registration).
  std::size_t serve(int fd, RoundBoard& board) {
    const ssize_t count = ::recv(fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (count <= 0) throw std::runtime_error("the server ended a connection");
    std::string_view input(buffer_.data(), static_cast<std::size_t>(count));
    std::size_t others = 0;
    while (!input.empty()) {
      const SeenFrame seen = see_frame(input);
      if (seen.kind == SeenFrame::Kind::kBad) throw std::runtime_error("a frame came in pieces");
      input.remove_prefix(seen.bytes);
      if (seen.kind == SeenFrame::Kind::kOther) {
        ++others;
        continue;
      }
      const std::string_view ack = acks_.write(seen.request_id);
      if (::send(fd, ack.data(), ack.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(ack.size())) {
        throw std::system_error(errno, std::generic_category(), "send");
      }
      board.one_more();
    }
    return others;
  }

 private:
  std::array<char, 65'536> buffer_{};
  AckWriter acks_;
};

// All clients of one process: an epoll set.
class ClientSet {
 public:
  explicit ClientSet(RoundBoard& board) : epoll_(epoll_create1(EPOLL_CLOEXEC)), board_(board) {}

  void connect_all(const std::filesystem::path& socket, std::size_t count) {
    constexpr std::size_t kUnanswered = 256;  // registrations under way
    std::vector<std::string> frames;
    for (std::size_t i = 0; i < count; ++i) frames.push_back(registration_frame(i));
    connections_.reserve(count);

    const auto start = Clock::now();
    for (const std::string& frame : frames) {
      os::UniqueFd fd = connect_to(socket);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.fd = fd.get();
      epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event);
      send_all(fd.get(), frame);
      connections_.push_back(std::move(fd));
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
      registered_ += reader_.serve(events_[static_cast<std::size_t>(i)].data.fd, board_);
    }
  }

 private:
  os::UniqueFd epoll_;
  RoundBoard& board_;
  std::vector<os::UniqueFd> connections_;
  std::size_t registered_ = 0;
  std::array<epoll_event, 512> events_{};
  Reader reader_;
};

void run_many(const std::filesystem::path& socket, std::size_t count, RoundBoard& board) {
  ClientSet clients(board);
  clients.connect_all(socket, count);
  for (;;) clients.serve(-1);
}

void run_one(const std::filesystem::path& socket, const std::string& registration,
             RoundBoard& board) {
  Reader reader;
  const os::UniqueFd fd = connect_to(socket);
  send_all(fd.get(), registration);
  pollfd readable{fd.get(), POLLIN, 0};
  for (bool registered = false;;) {
    if (::poll(&readable, 1, -1) != 1) continue;
    if (reader.serve(fd.get(), board) > 0 && !registered) {
      registered = true;
      board.one_more();
    }
  }
}

}  // namespace

Peers::Peers(const std::filesystem::path& socket, Mode mode, std::size_t count) {
  board_.expect(count);
  if (mode == Mode::kOneProcess) {
    children_.push_back(Child::fork([&] { run_many(socket, count, board_); }));
  } else {
    children_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string registration = registration_frame(i);
      children_.push_back(Child::fork([&] { run_one(socket, registration, board_); }));
    }
  }
  board_.wait();
}

}  // namespace muster::bench
