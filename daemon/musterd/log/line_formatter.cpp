#include "musterd/log/line_formatter.h"

#include <chrono>
#include <ctime>
#include <iterator>
#include <string>

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

}  // namespace muster::daemon
