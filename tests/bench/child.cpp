#include "bench/child.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/throw_errno.h"
#include "os/unique_fd.h"

namespace muster::bench {
namespace {

// In the child.
void die_with(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // it was gone before that
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& each : texts) pointers.push_back(const_cast<char*>(each.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    end();
    pid_ = std::exchange(other.pid_, 0);
    executed_ = other.executed_;
  }
  return *this;
}

Child Child::fork(const std::function<void()>& body) {
  const pid_t parent = getpid();
  const pid_t pid = ::fork();
  if (pid < 0) throw_errno("fork");
  if (pid > 0) return Child(pid);
  die_with(parent);
  try {
    body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "muster-bench: a child failed: %s\n", error.what());
    _exit(1);
  }
  _exit(0);
}

Child Child::run(const std::vector<std::string>& command, const std::filesystem::path& log,
                 const std::vector<std::string>& environment, int kept) {
  std::vector<char*> arguments = pointers_to(command);
  // Brings the time of the exec; then an error, or it is closed by a successful one.
  struct {
    std::int64_t executed_ns = 0;
    int error = 0;
  } news;
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe2");
  const os::UniqueFd reading(ends[0]);
  os::UniqueFd writing(ends[1]);
  Child child = fork([&] {
    for (const std::string& each : environment) ::putenv(const_cast<char*>(each.c_str()));
    const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    if (kept >= 0) ::fcntl(kept, F_SETFD, 0);
    const std::chrono::nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
    news.executed_ns = now.count();
    if (::write(writing.get(), &news.executed_ns, sizeof(news.executed_ns)) < 0) return;
    execv(arguments[0], arguments.data());
    news.error = errno;
    [[maybe_unused]] const ssize_t told = ::write(writing.get(), &news.error, sizeof(news.error));
  });
  writing.reset();
  if (::read(reading.get(), &news.executed_ns, sizeof(news.executed_ns)) < 0) throw_errno("read");
  if (::read(reading.get(), &news.error, sizeof(news.error)) == sizeof(news.error)) {
    throw std::system_error(news.error, std::generic_category(), command.front());
  }
  child.executed_ =
      std::chrono::steady_clock::time_point(std::chrono::nanoseconds(news.executed_ns));
  return child;
}

bool Child::is_running() {
  if (pid_ == 0) return false;
  if (waitpid(pid_, nullptr, WNOHANG) != pid_) return true;
  pid_ = 0;
  return false;
}

bool Child::wait() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) throw_errno("waitpid");
  }
  pid_ = 0;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void Child::end() noexcept {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "muster-bench.XXXXXX").native();
  if (mkdtemp(name.data()) == nullptr) throw_errno("mkdtemp");
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  std::string result = text.str();
  result.erase(result.find_last_not_of(" \n") + 1);
  return result;
}

std::string output_of(const std::vector<std::string>& command) {
  const TemporaryDirectory directory;
  const std::filesystem::path log = directory.path() / "output";
  if (!Child::run(command, log).wait()) return {};
  return text_of(log);
}

}  // namespace muster::bench
