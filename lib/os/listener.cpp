// A listening socket at a path: whose path it is, is looked at before anything is removed.
#include "os/listener.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

#include "os/error_text.h"

namespace muster::os {
namespace {

constexpr int kBacklog = 4096;  // the kernel cuts it to net.core.somaxconn

std::string too_long(const std::string& path, std::size_t limit) {
  return "the socket path " + path + " has " + std::to_string(path.size()) +
         " bytes, but a socket address holds at most " + std::to_string(limit) +
         ": choose a directory with a shorter name";
}

// Somebody accepts at the other end of `probe`.
std::string occupied(const std::string& path, int probe) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  std::string who = "another process";
  if (::getsockopt(probe, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0) {
    who += " (pid " + std::to_string(peer.pid) + ")";
  }
  return who + " already listens on " + path + ": stop it first, or choose another directory";
}

// Makes room at `path`: nothing there, or the socket of a process that is gone. A sentence when
// something else is there.
std::string clear_path(const std::string& path, const sockaddr_un& address) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return "cannot look at " + path + ": " + error_text(errno);
  }
  if (!S_ISSOCK(found.st_mode)) {
    return path + " is there, but is not a socket: remove it, or choose another directory";
  }
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return "cannot make a socket: " + error_text(errno);
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(probe.get(), where, sizeof(address)) == 0) return occupied(path, probe.get());
  switch (errno) {
    case ECONNREFUSED:
      break;  // nobody has it open: what a killed broker leaves
    case ENOENT:
      return {};
    case EAGAIN:  // listened on, and its backlog is full
      return "another process already listens on " + path +
             ": stop it first, or choose another directory";
    case EPROTOTYPE:
      return path + " is a socket of another kind that is in use: stop its owner, or choose " +
             "another directory";
    default:
      return "cannot tell whether the socket " + path + " is in use: " + error_text(errno) +
             "; remove it if it is not";
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return "cannot replace the socket " + path + " of a broker that is gone: " + error_text(errno);
  }
  return {};
}

}  // namespace

Listening listen_unix(const std::filesystem::path& where, mode_t mode) {
  const std::string& path = where.native();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  constexpr std::size_t kLimit = sizeof(address.sun_path) - 1;
  if (path.empty()) return {{}, "the socket path is empty: name a path"};
  if (path.size() > kLimit) return {{}, too_long(path, kLimit)};
  std::memcpy(address.sun_path, path.data(), path.size());

  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return {{}, "cannot make a socket: " + error_text(errno)};
  if (auto problem = clear_path(path, address); !problem.empty()) return {{}, problem};

  // The file is made with the socket's own mode and the umask: 0600 until it is as wanted, and
  // nobody can connect before listen().
  (void)::fchmod(socket.get(), 0600);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return {{}, "cannot make the socket " + path + ": " + error_text(errno)};
  }
  if (::chmod(path.c_str(), mode) != 0 || ::listen(socket.get(), kBacklog) != 0) {
    const int error = errno;
    ::unlink(path.c_str());
    return {{}, "cannot set up the socket " + path + ": " + error_text(error)};
  }
  return {std::move(socket), {}};
}

std::string adopt_listener(int fd) {
  const std::string name = "the descriptor " + std::to_string(fd) + " that was passed";
  int value = 0;
  socklen_t size = sizeof(value);
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &size) != 0) {
    return name + " is not a socket: " + error_text(errno);
  }
  if (value != AF_UNIX) return name + " is not a Unix socket: pass a ListenStream= of a path";
  size = sizeof(value);
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size) != 0 || value != SOCK_STREAM) {
    return name + " is not a stream socket: pass a ListenStream=";
  }
  size = sizeof(value);
  if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) != 0 || value == 0) {
    return name + " does not listen: pass a socket with Accept=no";
  }
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
      ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    return "cannot set up " + name + ": " + error_text(errno);
  }
  return {};
}

}  // namespace muster::os
