#include "net/unix_connect.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

namespace muster::net {

UnixConnection connect_unix(const std::string& path) {
  UnixConnection result;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // An empty path would bind an abstract name, and a NUL would cut the rest off.
  if (path.empty() || path.find('\0') != std::string::npos) {
    result.error = std::make_error_code(std::errc::invalid_argument);
    return result;
  }
  if (path.size() >= sizeof(address.sun_path)) {
    result.error = std::make_error_code(std::errc::filename_too_long);
    return result;
  }
  std::memcpy(address.sun_path, path.data(), path.size());

  os::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) {
    result.error.assign(errno, std::system_category());
    return result;
  }
  int outcome = 0;
  do {
    outcome = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  } while (outcome != 0 && errno == EINTR);
  if (outcome != 0) {
    result.error.assign(errno, std::system_category());
    return result;
  }
  result.socket = std::move(socket);
  return result;
}

}  // namespace muster::net
