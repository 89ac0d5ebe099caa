#include "sdk/control_client_connect.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

#include "muster/control.h"
#include "muster/path.h"

namespace muster {
namespace {

constexpr char kOtherDirectory[] = "or name the broker's directory with --socket-dir";

// What connect(2) would not tell apart: it says ECONNREFUSED of a plain file, too.
bool is_something_else(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode);
}

std::string explain(int error, const std::string& path) {
  const std::string name = escape_bytes(path);
  switch (error) {
    case ENOENT:
      return "no broker listens at " + name +
             ": start musterd, or name its directory with --socket-dir";
    case ECONNREFUSED:
      if (is_something_else(path)) {
        return name + " is not a socket: remove what is there and start musterd, " +
               kOtherDirectory;
      }
      return "no broker listens at " + name +
             " any more (its socket is left over): start musterd, " + kOtherDirectory;
    case ENOTDIR:
      return "the directory of " + name +
             " is not a directory: name the broker's with --socket-dir";
    case EACCES:
    case EPERM:
      return "no permission to connect to " + name +
             ": run as root or as a user whom the broker's policy allows, " + kOtherDirectory;
    case EPROTOTYPE:
      return name + " is not a stream socket, so no broker's: remove it and start musterd, " +
             kOtherDirectory;
    case EAGAIN:
    case EINPROGRESS:
      return "the broker at " + name +
             " does not accept connections: it hangs, is stopped or has too many waiting";
    default:
      return "cannot connect to " + name + ": " + std::generic_category().message(error);
  }
}

[[noreturn]] void give_up(int error, const std::string& path) {
  throw ControlFailure(ControlFailure::Kind::kUnreachable, {{}, explain(error, path)}, error);
}

}  // namespace

int connect_to_broker(const std::string& path, std::chrono::milliseconds patience) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) give_up(ENAMETOOLONG, path);
  std::memcpy(address.sun_path, path.data(), path.size());

  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) give_up(errno, path);

  // A blocking connect() to a full backlog honours the send timeout; poll() could not wait for it.
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(patience);
  timeval limit{};
  limit.tv_sec = seconds.count();
  limit.tv_usec = std::chrono::duration_cast<std::chrono::microseconds>(patience - seconds).count();
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);

  int result = 0;
  do {
    result = ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (result != 0 && errno == EINTR);
  if (result != 0 || ::fcntl(socket, F_SETFL, O_NONBLOCK) != 0) {
    const int error = errno;
    ::close(socket);
    give_up(error, path);
  }
  return socket;
}

}  // namespace muster
