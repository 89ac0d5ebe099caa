// Short ways to write keys, outcomes and events in tests of what an operator sees.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "muster/broker_view.h"
#include "muster/report.h"

#include "support/key_of.h"

namespace muster::test {

inline BackendOutcome outcome_of(std::string service, pid_t pid, OutcomeKind kind,
                                 std::chrono::microseconds latency = {}) {
  BackendOutcome outcome;
  outcome.key = key_of(std::move(service));
  outcome.pid = pid;
  outcome.uid = 1000;
  outcome.incarnation = 1;
  outcome.outcome = kind;
  outcome.latency = latency;
  outcome.ack_timeout = std::chrono::seconds(2);
  return outcome;
}

inline BackendOutcome failure_of(std::string service, pid_t pid, BroadcastFailureReason reason,
                                 std::string detail) {
  BackendOutcome outcome = outcome_of(std::move(service), pid, OutcomeKind::kFailure);
  outcome.reason = reason;
  outcome.detail = std::move(detail);
  outcome.said_by = SaidBy::kBackend;
  outcome.cause = Cause::kAnswer;
  return outcome;
}

// One that the broker or the kernel says.
inline BackendOutcome failure_by(Cause cause, std::string service, pid_t pid,
                                 BroadcastFailureReason reason, std::string detail) {
  BackendOutcome outcome = failure_of(std::move(service), pid, reason, std::move(detail));
  outcome.said_by = said_by(cause);
  outcome.cause = cause;
  return outcome;
}

// Fills report.result from report.backends, as the broker does.
inline BroadcastReport finished(const BroadcastOperation& operation,
                                std::vector<BackendOutcome> backends) {
  BroadcastReport report(operation);
  report.broadcast_id = 17;
  report.state = BroadcastState::kFinished;
  for (const BackendOutcome& backend : backends) {
    switch (backend.outcome) {
      case OutcomeKind::kOpen:
        report.state = BroadcastState::kRunning;
        break;
      case OutcomeKind::kAck:
        report.result.acks.push_back({backend.key});
        break;
      case OutcomeKind::kTimeout:
        report.result.timeouts.push_back({backend.key, backend.ack_timeout});
        break;
      case OutcomeKind::kFailure:
        report.result.failures.push_back({backend.key, *backend.reason});
        break;
      case OutcomeKind::kSkippedDead:
        report.result.skipped_dead.push_back(backend.key);
        break;
    }
  }
  report.backends = std::move(backends);
  report.duration = std::chrono::milliseconds(1'240);
  report.started_unix_ms = 1'709'294'531'042;  // 2024-03-01 12:02:11.042 UTC
  return report;
}

inline Event event_of(Event::Kind kind, BroadcastId id = 17) {
  Event event;
  event.kind = kind;
  event.broadcast_id = id;
  event.unix_ms = 1'709'294'531'042;
  return event;
}

inline Event event_about(Event::Kind kind, const BackendOutcome& outcome, BroadcastId id = 17) {
  Event event = event_of(kind, id);
  event.key = outcome.key;
  event.pid = outcome.pid;
  event.uid = outcome.uid;
  event.backend_outcome = outcome;
  return event;
}

}  // namespace muster::test
