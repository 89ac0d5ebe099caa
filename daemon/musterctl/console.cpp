#include "musterctl/console.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <initializer_list>
#include <poll.h>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>

#include "muster/json.h"
#include "muster/path.h"

#include "musterctl/program.h"
#include "musterctl/text.h"

namespace muster::ctl {

// --- console

namespace {

constexpr std::size_t kUsualColumns = 80;

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written > 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (written < 0 && errno == EAGAIN) {
      pollfd entry{fd, POLLOUT, 0};
      ::poll(&entry, 1, -1);  // what is wrong with it, the next write says
    } else if (written == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

std::string_view environment(const char* name) {
  const char* value = ::secure_getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

StandardStreams reserve_standard_streams() {
  bool was_open[3] = {true, true, true};
  for (int fd = 0; fd < 3; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    was_open[fd] = false;
    // The lowest free number is this one. Without a /dev the root will do: nothing is written to
    // it.
    if (::open("/dev/null", O_RDWR) < 0) static_cast<void>(::open("/", O_PATH | O_DIRECTORY));
  }
  return {was_open[STDOUT_FILENO], was_open[STDERR_FILENO]};
}

StandardConsole::StandardConsole(StandardStreams streams) : streams_(streams) {
  const std::string_view terminal = environment("TERM");
  const bool capable = !terminal.empty() && terminal != "dumb";
  err_is_live_ = capable && ::isatty(STDERR_FILENO) == 1;
  out_has_colour_ = capable && environment("NO_COLOR").empty() && ::isatty(STDOUT_FILENO) == 1;
}

void StandardConsole::out(std::string_view text) {
  if (text.empty() || out_failed_) return;
  out_failed_ = !streams_.out_was_open || !write_all(STDOUT_FILENO, text);
}

void StandardConsole::err(std::string_view text) {
  if (text.empty()) return;
  if (!streams_.err_was_open || !write_all(STDERR_FILENO, text)) err_failed_ = true;
}

void StandardConsole::progress(std::string_view text) {
  // Who closed it wants to see none.
  if (streams_.err_was_open && !write_all(STDERR_FILENO, text)) err_failed_ = true;
}

bool StandardConsole::out_reader_gone() const {
  if (!streams_.out_was_open) return false;
  pollfd entry{STDOUT_FILENO, 0, 0};
  return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
}

std::size_t StandardConsole::err_columns() const {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualColumns;
  return size.ws_col;
}

// --- errors

namespace {

void say(Console& console, const std::string& message) {
  console.err("musterctl: " + message + '\n');
}

}  // namespace

void report_error(Console& console, bool json, std::string_view code, const std::string& message) {
  if (!json) return say(console, message);
  std::string error = JsonObject().text("code", code).text("message", message).line();
  error.pop_back();
  console.out(JsonObject().raw("error", error).line());
}

int report_failure(Console& console, bool json, const ControlFailure& failure) {
  const ControlError& error = failure.error();
  if (failure.kind() == ControlFailure::Kind::kUnreachable) {
    report_error(console, json, "UNREACHABLE", error.message);
    return kUnreachable;
  }
  if (failure.kind() == ControlFailure::Kind::kStopped) {
    say(console, "the reader of its output has gone");
    return kOutputLost;
  }
  if (json) {
    console.out(JsonObject().raw("error", to_json(error)).line());
  } else {
    say(console, "the broker refused (" + std::string(to_string(error.code)) +
                     "): " + escape_controls(error.message));
  }
  return kRefused;
}

// --- signals

namespace {

volatile std::sig_atomic_t received = 0;

void remember(int signal) { received = signal; }

bool catch_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    ::sigaction(signal, nullptr, &before);
    if (before.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = remember;
    action.sa_flags = static_cast<int>(SA_RESETHAND);  // and no SA_RESTART: poll() must return
    ::sigaction(signal, &action, nullptr);
  }
  return true;
}

}  // namespace

int interrupted_by() {
  static const bool caught = catch_signals();
  static_cast<void>(caught);
  return received;
}

namespace {

bool pipe_was_ignored = false;
bool size_was_ignored = false;

}  // namespace

void ignore_lost_readers() {
  pipe_was_ignored = std::signal(SIGPIPE, SIG_IGN) == SIG_IGN;
  size_was_ignored = std::signal(SIGXFSZ, SIG_IGN) == SIG_IGN;
}

sigset_t signals_that_were_default() {
  sigset_t set;
  ::sigemptyset(&set);
  if (!pipe_was_ignored) ::sigaddset(&set, SIGPIPE);
  if (!size_was_ignored) ::sigaddset(&set, SIGXFSZ);
  return set;
}

}  // namespace muster::ctl
