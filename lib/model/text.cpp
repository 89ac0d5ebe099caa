// Every enumeration and value as the word that people read.
#include "muster/text.h"

#include <string>

#include "muster/broker_view.h"
#include "muster/control_error.h"
#include "muster/report.h"

namespace muster {

std::string_view to_string(QuiesceReason reason) noexcept {
  switch (reason) {
    case QuiesceReason::kIdleTimeout:
      return "idle-timeout";
    case QuiesceReason::kBrokerShutdown:
      return "broker-shutdown";
    case QuiesceReason::kMaintenance:
      return "maintenance";
  }
  return "?";
}

std::string_view to_string(SaidBy who) noexcept {
  switch (who) {
    case SaidBy::kBroker:
      return "broker";
    case SaidBy::kBackend:
      return "backend";
    case SaidBy::kKernel:
      return "kernel";
  }
  return "?";
}

std::string_view to_string(Cause cause) noexcept {
  switch (cause) {
    case Cause::kNone:
      return "none";
    case Cause::kAnswer:
      return "answered";
    case Cause::kAckTimeout:
      return "no answer in time";
    case Cause::kDeadline:
      return "no answer by the broadcast's deadline";
    case Cause::kCancelled:
      return "cancelled";
    case Cause::kProcessExited:
      return "process exited";
    case Cause::kClosed:
      return "connection closed";
    case Cause::kSlowReader:
      return "connection closed by the broker: slow reader";
    case Cause::kUserQuota:
      return "connection closed by the broker: slow reader, over its user's quota of queued bytes";
    case Cause::kProtocolError:
      return "connection closed by the broker: protocol error";
    case Cause::kDeregistered:
      return "deregistered";
    case Cause::kBrokerRestarted:
      return "not reconnected since the broker restarted";
    case Cause::kForgotten:
      return "forgotten by an operator";
    case Cause::kBrokerError:
      return "the broker could not ask it: out of memory";
    case Cause::kInherited:
      return "process exited, but another process has its connection";
    case Cause::kRefusedQuota:
      return "not registered: its user has as many backends as its quota allows";
    case Cause::kRefusedKey:
      return "not registered: another user's process has its key";
    case Cause::kUnseen:
      return "its process cannot be seen: the broker runs in another pid namespace than when it "
             "registered";
  }
  return "?";
}

std::string explain(Cause cause, pid_t pid) {
  std::string text;
  switch (cause) {
    case Cause::kNone:
    case Cause::kAnswer:
    case Cause::kAckTimeout:
      return text;
    case Cause::kClosed:
      text = "disconnected";
      break;
    case Cause::kSlowReader:
    case Cause::kUserQuota:
    case Cause::kProtocolError:
    case Cause::kBrokerRestarted:
      text = to_string(cause);
      break;
    case Cause::kInherited:
      text = pid == 0 ? "its process" : "process " + std::to_string(pid);
      return text + " has exited, but another process (a child?) still has its connection";
    case Cause::kRefusedQuota:
    case Cause::kRefusedKey:
      text = to_string(cause);
      if (pid == 0) {
        return text + "; its process, in another pid namespace, may run and was not asked";
      }
      return text + "; process " + std::to_string(pid) + " is running and was not asked";
    case Cause::kUnseen:
      text = to_string(cause);
      return text.append("; it may still run");
    default:
      return std::string(to_string(cause));
  }
  if (pid == 0) return text + "; its process, in another pid namespace, may still run";
  return text + "; process " + std::to_string(pid) + " is still running";
}

std::string_view to_string(BroadcastFailureReason reason) noexcept {
  switch (reason) {
    case BroadcastFailureReason::kUnsupportedOperation:
      return "unsupported operation";
    case BroadcastFailureReason::kRejected:
      return "rejected";
    case BroadcastFailureReason::kBackendError:
      return "backend error";
  }
  return "?";
}

std::string to_string(const BroadcastResult& result) {
  std::string text = result.operation.to_string() + ':';
  const auto list = [&](std::string_view title, const auto& entries, const auto& show) {
    if (entries.empty()) return;
    if (text.back() != ':') text += ';';
    text.append(1, ' ').append(title);
    char separator = ' ';
    for (const auto& entry : entries) {
      if (separator == ',') text += ',';
      text += ' ' + show(entry);
      separator = ',';
    }
  };
  list("acked", result.acks, [](const BroadcastAck& ack) { return ack.key.to_string(); });
  list("timed out", result.timeouts, [](const BroadcastTimeout& late) {
    return late.key.to_string() + " (" + std::to_string(late.timeout.count()) + " ms)";
  });
  list("failed", result.failures, [](const BroadcastFailure& failure) {
    return failure.key.to_string() + " (" + std::string(to_string(failure.reason)) + ')';
  });
  list("skipped dead", result.skipped_dead, [](const BackendKey& key) { return key.to_string(); });
  if (text.back() == ':') text += " nobody";
  return text;
}

std::string_view to_string(RefusalCode code) noexcept {
  switch (code) {
    case RefusalCode::kInvalid:
      return "invalid";
    case RefusalCode::kProtocol:
      return "protocol";
    case RefusalCode::kDenied:
      return "denied";
    case RefusalCode::kReplaced:
      return "replaced";
    case RefusalCode::kQuota:
      return "quota";
    case RefusalCode::kShuttingDown:
      return "shutting down";
    case RefusalCode::kTooSlow:
      return "too slow";
  }
  return "?";
}

std::string_view to_string(HoldEnd why) noexcept {
  switch (why) {
    case HoldEnd::kCompleted:
      return "completed";
    case HoldEnd::kAbandoned:
      return "abandoned";
    case HoldEnd::kExpired:
      return "expired";
    case HoldEnd::kResumed:
      return "resumed";
    case HoldEnd::kUnseen:
      return "unseen";
  }
  return "?";
}

std::string_view to_string(OutcomeKind kind) noexcept {
  switch (kind) {
    case OutcomeKind::kOpen:
      return "open";
    case OutcomeKind::kAck:
      return "acked";
    case OutcomeKind::kTimeout:
      return "timed out";
    case OutcomeKind::kFailure:
      return "failed";
    case OutcomeKind::kSkippedDead:
      return "skipped dead";
  }
  return "?";
}

std::string_view to_string(BroadcastState state) noexcept {
  switch (state) {
    case BroadcastState::kRunning:
      return "running";
    case BroadcastState::kFinished:
      return "finished";
    case BroadcastState::kCancelled:
      return "cancelled";
    case BroadcastState::kVerifying:
      return "verifying";
  }
  return "?";
}

std::string_view to_string(BackendState state) noexcept {
  switch (state) {
    case BackendState::kLive:
      return "live";
    case BackendState::kReconnecting:
      return "reconnecting";
    case BackendState::kDead:
      return "dead";
    case BackendState::kLost:
      return "lost";
  }
  return "?";
}

std::string_view to_string(Event::Kind kind) noexcept {
  switch (kind) {
    case Event::Kind::kBackendRegistered:
      return "backend registered";
    case Event::Kind::kBackendReturned:
      return "backend reconnected";
    case Event::Kind::kBackendReconnecting:
      return "backend reconnecting";
    case Event::Kind::kBackendDead:
      return "backend dead";
    case Event::Kind::kBackendDeregistered:
      return "backend deregistered";
    case Event::Kind::kPeerRefused:
      return "peer refused";
    case Event::Kind::kBroadcastStarted:
      return "broadcast started";
    case Event::Kind::kOutcome:
      return "outcome";
    case Event::Kind::kWorking:
      return "working";
    case Event::Kind::kRedelivered:
      return "redelivered";
    case Event::Kind::kLateAnswer:
      return "late answer";
    case Event::Kind::kDuplicateAnswer:
      return "duplicate answer";
    case Event::Kind::kUnmatchedAnswer:
      return "unmatched answer";
    case Event::Kind::kBroadcastFinished:
      return "broadcast finished";
    case Event::Kind::kShuttingDown:
      return "shutting down";
    case Event::Kind::kBackendLost:
      return "backend lost";
    case Event::Kind::kBackendResumed:
      return "backend resumed";
    case Event::Kind::kBackendForgotten:
      return "backend forgotten";
    case Event::Kind::kVerifying:
      return "verifying";
    case Event::Kind::kHoldStarted:
      return "hold started";
    case Event::Kind::kHoldEnded:
      return "hold ended";
    case Event::Kind::kHoldViolated:
      return "hold violated";
    case Event::Kind::kEventsLost:
      return "events lost";
  }
  return "?";
}

std::string_view to_string(ControlError::Code code) noexcept {
  switch (code) {
    case ControlError::Code::kInvalid:
      return "invalid";
    case ControlError::Code::kDenied:
      return "denied";
    case ControlError::Code::kNotFound:
      return "not found";
    case ControlError::Code::kInterrupted:
      return "interrupted";
    case ControlError::Code::kExpired:
      return "expired";
    case ControlError::Code::kBusy:
      return "busy";
    case ControlError::Code::kShuttingDown:
      return "shutting down";
    case ControlError::Code::kKeyConflict:
      return "key conflict";
    case ControlError::Code::kProtocol:
      return "protocol";
    case ControlError::Code::kTooLarge:
      return "too large";
  }
  return "?";
}

}  // namespace muster
