#include "musterd/log/log.h"

#include <cstdlib>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <spdlog/logger.h>

#include "musterd/log/stderr_sink.h"

namespace muster::daemon {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kDebug:
      return spdlog::level::debug;
  }
  return spdlog::level::info;
}

}  // namespace

Log::Log(std::shared_ptr<spdlog::sinks::sink> sink, LogSettings settings, Reader reader)
    : format_(settings.format), limits_(::geteuid(), {}) {
  sink->set_formatter(std::make_unique<LineFormatter>(settings.format, reader));
  logger_ = std::make_shared<spdlog::logger>(std::string(kRenderedLogger), std::move(sink));
  // The default one prints to stderr, and waits for it.
  logger_->set_error_handler([](const std::string&) {});
  set_level(settings.level);
}

Log::Log(int fd, LogSettings settings)
    : Log(std::make_shared<StderrSink>(fd), settings,
          is_journal(fd, ::secure_getenv("JOURNAL_STREAM")) ? Reader::kJournal : Reader::kPeople) {}

Log::~Log() = default;

LogLevel Log::level() const noexcept {
  for (const LogLevel level : {LogLevel::kError, LogLevel::kWarning, LogLevel::kInfo}) {
    if (logger_->level() == to_spdlog(level)) return level;
  }
  return LogLevel::kDebug;
}

void Log::set_level(LogLevel level) noexcept { logger_->set_level(to_spdlog(level)); }

bool Log::enabled(LogLevel level) const noexcept { return logger_->should_log(to_spdlog(level)); }

void Log::write(LogLevel level, std::string_view message, LogFields fields) noexcept {
  if (!enabled(level)) return;
  try {
    const std::string payload =
        format_ == LogFormat::kJson ? render_json(message, fields) : render_text(message, fields);
    logger_->log(to_spdlog(level), spdlog::string_view_t(payload));
  } catch (const std::exception&) {
    // Memory is out, and a log line is what can be missed first; of an error, its fields.
    if (level == LogLevel::kError && format_ != LogFormat::kJson) write_bare(message);
  }
}

void Log::write_bare(std::string_view message) noexcept {
  try {
    logger_->log(to_spdlog(LogLevel::kError),
                 spdlog::string_view_t(message.data(), message.size()));
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): there is nothing left to do
  }
}

bool Log::admits(LogLevel level, uid_t user, std::chrono::steady_clock::time_point now) noexcept {
  if (!enabled(level)) return false;
  std::optional<UserLineLimits::Admitted> admitted;
  try {
    const std::lock_guard lock(limits_mutex_);
    admitted = limits_.admit(user, now);
  } catch (const std::exception&) {
    return false;  // as write() when memory is out
  }
  if (!admitted) return false;
  if (admitted->left_out == 0) return true;
  if (admitted->shared) {
    warning("log lines of many users dropped", {{"dropped_lines", admitted->left_out}});
  } else {
    warning("log lines of a user dropped",
            {{"uid", static_cast<std::uint64_t>(user)}, {"dropped_lines", admitted->left_out}});
  }
  return true;
}

bool is_journal(int fd, const char* journal_stream) noexcept {
  if (journal_stream == nullptr) return false;
  char* end = nullptr;
  const unsigned long long device = std::strtoull(journal_stream, &end, 10);
  if (end == journal_stream || *end != ':') return false;
  const char* second = end + 1;
  const unsigned long long inode = std::strtoull(second, &end, 10);
  if (end == second || *end != '\0') return false;
  struct stat found {};
  return ::fstat(fd, &found) == 0 && found.st_dev == device && found.st_ino == inode;
}

}  // namespace muster::daemon
