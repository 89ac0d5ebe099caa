#include "fuzz/unix_sockets.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include "os/listener.h"

namespace muster::fuzz {

std::filesystem::path UnixSockets::path(Lane lane) const {
  return dir_ / (lane == Lane::kBackend ? "b" : "c");
}

os::UniqueFd UnixSockets::listen(Lane lane) const {
  auto listening = os::listen_unix(path(lane), 0600);
  if (!listening.problem.empty()) throw std::runtime_error(listening.problem);
  return std::move(listening.socket);
}

os::UniqueFd UnixSockets::connect(Lane lane) const {
  const auto name = path(lane).native();
  os::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.c_str(), name.size());
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  // A broker that goes down does not listen any more.
  if (::connect(socket.get(), where, sizeof(address)) != 0) socket.reset();
  return socket;
}

void send_all(const os::UniqueFd& socket, std::string_view bytes) {
  while (socket && !bytes.empty()) {
    const auto sent = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

bool receive_all(const os::UniqueFd& socket, std::string& received) {
  std::array<char, 16 * 1024> chunk{};
  for (bool any = false;; any = true) {
    const auto got = ::recv(socket.get(), chunk.data(), chunk.size(), 0);
    if (got <= 0) return any || (got < 0 && errno == EAGAIN);
    received.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

int lowest_free_descriptor() {
  const int lowest = ::dup(STDERR_FILENO);
  ::close(lowest);
  return lowest;
}

}  // namespace muster::fuzz
