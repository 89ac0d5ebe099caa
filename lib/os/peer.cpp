#include "os/peer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <system_error>
#include <unistd.h>

#include "os/error_text.h"
#include "os/unique_fd.h"

namespace muster::os {
namespace {

constexpr std::uint64_t kMsPerSecond = 1000;

std::uint64_t ms_of(clockid_t clock) {
  timespec now{};
  if (::clock_gettime(clock, &now) != 0) return 0;
  return static_cast<std::uint64_t>(now.tv_sec) * kMsPerSecond +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

// The kernel counts in ticks since boot, suspended time included.
std::uint64_t unix_ms_of(std::uint64_t ticks) {
  const long per_second = ::sysconf(_SC_CLK_TCK);
  if (per_second <= 0) return 0;
  const std::uint64_t after_boot = ticks * kMsPerSecond / static_cast<std::uint64_t>(per_second);
  const std::uint64_t up = ms_of(CLOCK_BOOTTIME);
  return after_boot <= up ? ms_of(CLOCK_REALTIME) - (up - after_boot) : 0;
}

// Readable from the exit on, which is before the process is reaped and its pid is free. So this is
// surer than the `Pid:` of the pidfd's fdinfo, which goes with the reaping, and a tenth of its
// cost.
bool has_exited(int pidfd) {
  pollfd look{pidfd, POLLIN, 0};
  return ::poll(&look, 1, 0) != 0;
}

}  // namespace

ProcessFacts facts_of(pid_t pid, int pidfd) {
  ProcessFacts facts;
  std::array<char, 32> link{};
  std::snprintf(link.data(), link.size(), "/proc/%d/exe", static_cast<int>(pid));
  std::array<char, PATH_MAX> target{};
  const ssize_t size = ::readlink(link.data(), target.data(), target.size());
  const int error = size < 0 ? errno : 0;
  const std::optional<std::uint64_t> started = start_time(pid);
  // Last: what was read before is of this process only if it still is there.
  if (has_exited(pidfd)) {
    facts.exe_problem = "the process has exited";
    return facts;
  }
  if (error != 0) {
    facts.exe_problem = os::error_text(error);
  } else {
    facts.exe.assign(target.data(), static_cast<std::size_t>(size));
  }
  if (started) facts.started_unix_ms = unix_ms_of(*started);
  return facts;
}

std::string command_of(pid_t pid) {
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/proc/%d/comm", pid);
  const UniqueFd file(::open(path.data(), O_RDONLY | O_CLOEXEC));
  std::array<char, 64> name{};  // the kernel's names have at most 15 bytes
  const ssize_t size = file ? ::read(file.get(), name.data(), name.size()) : 0;
  std::string command(name.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  if (command.ends_with('\n')) command.pop_back();
  return command;
}

namespace {

// Not in the headers of Debian 12.
constexpr int kSoPeerPidfd = 77;
constexpr long kPidFsMagic = 0x50494446;

std::error_code last_error() { return {errno, std::generic_category()}; }

// A small file of /proc, as far as it fits.
template <std::size_t kSize>
std::string_view read_proc_file(const char* path, std::array<char, kSize>& buffer) {
  const UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file) return {};
  const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
  return size > 0 ? std::string_view(buffer.data(), static_cast<std::size_t>(size))
                  : std::string_view();
}

template <typename Number>
std::optional<Number> leading_number(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  Number number{};
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc()) return std::nullopt;
  return number;
}

// Before Linux 6.9 all pidfds share one inode. One look is enough: the kernel does not change.
bool inodes_tell_processes_apart(int pidfd) {
  static const bool kPidFs = [pidfd] {
    struct statfs where {};
    return ::fstatfs(pidfd, &where) == 0 && static_cast<long>(where.f_type) == kPidFsMagic;
  }();
  return kPidFs;
}

// Whether the process of `pidfd` could not be had because it is gone, rather than because the
// kernel does not know the option.
bool is_gone(const std::error_code& error) {
  return error == std::errc::no_such_process || error.value() == ENODATA;
}

bool is_unsupported(const std::error_code& error) {
  return error.value() == ENOPROTOOPT || error.value() == EINVAL || error.value() == ENOSYS;
}

}  // namespace

std::vector<gid_t> groups_of_peer(int socket) {
  constexpr std::size_t kUsual = 32;
  std::vector<gid_t> groups(kUsual);
  for (;;) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0) {
      groups.resize(size / sizeof(gid_t));
      return groups;
    }
    // Too small: `size` says what it takes.
    const std::size_t needed = size / sizeof(gid_t);
    if (errno != ERANGE || needed <= groups.size()) return {};
    groups.resize(needed);
  }
}

