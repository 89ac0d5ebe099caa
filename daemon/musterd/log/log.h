// musterd's log: lines with fields, by spdlog, to a descriptor that may be slow, full or closed.
//
// Any thread; nothing here throws, waits or ends the program.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string_view>
#include <sys/types.h>

#include "musterd/config/settings.h"
#include "musterd/log/line_limit.h"
#include "musterd/log/record.h"

namespace spdlog {
class logger;
namespace sinks {
class sink;
}
}  // namespace spdlog

namespace muster::daemon {

class Log {
 public:
  // Whether the journal reads it: it has its own time stamps, and takes priorities as <N>.
  enum class Reader { kPeople, kJournal };

  Log(std::shared_ptr<spdlog::sinks::sink> sink, LogSettings settings, Reader reader);
  // To `fd`, which stays open; finds out by itself whether that is the journal.
  Log(int fd, LogSettings settings);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  [[nodiscard]] LogLevel level() const noexcept;
  void set_level(LogLevel level) noexcept;
  [[nodiscard]] bool enabled(LogLevel level) const noexcept;

  void write(LogLevel level, std::string_view message, LogFields fields = {}) noexcept;

  // For a line that a peer of `user` can cause as often as it likes: whether that user has lines
  // left. When lines were left out before, a line says how many first.
  [[nodiscard]] bool admits(
      LogLevel level, uid_t user,
      std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now()) noexcept;
  void error(std::string_view message, LogFields fields = {}) noexcept {
    write(LogLevel::kError, message, fields);
  }
  void warning(std::string_view message, LogFields fields = {}) noexcept {
    write(LogLevel::kWarning, message, fields);
  }
  void info(std::string_view message, LogFields fields = {}) noexcept {
    write(LogLevel::kInfo, message, fields);
  }
  void debug(std::string_view message, LogFields fields = {}) noexcept {
    write(LogLevel::kDebug, message, fields);
  }

 private:
  // Without fields, which takes no memory.
  void write_bare(std::string_view message) noexcept;

  std::shared_ptr<spdlog::logger> logger_;
  LogFormat format_;
  std::mutex limits_mutex_;
  UserLineLimits limits_;
};

// Whether `fd` is the journal's stream, as $JOURNAL_STREAM ("device:inode") names it.
[[nodiscard]] bool is_journal(int fd, const char* journal_stream) noexcept;

}  // namespace muster::daemon
