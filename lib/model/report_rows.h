// The report of a broadcast, read row by row from where it is kept, without a copy.
//
// What a row points at is good until what keeps it changes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <sys/types.h>

#include "muster/report.h"

namespace muster {

// One backend's BackendOutcome.
struct OutcomeRow {
  const BackendKey* key = nullptr;
  Incarnation incarnation = 0;
  pid_t pid = 0;
  uid_t uid = 0;
  OutcomeKind outcome = OutcomeKind::kOpen;
  std::optional<BroadcastFailureReason> reason;
  std::string detail;  // made from the cause, unless the backend said it
  std::chrono::milliseconds ack_timeout{};
  std::chrono::milliseconds in_force{};  // that, and what it was given beyond it
  std::chrono::microseconds latency{};
  std::string_view note;
  std::optional<std::uint32_t> percent;
  std::uint32_t extensions = 0;
  std::uint32_t redeliveries = 0;
  SaidBy said_by = SaidBy::kBroker;
  Cause cause = Cause::kNone;
  std::optional<std::uint64_t> released;
};

// One LateAnswer.
struct LateRow {
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
};

class ReportSource {
 public:
  ReportSource() = default;
  virtual ~ReportSource() = default;

  [[nodiscard]] virtual ReportHead head() const = 0;
  // In registration order.
  virtual void for_each_backend(const std::function<void(const OutcomeRow&)>& visit) const = 0;
  // In order of arrival.
  virtual void for_each_late(const std::function<void(const LateRow&)>& visit) const = 0;

 protected:
  ReportSource(const ReportSource&) = default;
  ReportSource& operator=(const ReportSource&) = default;
};

[[nodiscard]] BackendOutcome to_value(const OutcomeRow& row);
[[nodiscard]] BroadcastReport to_value(const ReportSource& report);

}  // namespace muster
