#include "os/holders/leases.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <memory>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "os/error_text.h"
#include "os/unique_fd.h"

namespace muster::os {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMaxDepth = 100;  // a descriptor for each: a tree may not use up those of the process

// EXDEV for a mount point: to enter another mount may wait for its server.
UniqueFd open_on_this_mount(int directory, const char* name, std::uint64_t flags) {
  open_how how{};
  how.flags = flags | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, directory, name, &how, sizeof how)));
}

class LeaseWalk {
 public:
  explicit LeaseWalk(const LeaseBounds& bounds)
      : bounds_(bounds), latest_(Clock::now() + bounds.max_time) {}

  // False when a bound was reached.
  bool file(int path_fd, const std::string& name) {
    if (result_.files == bounds_.max_files)
      return end("at " + std::to_string(result_.files) + " files");
    if (Clock::now() >= latest_) {
      return end("after " + std::to_string(bounds_.max_time.count()) + " ms");
    }
    ++result_.files;
    // Through the descriptor, so that it is the file that was looked at, whatever has its name now.
    std::array<char, 32> again{};
    std::snprintf(again.data(), again.size(), "/proc/self/fd/%d", path_fd);
    const UniqueFd open(::open(again.data(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!open) {
      // EWOULDBLOCK: somebody has a lease of their own on it.
      if (errno == EWOULDBLOCK) return busy(name);
      if (errno == ENOENT) return forget();
      return refused(errno);
    }
    if (::fcntl(open.get(), F_SETLEASE, F_WRLCK) == 0) {
      ++result_.proven;
      ::fcntl(open.get(), F_SETLEASE, F_UNLCK);
      return true;
    }
    return errno == EAGAIN ? busy(name) : refused(errno);
  }

  bool directory(UniqueFd fd, const std::string& name, int depth) {
    if (depth > kMaxDepth) return lose(name, ENAMETOOLONG), true;
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(fd.get()), &::closedir);
    if (!dir) return lose(name, errno), true;
    (void)fd.release();
    std::vector<std::string> directories;
    const std::string inside = name + '/';
    while (const dirent* entry = ::readdir(dir.get())) {  // NOLINT(concurrency-mt-unsafe): its own
      if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
      if (entry->d_type != DT_REG && entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) {
        continue;
      }
      if (entry->d_type == DT_DIR) {
        directories.emplace_back(entry->d_name);
        continue;
      }
      const UniqueFd path = open_on_this_mount(::dirfd(dir.get()), entry->d_name, O_PATH);
      struct stat is {};
      if (!path || ::fstat(path.get(), &is) != 0) {
        lose(inside + entry->d_name, errno);
        continue;
      }
      if (S_ISDIR(is.st_mode)) directories.emplace_back(entry->d_name);
      if (S_ISREG(is.st_mode) && !file(path.get(), inside + entry->d_name)) return false;
    }
    for (const std::string& below : directories) {
      UniqueFd next = open_on_this_mount(::dirfd(dir.get()), below.c_str(),
                                         O_RDONLY | O_DIRECTORY | O_NONBLOCK);
      if (!next) {
        lose(inside + below, errno);
        continue;
      }
      if (!directory(std::move(next), inside + below, depth + 1)) return false;
    }
    return true;
  }

  LeaseResult take() { return std::move(result_); }

 private:
  bool end(std::string why) {
    result_.complete = false;
    result_.incomplete_why = "stopped " + std::move(why);
    return false;
  }
  bool busy(const std::string& name) {
    if (result_.busy++ == 0) result_.busy_example = name;
    return true;
  }
  bool refused(int error) {
    if (result_.refused++ == 0) result_.refused_why = error_text(error);
    return true;
  }
  bool forget() {
    --result_.files;
    return true;
  }
  // What goes away meanwhile has no name any more, and is no matter for a lease.
  void lose(const std::string& name, int error) {
    if (error == ENOENT) return;
    if (result_.complete) {
      result_.incomplete_why =
          name + ": " +
          (error == EXDEV ? "another mount, which is not entered" : error_text(error));
    }
    result_.complete = false;
  }

  LeaseBounds bounds_;
  Clock::time_point latest_;
  LeaseResult result_;
};

}  // namespace

LeaseResult prove_by_leases(int root_fd, const std::string& name, const LeaseBounds& bounds) {
  struct stat is {};
  if (::fstat(root_fd, &is) != 0) {
    LeaseResult none;
    none.complete = false;
    none.incomplete_why = name + ": " + error_text(errno);
    return none;
  }
  LeaseWalk walk(bounds);
  if (S_ISREG(is.st_mode)) {
    (void)walk.file(root_fd, name);
  } else if (S_ISDIR(is.st_mode)) {
    UniqueFd open(::openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    (void)walk.directory(std::move(open), name == "/" ? "" : name, 0);
  }
  return walk.take();
}

}  // namespace muster::os
