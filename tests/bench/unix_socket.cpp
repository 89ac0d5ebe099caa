#include "bench/unix_socket.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

#include "bench/throw_errno.h"

namespace muster::bench {
namespace {

sockaddr_un address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof(address.sun_path)) throw_errno("socket path", ENAMETOOLONG);
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  return address;
}

os::UniqueFd open_socket(int type) {
  os::UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!fd) throw_errno("socket");
  return fd;
}

os::UniqueFd bound_socket(int type, const std::filesystem::path& path) {
  const sockaddr_un address = address_of(path);
  os::UniqueFd fd = open_socket(type);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    throw_errno("bind");
  }
  return fd;
}

}  // namespace

os::UniqueFd listen_at(const std::filesystem::path& path) {
  os::UniqueFd fd = bound_socket(SOCK_STREAM, path);
  if (::listen(fd.get(), SOMAXCONN) != 0) throw_errno("listen");
  return fd;
}

os::UniqueFd datagram_socket_at(const std::filesystem::path& path) {
  return bound_socket(SOCK_DGRAM, path);
}

os::UniqueFd connect_to(const std::filesystem::path& path) {
  const sockaddr_un address = address_of(path);
  os::UniqueFd fd = open_socket(SOCK_STREAM);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    throw_errno("connect");
  }
  return fd;
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      throw_errno("send");
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void receive_all(int fd, char* out, std::size_t size) {
  while (size > 0) {
    const ssize_t count = ::recv(fd, out, size, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno("recv");
    if (count == 0) throw_errno("recv", ECONNRESET);
    out += count;
    size -= static_cast<std::size_t>(count);
  }
}

}  // namespace muster::bench
