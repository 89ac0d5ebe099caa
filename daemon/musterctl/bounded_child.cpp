#include "musterctl/bounded_child.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/unique_fd.h"

namespace muster::ctl {
namespace {

using BoundedClock = std::chrono::steady_clock;

constexpr int kResultFd = 3;
constexpr std::chrono::milliseconds kReapWithin{200};

// Stands after the result: what ends without it was cut off.
constexpr char kComplete = '\n';

[[noreturn]] void be_the_child(int result, pid_t parent, const std::function<std::string()>& work) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(signal, SIG_DFL);
  if (result != kResultFd && ::dup2(result, kResultFd) < 0) ::_exit(1);
  ::close_range(kResultFd + 1, ~0U, 0);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < kResultFd; ++fd) ::dup2(null, fd);
  const std::string said = work() + kComplete;
  std::string_view rest = said;
  while (!rest.empty()) {
    const ssize_t written = ::write(kResultFd, rest.data(), rest.size());
    if (written < 0 && errno != EINTR) break;
    if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
  }
  ::_exit(0);
}

// To the end of what comes, or until then.
std::string read_until(int fd, BoundedClock::time_point until) {
  std::string text;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - BoundedClock::now());
    if (left.count() <= 0) return text;
    pollfd entry{fd, POLLIN, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(left.count()));
    if (ready <= 0) continue;  // a signal, or the time is over
    std::array<char, 4096> buffer{};
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got == 0) return text;
    if (got < 0 && errno != EINTR) return text;
    if (got > 0) text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

// One that waits for a dead file system may not end now; init takes it over.
void end(pid_t child) {
  ::kill(child, SIGKILL);
  const os::UniqueFd watch(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  pollfd entry{watch.get(), POLLIN, 0};
  if (watch) ::poll(&entry, 1, static_cast<int>(kReapWithin.count()));
  ::waitpid(child, nullptr, WNOHANG);
}

}  // namespace

std::optional<std::string> run_in_child(const std::function<std::string()>& work,
                                        std::chrono::milliseconds limit) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  const os::UniqueFd reading(ends[0]);
  os::UniqueFd writing(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) be_the_child(writing.get(), parent, work);
  writing.reset();
  if (child < 0) return std::nullopt;
  std::string text = read_until(reading.get(), BoundedClock::now() + limit);
  const bool complete = !text.empty() && text.back() == kComplete;
  end(child);
  if (!complete) return std::nullopt;
  text.pop_back();
  return text;
}

}  // namespace muster::ctl
