#include "guard/peers.h"

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <vector>

#include "bench/frames.h"
#include "bench/unix_socket.h"
#include "guard/turns.h"
#include "os/process_setup.h"
#include "os/unique_fd.h"
#include "wire/framing.h"

namespace muster::guard {
namespace {

class Peers {
 public:
  explicit Peers(std::filesystem::path socket) : socket_(std::move(socket)) {}

  void connect(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      fds_.push_back(bench::connect_to(socket_));
      bench::send_all(fds_.back().get(), bench::registration_frame(fds_.size()));
    }
  }

  // Reads that many frames from each and acks the operations among them.
  void answer(std::uint32_t frames) {
    for (const os::UniqueFd& fd : fds_) answer(fd.get(), frames);
  }

  // The answer to its registration, of each that has not taken it yet.
  void take_registered() {
    for (; registered_ < fds_.size(); ++registered_) answer(fds_[registered_].get(), 1);
  }

 private:
  void answer(int fd, std::uint32_t frames) {
    std::string acks;
    std::string input;
    while (frames > 0) {
      const auto seen = bench::see_frame(input);
      if (seen.bytes == 0) {
        const ssize_t size = ::recv(fd, buffer_.data(), buffer_.size(), 0);
        if (size <= 0) throw std::runtime_error("the broker ended a connection");
        input.append(buffer_.data(), static_cast<std::size_t>(size));
        continue;
      }
      input.erase(0, seen.bytes);
      --frames;
      if (seen.kind == bench::Seen::Kind::kOperation) acks += ack_.write(seen.request_id);
    }
    if (!input.empty()) throw std::runtime_error("the broker sent more than was expected");
    bench::send_all(fd, acks);
  }

  std::filesystem::path socket_;
  std::vector<os::UniqueFd> fds_;
  std::size_t registered_ = 0;
  bench::AckWriter ack_;
  std::array<char, 65'536> buffer_{};
};

}  // namespace

void run_peers(int turns, const std::filesystem::path& socket) {
  (void)os::raise_descriptor_limit();
  Peers peers(socket);
  for (Turn turn; await_turn(turns, turn);) {
    if (turn.what == Turn::What::kConnect) {
      peers.connect(turn.count);
    } else if (turn.count == 0) {
      peers.take_registered();
    } else {
      peers.answer(turn.count);
    }
    give_turn(turns, {});
  }
}

}  // namespace muster::guard
