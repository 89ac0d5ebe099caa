// The broker's events as log lines: one for each thing an operator would ask about. The loop's
// thread.
//
// A line counts against the user who caused it (Log::admits()): the backend's, or the operator's
// who started the broadcast.
#pragma once

#include <chrono>
#include <cstdint>
#include <unordered_map>

#include "muster/broker_view.h"

#include "musterd/log/log.h"

namespace muster::daemon {

class EventLog {
 public:
  // `log` must outlive the EventLog.
  explicit EventLog(Log& log) : log_(log) {}

  // `expected`: it is about a backend of the roster, at the start of the broker.
  void write(const Event& event, std::chrono::steady_clock::time_point now, bool expected = false);
  // Whether acks have a line each.
  [[nodiscard]] bool wants_every_outcome() const noexcept { return log_.enabled(LogLevel::kDebug); }

 private:
  using Time = std::chrono::steady_clock::time_point;

  [[nodiscard]] bool admits_operator(const Event& event, Time now);
  void write_expected(const Event& event, Time now);
  void write_started(const Event& event, Time now);
  void write_outcome(const Event& event, Time now);
  void write_finished(const Event& event, Time now);

  struct Started {
    Time at;
    bool told = false;
    std::chrono::nanoseconds longest{};  // of its outcomes: the broker began a little before `at`
  };

  Log& log_;
  std::unordered_map<BroadcastId, Started> started_;  // those that run
};

}  // namespace muster::daemon
