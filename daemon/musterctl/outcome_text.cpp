#include "musterctl/outcome_text.h"

#include "muster/path.h"

#include "musterctl/duration.h"
#include "musterctl/text.h"

namespace muster::ctl {
namespace {

// What a backend says stands in quotes; so does what an older broker does not say who said.
std::string in_its_words(std::string_view detail) {
  return detail.empty() ? "it gave no reason" : quote(detail);
}

bool is_the_backends(const BackendOutcome& outcome) {
  return outcome.said_by == SaidBy::kBackend || outcome.cause == Cause::kNone;
}

std::string failure_reason(const BackendOutcome& outcome) {
  if (outcome.reason == BroadcastFailureReason::kUnsupportedOperation) {
    std::string text = "it has no handler for this operation";
    if (!outcome.detail.empty()) text += ": " + quote(outcome.detail);
    return text;
  }
  if (outcome.cause == Cause::kCancelled) return "before it answered";
  if (is_the_backends(outcome)) return in_its_words(outcome.detail);
  return outcome.detail.empty() ? std::string(to_string(outcome.cause))
                                : escape_controls(outcome.detail);
}

std::string timeout_reason(const BackendOutcome& outcome) {
  if (outcome.cause == Cause::kDeadline) {
    return "no answer when the deadline of the broadcast passed, after " +
           show_measured(outcome.latency);
  }
  if (outcome.extensions == 0) return "no answer within " + show_exactly(outcome.ack_timeout);
  return "no answer within " + show_measured(outcome.latency) + ", though it asked for more time " +
         (outcome.extensions == 1 ? "once" : counted(outcome.extensions, "time"));
}

}  // namespace

std::string_view outcome_word(const BackendOutcome& outcome) {
  switch (outcome.outcome) {
    case OutcomeKind::kOpen:
      return "open";
    case OutcomeKind::kAck:
      return "acked";
    case OutcomeKind::kTimeout:
      return "timed out";
    case OutcomeKind::kSkippedDead:
      return "skipped";
    case OutcomeKind::kFailure:
      break;
    default:
      return "unknown";
  }
  if (outcome.cause == Cause::kCancelled) return "cancelled";
  if (outcome.reason == BroadcastFailureReason::kUnsupportedOperation) return "unsupported";
  return outcome.reason == BroadcastFailureReason::kRejected ? "rejected" : "failed";
}

std::string outcome_reason(const BackendOutcome& outcome) {
  std::string text;
  switch (outcome.outcome) {
    case OutcomeKind::kOpen:
      text = "no answer yet; it has " + show_exactly(outcome.ack_timeout);
      if (outcome.extensions > 0) {
        text += " and got more " +
                (outcome.extensions == 1 ? "once" : counted(outcome.extensions, "time"));
      }
      break;
    case OutcomeKind::kAck:
      text = "after " + show_measured(outcome.latency);
      if (outcome.released) text += ", " + counted(*outcome.released, "handle") + " released";
      break;
    case OutcomeKind::kTimeout:
      text = timeout_reason(outcome);
      break;
    case OutcomeKind::kFailure:
      text = failure_reason(outcome);
      break;
    case OutcomeKind::kSkippedDead:
      return skipped_reason(outcome, nullptr, 0);
    default:
      text = "an outcome of a newer broker, unknown to this musterctl: not an ack";
      break;
  }
  const std::string note = shown_note(outcome.percent, outcome.note);
  if (!note.empty() && outcome.outcome != OutcomeKind::kAck) text += "; last said " + note;
  if (outcome.redeliveries > 0) text += "; asked again after it reconnected";
  return text;
}

std::string skipped_reason(const BackendOutcome& outcome, const BackendInfo* info,
                           std::uint64_t now_unix_ms) {
  std::string text = "it was dead";
  if (info != nullptr) text = "dead since " + local_time(info->since_unix_ms, now_unix_ms);
  return outcome.detail.empty() ? text : text + ", " + escape_bytes(outcome.detail);
}

std::string late_reason(const LateAnswer& late) {
  const std::string when = show_measured(late.lateness) + " after its deadline";
  if (!late.reason) return "acked " + when;
  return "answered " + when + ": " + std::string(to_string(*late.reason)) + ", " +
         in_its_words(late.detail);
}

std::string shown_note(std::optional<std::uint32_t> percent, std::string_view note) {
  std::string text;
  if (percent) text = std::to_string(*percent) + " %";
  if (!note.empty()) text += (text.empty() ? "" : " ") + quote(note);
  return text;
}

std::string shown_backend(const BackendKey& key, pid_t pid, uid_t uid, const UserName& user) {
  return shown(key) + " (" + shown_process(pid, uid, user) + ')';
}

}  // namespace muster::ctl
