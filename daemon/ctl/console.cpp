#include "ctl/console.h"

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>

namespace muster::ctl {
namespace {

constexpr std::size_t kUsualColumns = 80;

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written > 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
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

StandardConsole::StandardConsole() {
  const std::string_view terminal = environment("TERM");
  const bool capable = !terminal.empty() && terminal != "dumb";
  err_is_live_ = capable && ::isatty(STDERR_FILENO) == 1;
  out_has_colour_ = capable && environment("NO_COLOR").empty() && ::isatty(STDOUT_FILENO) == 1;
}

void StandardConsole::out(std::string_view text) {
  if (!out_failed_ && !write_all(STDOUT_FILENO, text)) out_failed_ = true;
}

void StandardConsole::err(std::string_view text) {
  // Where errors cannot be written there is nobody to tell.
  static_cast<void>(write_all(STDERR_FILENO, text));
}

std::size_t StandardConsole::err_columns() const {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualColumns;
  return size.ws_col;
}

}  // namespace muster::ctl
