// How musterd's lines are framed and written: spdlog's formatter and sink.
#pragma once

#include <cstdint>
#include <ctime>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <spdlog/formatter.h>
#include <spdlog/sinks/base_sink.h>

#include "musterd/config/settings.h"
#include "musterd/log/log.h"
#include "os/unique_fd.h"

namespace muster::daemon {

// The frame around a rendered record: time, level, the journal's priority. Not shared by threads
// (a sink calls it under its lock).

// Text:  2026-01-31T12:00:00.000Z info    message name=value
// JSON:  {"time":"2026-01-31T12:00:00.000Z","level":"info","message":...}
// For the journal text has no time, and both begin with <N>, sd-daemon(3)'s priority.
class LineFormatter final : public spdlog::formatter {
 public:
  LineFormatter(LogFormat format, Log::Reader reader) : format_(format), reader_(reader) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override;
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override;

 private:
  void put_time(spdlog::log_clock::time_point when, spdlog::memory_buf_t& out);

  LogFormat format_;
  Log::Reader reader_;
  // Writing a date costs as much as the rest of a line, and most lines have that of the one before.
  std::time_t second_ = std::numeric_limits<std::time_t>::min();  // no line before
  std::string second_text_;
};

// What log lines of Log are called inside spdlog: their payload is rendered already.
inline constexpr std::string_view kRenderedLogger = "musterd";

// Writes log lines to a descriptor and never waits for its reader.
//
// What the descriptor does not take at once is lost, and counted; the first line that gets through
// again is followed by one that says how many are missing. At most the rest of one line is kept.
// The flags of the descriptor, which others may share, are left as they are. Any thread.
// REQUIRES: SIGPIPE is ignored.
class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  // `fd` stays the caller's and open.
  explicit StderrSink(int fd);

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

 private:
  // How to write without waiting.
  enum class Way {
    kFile,    // a regular file takes everything at once
    kSocket,  // MSG_DONTWAIT
    kOwn,     // a pipe or terminal, opened once more with O_NONBLOCK
    kPoll,    // the same where it could not be opened: RWF_NOWAIT, else looks first
  };

  // How many bytes of `text` were taken; all that is not is lost.
  std::size_t write_some(std::string_view text) noexcept;
  // True when all of it was taken. What is left of a line that was begun waits in rest_.
  bool write_line(std::string_view line);
  bool write_rest();

  int fd_;
  os::UniqueFd own_;
  Way way_ = Way::kFile;
  std::string rest_;
  std::uint64_t lost_ = 0;
};

}  // namespace muster::daemon
