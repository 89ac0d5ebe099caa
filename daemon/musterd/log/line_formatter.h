// The frame around a rendered record: time, level, the journal's priority. Not shared by threads
// (a sink calls it under its lock).
#pragma once

#include <ctime>
#include <limits>
#include <memory>
#include <string>

#include <spdlog/formatter.h>

#include "musterd/config/settings.h"
#include "musterd/log/log.h"

namespace muster::daemon {

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

}  // namespace muster::daemon
