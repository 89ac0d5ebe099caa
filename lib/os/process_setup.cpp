#include "os/process_setup.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <limits>
#include <optional>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace muster::os {
namespace {

constexpr rlim_t kStackBytes = 8U << 20U;
constexpr int kFirstPassed = STDERR_FILENO + 1;  // sd_listen_fds(3)'s SD_LISTEN_FDS_START

void unblock_all_signals() {
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

// Handlers do not survive exec(); those that are there (a sanitizer's) are the program's own.
void stop_ignoring(int signal) {
  struct sigaction now {};
  if (::sigaction(signal, nullptr, &now) != 0 || now.sa_handler != SIG_IGN) return;
  std::signal(signal, SIG_DFL);
}

// As one that is closed (EBADF), where there is no /dev/null.
int open_placeholder() { return ::open("/", O_PATH | O_DIRECTORY); }

void open_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest that is free: `fd`. It is not close-on-exec, as no standard descriptor is.
    const int opened = ::open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
    if (opened < 0) open_placeholder();
  }
}

std::optional<long> number_in(const char* name) {
  const char* const text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
  if (text == nullptr) return std::nullopt;
  long number = 0;
  const char* const end = text + std::strlen(text);
  const auto [read_to, error] = std::from_chars(text, end, number);
  if (error != std::errc() || read_to != end || number <= 0) return std::nullopt;
  return number;
}

// How many descriptors from kFirstPassed are meant for this process.
unsigned passed_descriptors() {
  if (number_in("LISTEN_PID") != ::getpid()) return 0;
  constexpr long kMost = 1'024;
  return static_cast<unsigned>(std::min(number_in("LISTEN_FDS").value_or(0), kMost));
}

void close_unknown_descriptors() {
  const unsigned first = kFirstPassed + passed_descriptors();
  if (::close_range(first, ~0U, 0) == 0) return;
  rlimit limit{};  // no such system call here: a filter, or a kernel before 5.9
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const auto end = static_cast<unsigned>(std::min<rlim_t>(limit.rlim_cur, 65'536));
  for (unsigned fd = first; fd < end; ++fd) ::close(static_cast<int>(fd));
}

// A small soft limit would hold for the main thread's growth and for the size of every thread.
void grow_stack() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < kStackBytes) {
    limit.rlim_cur = std::min(kStackBytes, limit.rlim_max);
    ::setrlimit(RLIMIT_STACK, &limit);
  }
  pthread_attr_t attributes;
  if (::pthread_getattr_default_np(&attributes) != 0) return;
  std::size_t size = 0;
  if (::pthread_attr_getstacksize(&attributes, &size) == 0 && size < kStackBytes &&
      ::pthread_attr_setstacksize(&attributes, kStackBytes) == 0) {
    ::pthread_setattr_default_np(&attributes);
  }
  ::pthread_attr_destroy(&attributes);
}

}  // namespace

void take_over_process(ProgramKind kind) noexcept {
  open_standard_descriptors();
  if (kind == ProgramKind::kDaemon) {
    for (int signal = 1; signal < NSIG; ++signal) stop_ignoring(signal);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    ::umask(077);
    grow_stack();
    close_unknown_descriptors();
  } else {
    stop_ignoring(SIGCHLD);
  }
  unblock_all_signals();  // one that waits is delivered now, with the disposition it should have
}

void leave_working_directory() noexcept { static_cast<void>(::chdir("/")); }

std::uint64_t descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::numeric_limits<std::uint64_t>::max();
  return limit.rlim_cur;
}

std::uint64_t count_open_descriptors() {
  std::error_code error;
  std::uint64_t count = 0;
  for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    ++count;
  }
  return count == 0 ? 0 : count - 1;  // that of the directory itself
}

DescriptorLimit raise_descriptor_limit() noexcept {
  DescriptorLimit result;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    result.error = {errno, std::generic_category()};
    return result;
  }
  result.now = result.before = limit.rlim_cur;
  if (limit.rlim_cur == limit.rlim_max) return result;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    result.error = {errno, std::generic_category()};
    return result;
  }
  result.now = limit.rlim_cur;
  return result;
}

}  // namespace muster::os
