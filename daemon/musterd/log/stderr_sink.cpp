#include "musterd/log/stderr_sink.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <ctime>
#include <fcntl.h>
#include <iterator>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fmt/format.h>

namespace muster::daemon {
namespace {

struct LevelNames {
  std::string_view json;
  std::string_view text;      // of one width
  std::string_view priority;  // syslog(3)'s
};

LevelNames names_of(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::critical:
    case spdlog::level::err:
      return {"error", "error  ", "<3>"};
    case spdlog::level::warn:
      return {"warning", "warning", "<4>"};
    case spdlog::level::info:
      return {"info", "info   ", "<6>"};
    default:
      return {"debug", "debug  ", "<7>"};
  }
}

}  // namespace

void LineFormatter::put_time(spdlog::log_clock::time_point when, spdlog::memory_buf_t& out) {
  using std::chrono::milliseconds;
  const auto whole = std::chrono::floor<std::chrono::seconds>(when);  // also before 1970
  if (const std::time_t second = whole.time_since_epoch().count(); second != second_) {
    std::tm utc{};
    ::gmtime_r(&second, &utc);
    second_text_ = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.", utc.tm_year + 1900,
                               utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
    second_ = second;
  }
  out.append(std::string_view(second_text_));
  const auto ms = std::chrono::duration_cast<milliseconds>(when - whole).count();
  for (const auto digit : {ms / 100, ms / 10 % 10, ms % 10}) {
    out.push_back(static_cast<char>('0' + digit));
  }
  out.push_back('Z');
}

void LineFormatter::format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) {
  const auto level = names_of(message.level);
  std::string_view payload(message.payload.data(), message.payload.size());
  std::string rendered;
  if (std::string_view(message.logger_name.data(), message.logger_name.size()) != kRenderedLogger) {
    rendered = format_ == LogFormat::kJson ? render_json(payload, {}) : render_text(payload, {});
    payload = rendered;
  }
  // Without format strings: they would cost more than all else of a line.
  const auto put = [&](auto... pieces) { (out.append(std::string_view(pieces)), ...); };
  if (reader_ == Log::Reader::kJournal) put(level.priority);
  if (format_ == LogFormat::kJson) {
    put(R"({"time":")");
    put_time(message.time, out);
    put(R"(","level":")", level.json, R"(",)", payload, "}");
  } else if (reader_ == Log::Reader::kJournal) {
    put(payload);
  } else {
    put_time(message.time, out);
    put(" ", level.text, " ", payload);
  }
  out.push_back('\n');
}

std::unique_ptr<spdlog::formatter> LineFormatter::clone() const {
  return std::make_unique<LineFormatter>(format_, reader_);
}

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
