// The broker's events as log lines: one for each thing an operator would ask about. The loop's
// thread.
//
// A line counts against the user who caused it (Log::admits()): the backend's, or the operator's
// who started the broadcast.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <sys/types.h>
#include <unordered_map>

#include "muster/broker_view.h"

#include "musterd/log/log.h"

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
  using Time = std::chrono::steady_clock::time_point;

  void write_started(const Event& event, const AskedBy* asked_by, Time now);
  void write_outcome(const Event& event, Time now);
  void write_finished(const Event& event, Time now);

  struct Started {
    Time at;
    std::optional<uid_t> by;  // none: the broker itself
    bool told = false;
  };

  Log& log_;
  std::unordered_map<BroadcastId, Started> started_;  // those that run
};

}  // namespace muster::daemon
