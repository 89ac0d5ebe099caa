// The broker's events as log lines: one for each thing an operator would ask about. The loop's
// thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "muster/broker_view.h"

#include "log/line_limit.h"
#include "log/log.h"

namespace muster::daemon {

// The operator whose broadcast is being started.
struct AskedBy {
  std::int64_t pid = 0;
  std::uint64_t uid = 0;
  std::string_view key;  // the operation's; empty without one
};

class EventLog {
 public:
  // `log` must outlive the EventLog.
  explicit EventLog(Log& log) : log_(log) {}

  // `asked_by` is null for what the broker does of its own.
  void write(const Event& event, std::chrono::steady_clock::time_point now,
             const AskedBy* asked_by = nullptr);
  // Whether acks have a line each.
  [[nodiscard]] bool wants_every_outcome() const noexcept { return log_.enabled(LogLevel::kDebug); }

 private:
  void write_started(const Event& event, const AskedBy* asked_by);
  void write_outcome(const Event& event);
  void write_finished(const Event& event, std::chrono::steady_clock::time_point now);

  Log& log_;
  LineLimit refusals_{50, 10};
  LineLimit late_answers_{50, 10};
  std::unordered_map<BroadcastId, std::chrono::steady_clock::time_point> started_;
};

}  // namespace muster::daemon
