// A listening socket at a path: whose path it is, is looked at before anything is removed.
#include "os/listener.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <utility>

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

bool is_shut_down(int listener) noexcept {
  pollfd state{listener, POLLRDHUP, 0};
  return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP)) != 0;
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

// One broker for each directory, by a lock that the kernel gives back when its holder dies.

namespace {

// A sentence, or nothing when `directory` is there (now).
std::string make_directory(const std::filesystem::path& directory) {
  const mode_t mode = ::geteuid() == 0 ? 0755 : 0700;
  if (::mkdir(directory.c_str(), mode) == 0) {
    // Whatever the umask: backends of other users must get through root's.
    if (::chmod(directory.c_str(), mode) == 0) return {};
    return "cannot set the mode of " + directory.native() + ": " + error_text(errno);
  }
  const int error = errno;
  if (error == EEXIST) {
    struct stat found {};
    if (::stat(directory.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) return {};
    return directory.native() + " is not a directory: name a directory for the sockets";
  }
  struct stat parent {};
  if (error == ENOENT && ::stat(directory.parent_path().c_str(), &parent) == 0) {
    return "cannot make the directory " + directory.native() + ": the file system of " +
           directory.parent_path().native() + " takes no directories; name another place";
  }
  if (error == ENOENT) {
    return "cannot make the directory " + directory.native() + ": " +
           directory.parent_path().native() + " does not exist; create that first";
  }
  return "cannot make the directory " + directory.native() + ": " + error_text(error);
}

// " (pid 123)", as far as the holder of the lock wrote it down.
std::string holder(int lock) {
  std::array<char, 16> text{};
  const ssize_t size = ::pread(lock, text.data(), text.size() - 1, 0);
  std::string pid;
  for (ssize_t i = 0; i < size && text[static_cast<std::size_t>(i)] >= '0' &&
                      text[static_cast<std::size_t>(i)] <= '9';
       ++i) {
    pid += text[static_cast<std::size_t>(i)];
  }
  return pid.empty() ? std::string() : " (pid " + pid + ")";
}

// Only for the sentence that a second broker prints, so a full disk is no reason to fail.
void write_down_holder(int lock) {
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock, 0) != 0) return;
  (void)!::pwrite(lock, pid.data(), pid.size(), 0);
}

}  // namespace

SocketDirClaim::Result SocketDirClaim::claim(const std::filesystem::path& directory) {
  if (directory.empty()) return {{}, "the socket directory has an empty name: name a directory"};
  // A directory may be given with a slash at its end, whose parent would be itself.
  const std::filesystem::path name = directory.has_filename() ? directory : directory.parent_path();
  if (auto problem = make_directory(name); !problem.empty()) return {{}, problem};

  const std::filesystem::path lock_path = name / kLockFileName;
  UniqueFd lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) {
    return {{},
            "cannot write to " + name.native() + " (" + kLockFileName + "): " + error_text(errno) +
                "; choose a directory that this user may write to"};
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return {{}, "cannot lock " + lock_path.native() + ": " + error_text(errno)};
    }
    return {{},
            "another broker" + holder(lock.get()) + " already serves " + name.native() +
                ": stop it first, or choose another directory"};
  }
  write_down_holder(lock.get());
  Result result;
  result.claim.directory_ = name;
  result.claim.lock_ = std::move(lock);
  return result;
}

Listening SocketDirClaim::listen(std::string_view name, mode_t mode) {
  Made made{directory_ / name, 0, 0};
  sockets_.reserve(sockets_.size() + 1);  // so that nothing can throw once the socket is there
  Listening listening = listen_unix(made.path, mode);
  struct stat there {};
  if (listening.problem.empty() && ::lstat(made.path.c_str(), &there) == 0) {
    made.device = there.st_dev;
    made.inode = there.st_ino;
    sockets_.push_back(std::move(made));
  }
  return listening;
}

bool SocketDirClaim::holds_directory() const noexcept {
  struct stat held {};
  struct stat there {};
  return lock_ && ::fstat(lock_.get(), &held) == 0 &&
         ::lstat((directory_ / kLockFileName).c_str(), &there) == 0 &&
         held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

bool SocketDirClaim::is_in_place(std::string_view name) const {
  const std::filesystem::path path = directory_ / name;
  struct stat there {};
  if (::lstat(path.c_str(), &there) != 0) return false;
  return std::any_of(sockets_.begin(), sockets_.end(), [&](const Made& made) {
    return made.path == path && made.device == there.st_dev && made.inode == there.st_ino;
  });
}

void SocketDirClaim::give_up() noexcept {
  for (const Made& made : sockets_) {
    struct stat there {};
    // Somebody may have put another file there, lock or no lock.
    if (::lstat(made.path.c_str(), &there) == 0 && S_ISSOCK(there.st_mode) &&
        there.st_dev == made.device && there.st_ino == made.inode) {
      ::unlink(made.path.c_str());
    }
  }
  sockets_.clear();
  lock_.reset();
}

SocketDirClaim& SocketDirClaim::operator=(SocketDirClaim&& other) noexcept {
  if (this != &other) {
    give_up();
    directory_ = std::move(other.directory_);
    lock_ = std::move(other.lock_);
    sockets_ = std::exchange(other.sockets_, {});
  }
  return *this;
}

SocketDirClaim::~SocketDirClaim() { give_up(); }

}  // namespace muster::os