UniqueFd pidfd_of_peer(int socket, std::error_code& error) {
  int fd = -1;
  socklen_t size = sizeof(fd);
  if (::getsockopt(socket, SOL_SOCKET, kSoPeerPidfd, &fd, &size) != 0) {
    error = last_error();
    return {};
  }
  error.clear();
  return UniqueFd(fd);
}

UniqueFd pidfd_of_pid(pid_t pid, std::error_code& error) {
  const auto fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) {
    error = last_error();
    return {};
  }
  error.clear();
  return UniqueFd(fd);
}

std::optional<std::uint64_t> pidfd_inode(int pidfd) {
  struct stat found {};
  if (pidfd < 0 || !inodes_tell_processes_apart(pidfd) || ::fstat(pidfd, &found) != 0) {
    return std::nullopt;
  }
  return found.st_ino;
}

std::optional<std::uint64_t> start_time(pid_t pid) {
  std::array<char, 32> path{};
  std::snprintf(path.data(), path.size(), "/proc/%d/stat", static_cast<int>(pid));
  std::array<char, 1024> buffer{};
  std::string_view text = read_proc_file(path.data(), buffer);
  // The second field is the command in parentheses and may hold anything, parentheses too.
  const auto command_end = text.rfind(')');
  if (command_end == std::string_view::npos) return std::nullopt;
  text.remove_prefix(command_end + 1);
  constexpr int kFieldsBefore = 22 - 2;
  for (int field = 0; field < kFieldsBefore; ++field) {
    const auto space = text.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    text.remove_prefix(space + 1);
  }
  return leading_number<std::uint64_t>(text);
}

std::optional<pid_t> pid_of_pidfd(int pidfd) {
  std::array<char, 48> path{};
  std::snprintf(path.data(), path.size(), "/proc/self/fdinfo/%d", pidfd);
  std::array<char, 1024> buffer{};
  const std::string_view text = read_proc_file(path.data(), buffer);
  constexpr std::string_view kName = "\nPid:";
  const auto at = text.find(kName);
  if (at == std::string_view::npos) return std::nullopt;
  return leading_number<pid_t>(text.substr(at + kName.size()));
}

ProcessIdentity identify(pid_t pid, int pidfd) {
  ProcessIdentity process;
  process.pid = std::max<pid_t>(pid, 0);
  if (const auto inode = pidfd_inode(pidfd)) {
    process.unique = *inode;
  } else if (const auto started = pid > 0 ? start_time(pid) : std::nullopt) {
    // The pid may have been reused between the two looks; the pidfd knows.
    if (pidfd < 0 || pid_of_pidfd(pidfd) == pid) process.unique = *started;
  }
  return process;
}

std::optional<Peer> credentials_of(int socket, std::error_code& error) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    error = last_error();
    return std::nullopt;
  }
  error.clear();
  std::optional<Peer> peer(std::in_place);
  peer->uid = credentials.uid;
  peer->gid = credentials.gid;
  if (credentials.pid > 0) peer->process.pid = credentials.pid;
  return peer;
}

void find_process(int socket, Peer& peer) {
  const pid_t pid = peer.process.pid;
  std::error_code trouble;
  peer.pidfd = pidfd_of_peer(socket, trouble);
  if (is_unsupported(trouble)) {
    // Without a pid nothing but its socket leads to a process.
    trouble.clear();
    if (pid > 0) peer.pidfd = pidfd_of_pid(pid, trouble);
  }
  peer.exited = is_gone(trouble);
  if (trouble && !peer.exited) peer.trouble = trouble;
  // Of a process that is gone /proc shows nothing, or a stranger.
  if (!peer.exited) peer.process = identify(pid, peer.pidfd.get());
}

std::optional<Peer> peer_of(int socket, std::error_code& error) {
  auto peer = credentials_of(socket, error);
  if (peer) find_process(socket, *peer);
  return peer;
}

}  // namespace muster::os
