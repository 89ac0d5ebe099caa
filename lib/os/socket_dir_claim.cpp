// One broker for each directory, by a lock that the kernel gives back when its holder dies.
#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "os/error_text.h"
#include "os/listener.h"

namespace muster::os {
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
