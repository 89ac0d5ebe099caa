#include "musterd/log/stderr_sink.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fmt/format.h>

namespace muster::daemon {

namespace {

// Without a flag of the open file that others share.
ssize_t write_without_waiting(int fd, std::string_view text) noexcept {
  const iovec all{const_cast<char*>(text.data()), text.size()};  // pwritev2() only reads it
  const ssize_t written = ::pwritev2(fd, &all, 1, -1, RWF_NOWAIT);
  if (written >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)) return written;
  // A terminal, or a pipe of a kernel before 6.5.
  pollfd ready{fd, POLLOUT, 0};
  if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) {
    errno = EAGAIN;
    return -1;
  }
  // A pipe that is ready takes so much at once; unless another writer was faster, it does not wait.
  return ::write(fd, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
}

}  // namespace

StderrSink::StderrSink(int fd) : fd_(fd) {
  struct stat found {};
  if (::fstat(fd, &found) != 0 || S_ISREG(found.st_mode)) return;
  if (S_ISSOCK(found.st_mode)) {
    way_ = Way::kSocket;
    return;
  }
  // O_NONBLOCK belongs to the open file, which a shell or a pipeline shares: it needs one of our
  // own.
  const std::string path = fmt::format("/proc/self/fd/{}", fd);
  own_.reset(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  way_ = own_ ? Way::kOwn : Way::kPoll;
}

std::size_t StderrSink::write_some(std::string_view text) noexcept {
  std::size_t taken = 0;
  while (taken < text.size()) {
    const char* data = text.data() + taken;
    const std::size_t size = text.size() - taken;
    ssize_t written = -1;
    if (way_ == Way::kSocket) {
      written = ::send(fd_, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (way_ == Way::kPoll) {
      written = write_without_waiting(fd_, {data, size});
    } else {
      written = ::write(way_ == Way::kOwn ? own_.get() : fd_, data, size);
    }
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    taken += static_cast<std::size_t>(written);
  }
  return taken;
}

bool StderrSink::write_rest() {
  if (rest_.empty()) return true;
  rest_.erase(0, write_some(rest_));
  return rest_.empty();
}

bool StderrSink::write_line(std::string_view line) {
  if (!write_rest()) return false;
  const std::size_t taken = write_some(line);
  // A line that was begun is finished later: half lines would run into each other.
  if (taken != 0) rest_ = line.substr(taken);
  return taken != 0;
}

void StderrSink::sink_it_(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t line;
  formatter_->format(message, line);
  if (!write_line({line.data(), line.size()})) {
    ++lost_;
    return;
  }
  if (lost_ == 0 || !rest_.empty()) return;
  const std::string text =
      fmt::format("{} log lines before this one were dropped: stderr was full or closed", lost_);
  spdlog::details::log_msg notice(message.time, {}, "", spdlog::level::warn, text);
  line.clear();
  formatter_->format(notice, line);
  if (write_line({line.data(), line.size()})) lost_ = 0;
}

}  // namespace muster::daemon
