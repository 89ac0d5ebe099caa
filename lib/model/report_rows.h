// The report of a broadcast, read row by row from where it is kept, without a copy.
//
// What a view points at is good until what keeps it changes; of one that is visited, until the
// visit ends.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <sys/types.h>

#include "muster/report.h"

namespace muster {

// A BackendOutcome: its row, and where its name and its texts are.
struct OutcomeView : OutcomeRow {
  const BackendKey* key = nullptr;
  Incarnation incarnation = 0;
  pid_t pid = 0;
  uid_t uid = 0;
  std::string_view detail{};
  std::string_view note{};
  std::optional<std::uint32_t> percent{};
  // ack_timeout, and what it was given beyond it. A report has it in its result, of timeouts.
  std::chrono::milliseconds in_force{};
};

// A LateAnswer.
struct LateView {
  const BackendKey* key = nullptr;
  std::chrono::microseconds lateness{};
  std::optional<BroadcastFailureReason> reason;
  std::string_view detail;
};

struct ReportHead {
  BroadcastId broadcast_id = 0;
  BroadcastState state = BroadcastState::kRunning;
  const BroadcastOperation* operation = nullptr;
  std::uint64_t started_unix_ms = 0;
  std::chrono::microseconds duration{};
  std::string_view operation_key;
  const Operator* asked_by = nullptr;  // null: the broker itself
  std::optional<std::chrono::milliseconds> deadline;
  bool id_not_durable = false;
  bool backends_unknown = false;
  bool verify = false;
  const Verification* verification = nullptr;  // null: none yet
  const HoldState* hold = nullptr;             // null: none
  bool interrupted = false;
};

class ReportSource {
 public:
  ReportSource() = default;
  virtual ~ReportSource() = default;

  [[nodiscard]] virtual ReportHead head() const = 0;
  // In registration order.
  virtual void for_each_backend(const std::function<void(const OutcomeView&)>& visit) const = 0;
  // In order of arrival.
  virtual void for_each_late(const std::function<void(const LateView&)>& visit) const = 0;

 protected:
  ReportSource(const ReportSource&) = default;
  ReportSource& operator=(const ReportSource&) = default;
};

[[nodiscard]] OutcomeView view_of(const BackendOutcome& outcome);
[[nodiscard]] LateView view_of(const LateAnswer& late);
[[nodiscard]] ReportHead head_of(const BroadcastReport& report);

[[nodiscard]] BackendOutcome to_value(const OutcomeView& view);
[[nodiscard]] BroadcastReport to_value(const ReportSource& report);
// Without its backends and late answers.
[[nodiscard]] BroadcastReport to_value(const ReportHead& head);

}  // namespace muster
