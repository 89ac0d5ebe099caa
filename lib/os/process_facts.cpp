#include "os/process_facts.h"

#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <system_error>
#include <unistd.h>

#include "os/peer.h"
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
    facts.exe_problem = std::generic_category().message(error);
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

}  // namespace muster::os
