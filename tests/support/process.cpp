#include "support/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <iterator>
#include <poll.h>
#include <stdexcept>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace muster::test {
namespace {

using Clock = std::chrono::steady_clock;

std::array<os::UniqueFd, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  return {os::UniqueFd(ends[0]), os::UniqueFd(ends[1])};
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_with(const ProcessOptions& options) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    bool replaced = false;
    for (const auto& [other, value] : options.environment) replaced = replaced || other == name;
    if (!replaced) all.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment) {
    all.push_back(std::string(name).append("=").append(value));
  }
  return all;
}

// The terminal's two ends: the one that a test holds and the one that the program has.
std::array<os::UniqueFd, 2> make_terminal(unsigned short columns) {
  os::UniqueFd ours(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  std::array<char, 64> name{};
  if (!ours || ::grantpt(ours.get()) != 0 || ::unlockpt(ours.get()) != 0 ||
      ::ptsname_r(ours.get(), name.data(), name.size()) != 0) {
    throw std::runtime_error("posix_openpt");
  }
  os::UniqueFd theirs(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!theirs) throw std::runtime_error("cannot open the terminal");
  winsize size{};
  size.ws_col = columns;
  size.ws_row = 25;
  ::ioctl(theirs.get(), TIOCSWINSZ, &size);
  return {std::move(ours), std::move(theirs)};
}

// In the child, after fork(): only what is safe there.
[[noreturn]] void become(char* const* command, char* const* environment, const char* directory,
                         int in, int out, int err, pid_t parent,
                         const std::function<bool()>& before_exec) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before that
  if (::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) ::_exit(126);
  if (::isatty(0) == 1 && (::setsid() < 0 || ::ioctl(0, TIOCSCTTY, 0) != 0)) ::_exit(126);
  if (*directory != '\0' && ::chdir(directory) != 0) ::_exit(126);
  for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_DFL);
  if (before_exec && !before_exec()) ::_exit(126);
  ::execve(command[0], command, environment);
  ::_exit(127);
}

}  // namespace

std::string program(const std::string& name) {
  return std::string(MUSTER_PROGRAM_DIR) + '/' + name;
}

std::vector<std::string> musterd(std::vector<std::string> arguments) {
  std::vector<std::string> command{program("musterd")};
  if (std::find(arguments.begin(), arguments.end(), "--config") == arguments.end()) {
    command.insert(command.end(), {"--config", "/dev/null"});
  }
  command.insert(command.end(), std::make_move_iterator(arguments.begin()),
                 std::make_move_iterator(arguments.end()));
  return command;
}

Process::Process(std::vector<std::string> command, const ProcessOptions& options)
    : name_(command.at(0)) {
  os::UniqueFd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  os::UniqueFd out;
  os::UniqueFd err;
  if (options.terminal_columns > 0) {
    auto [ours, theirs] = make_terminal(options.terminal_columns);
    out_.fd = std::move(ours);
    in = std::move(theirs);
  } else {
    auto [out_read, out_write] = make_pipe();
    auto [err_read, err_write] = make_pipe();
    out_.fd = std::move(out_read);
    out = std::move(out_write);
    err_.fd = std::move(err_read);
    err = std::move(err_write);
  }
  auto environment = environment_with(options);
  const auto argv = pointers(command);
  const auto envp = pointers(environment);
  const std::string directory = options.directory.native();
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork");
  if (pid_ == 0) {
    become(argv.data(), envp.data(), directory.c_str(), in.get(), out ? out.get() : in.get(),
           err ? err.get() : in.get(), parent, options.before_exec);
  }
}

Process::Process(Process&& other) noexcept
    : name_(std::move(other.name_)),
      pid_(std::exchange(other.pid_, -1)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)) {}

Process::~Process() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Process::type(std::string_view keys) const {
  if (::write(out_.fd.get(), keys.data(), keys.size()) < 0) fail("has no terminal");
}

void Process::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

bool Process::next_line(Stream& stream, std::string_view text, std::string& line) {
  for (;;) {
    const auto end = stream.text.find('\n', stream.looked_at);
    if (end == std::string::npos) return false;
    line = stream.text.substr(stream.looked_at, end - stream.looked_at);
    stream.looked_at = end + 1;
    if (line.find(text) != std::string::npos) return true;
  }
}

std::string Process::wait_for(std::string_view text) {
  const auto until = Clock::now() + kPatience;
  std::string line;
  while (!next_line(out_, text, line) && !next_line(err_, text, line)) {
    if (!out_.fd && !err_.fd) fail("ended without saying \"" + std::string(text) + '"');
    if (Clock::now() >= until) fail("has not said \"" + std::string(text) + '"');
    read_more(until);
  }
  return line;
}

void Process::wait_until_shown(std::string_view text) {
  const auto until = Clock::now() + kPatience;
  while (out_.text.find(text) == std::string::npos && err_.text.find(text) == std::string::npos) {
    if (!out_.fd && !err_.fd) fail("ended without showing \"" + std::string(text) + '"');
    if (Clock::now() >= until) fail("has not shown \"" + std::string(text) + '"');
    read_more(until);
  }
}

bool Process::read_more(Clock::time_point until) {
  // A descriptor below zero is skipped.
  std::array<pollfd, 2> entries{{{out_.fd.get(), POLLIN, 0}, {err_.fd.get(), POLLIN, 0}}};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  if (::poll(entries.data(), entries.size(), static_cast<int>(left < 0 ? 0 : left)) <= 0) {
    return false;
  }
  for (Stream* stream : {&out_, &err_}) {
    if (entries[stream == &out_ ? 0 : 1].revents == 0) continue;
    std::array<char, 16 * 1024> chunk{};
    const ssize_t got = ::read(stream->fd.get(), chunk.data(), chunk.size());
    if (got > 0) {
      stream->text.append(chunk.data(), static_cast<std::size_t>(got));
    } else if (got == 0 || errno != EINTR) {
      stream->fd.reset();
    }
  }
  return true;
}

void Process::look() {
  while ((out_.fd || err_.fd) && read_more(Clock::now())) {
  }
}

Finished Process::finish() {
  const auto until = Clock::now() + kPatience;
  while (out_.fd || err_.fd) {
    if (Clock::now() >= until) fail("has not ended");
    read_more(until);
  }
  int state = 0;
  while (::waitpid(pid_, &state, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  const int status = WIFSIGNALED(state) ? 128 + WTERMSIG(state) : WEXITSTATUS(state);
  return {status, out_.text, err_.text};
}

Finished Process::end(int number) {
  signal(number);
  return finish();
}

void Process::fail(const std::string& what) const {
  throw std::runtime_error(name_ + ' ' + what + "; it printed:\n" + out_.text + "--- stderr:\n" +
                           err_.text);
}

Finished run_program(std::vector<std::string> command, const ProcessOptions& options) {
  return Process(std::move(command), options).finish();
}

}  // namespace muster::test
