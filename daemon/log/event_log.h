// The broker's events as log lines: one for each thing an operator would ask about. The loop's
// thread.
#pragma once

#include <chrono>
#include <unordered_map>

#include "muster/broker_view.h"

#include "log/line_limit.h"
#include "log/log.h"

namespace muster::daemon {

class EventLog {
 public:
  // `log` must outlive the EventLog.
  explicit EventLog(Log& log) : log_(log) {}

  void write(const Event& event, std::chrono::steady_clock::time_point now);
  // Whether acks have a line each.
  [[nodiscard]] bool wants_every_outcome() const noexcept { return log_.enabled(LogLevel::kDebug); }

 private:
  void write_outcome(const Event& event);
  void write_finished(const Event& event, std::chrono::steady_clock::time_point now);

  Log& log_;
  LineLimit refusals_{50, 10};
  LineLimit late_answers_{50, 10};
  std::unordered_map<BroadcastId, std::chrono::steady_clock::time_point> started_;
};

}  // namespace muster::daemon
