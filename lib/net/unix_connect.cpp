#include "net/unix_connect.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

namespace muster::net {

os::UniqueFd make_unix_socket() {
  return os::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

std::error_code connect_unix(const os::UniqueFd& socket, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // An empty path would bind an abstract name, and a NUL would cut the rest off.
  if (path.empty() || path.find('\0') != std::string::npos) {
    return std::make_error_code(std::errc::invalid_argument);
  }
  if (path.size() >= sizeof(address.sun_path)) {
    return std::make_error_code(std::errc::filename_too_long);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  int outcome = 0;
  do {
    outcome = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  } while (outcome != 0 && errno == EINTR);
  return outcome == 0 ? std::error_code() : std::error_code(errno, std::system_category());
}

UnixConnection connect_unix(const std::string& path) {
  UnixConnection result;
  result.socket = make_unix_socket();
  result.error = result.socket ? connect_unix(result.socket, path)
                               : std::error_code(errno, std::system_category());
  if (result.error) result.socket.reset();
  return result;
}

}  // namespace muster::net
