#include "musterctl/report_text.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "muster/path.h"

#include "musterctl/exit_status.h"
#include "musterctl/hold_text.h"
#include "musterctl/holders_text.h"
#include "musterctl/text.h"
#include "musterctl/verification_text.h"

namespace muster::ctl {

// --- one outcome

namespace {

// What a backend says stands in quotes; so does what an older broker does not say who said.
std::string in_its_words(std::string_view detail) {
  return detail.empty() ? "it gave no reason" : quote(detail);
}

bool is_the_backends(const BackendOutcome& outcome) {
  // That it deregistered is not its words.
  if (outcome.cause == Cause::kDeregistered) return false;
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
  if (outcome.outcome == OutcomeKind::kSkippedDead) return "skipped";  // the reason says the rest
  if (outcome.outcome == kUnknownOutcome) return "unknown";
  if (outcome.outcome != OutcomeKind::kFailure) return to_string(outcome.outcome);
  if (outcome.cause == Cause::kCancelled) return "cancelled";
  if (outcome.reason == BroadcastFailureReason::kUnsupportedOperation) return "unsupported";
  return outcome.reason == BroadcastFailureReason::kRejected ? "rejected" : "failed";
}

std::string outcome_reason(const BackendOutcome& outcome) {
  std::string text;
  switch (outcome.outcome) {
    case OutcomeKind::kOpen:
      text = "no answer yet; its time is " + show_exactly(outcome.ack_timeout);
      if (outcome.extensions > 0) {
        text += " and it got more " +
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

// --- a report

std::string nobody_asked(bool selective) {
  return selective ? "no backend was asked: no live backend matches --select"
                   : "no backend was asked: there was no live backend";
}

std::string backends_unknown_clause() { return "the broker does not know all backends"; }

namespace {

constexpr std::size_t kWordColumns = 12;  // "unsupported" and a space

class ReportText {
 public:
  ReportText(const BroadcastReport& report, const std::vector<BackendInfo>& known,
             const ReportStyle& style)
      : report_(report), style_(style) {
    for (const BackendInfo& info : known) {
      // One that came back or died since says nothing about then.
      if (info.state == BackendState::kDead && info.since_unix_ms <= report.started_unix_ms) {
        dead_.emplace(info.key, &info);
      }
    }
  }

  std::string text() {
    text_ = report_.result.operation.to_string() + ": " + verdict() + '\n';
    text_ += preflight() + joined() + asked_by() + cut_short() + not_durable() + unknown_backends();
    list_still_holding();
    list(OutcomeKind::kOpen, "open");
    list(OutcomeKind::kTimeout, "timed out");
    list(OutcomeKind::kFailure, "failed");
    list(kUnknownOutcome, "unknown");
    list(OutcomeKind::kSkippedDead, "skipped");
    if (style_.name_acks) list(OutcomeKind::kAck, "acked");
    list_late(report_.late_acks, "late ack");
    list_late(report_.late_failures, "late answer");
    text_ += nothing_open() + holders() + hold() + hint() + answer();
    return std::move(text_);
  }

 private:
  // An ack of a preflight is no more than a word.
  [[nodiscard]] std::string acked_word() const {
    return report_.result.operation.is_preflight() ? "would" : "acked";
  }

  [[nodiscard]] std::string preflight() const {
    if (!report_.result.operation.is_preflight() || !style_.explain_preflight) return {};
    return "  backends were only asked whether they would: nothing was released\n";
  }

  [[nodiscard]] std::string verdict() const {
    const BroadcastResult& result = report_.result;
    const std::string acked = std::to_string(result.acks.size()) + " of ";
    const std::string after = show_measured(report_.duration);
    const std::string id =
        style_.paint.dim(" (broadcast " + std::to_string(report_.broadcast_id) + ')');
    const std::string dead =
        result.skipped_dead.empty()
            ? ""
            : "; " + std::to_string(result.skipped_dead.size()) + " dead skipped";
    const std::size_t open = count_of(OutcomeKind::kOpen);
    if (report_.interrupted) {
      const std::string known = report_.backends.empty()
                                    ? std::string("no outcome was recorded by then")
                                    : acked + std::to_string(result.sent_count() + open) +
                                          " had acked by then, " + std::to_string(open) +
                                          " had not answered";
      return style_.paint.error("interrupted, the broker ended before it: " + known + dead) + id;
    }
    if (report_.state == BroadcastState::kRunning) {
      return style_.paint.warning("still running after " + after + ": " + acked +
                                  std::to_string(result.sent_count() + open) + " " + acked_word() +
                                  ", " + std::to_string(open) + " open" + dead) +
             id;
    }
    const std::string sent = std::to_string(result.sent_count() + count_of(kUnknownOutcome));
    if (report_.state == BroadcastState::kVerifying) {
      return style_.paint.warning(acked + sent + " acked in " + after + dead +
                                  "; asking the kernel who has files in use") +
             id;
    }
    if (report_.state == BroadcastState::kCancelled) {
      return style_.paint.error("cancelled after " + after + ": " + acked + sent + " " +
                                acked_word() + dead) +
             id;
    }
    const int status = status_of_outcomes(report_, false);
    if (status == kNobody) return style_.paint.error(nobody_asked(style_.selective) + dead) + id;
    const std::string line = acked + sent + " " + acked_word() + " in " + after + dead;
    return (status == kAllAcked ? style_.paint.good(line) : style_.paint.error(line)) + id;
  }

  // The key made it an earlier broadcast's report, which says nothing of now.
  [[nodiscard]] std::string joined() const {
    if (!style_.joined) return {};
    return "  that broadcast has this key and began at " +
           local_time(report_.started_unix_ms, style_.now_unix_ms) +
           ": no backend was asked again\n";
  }

  [[nodiscard]] std::string asked_by() const {
    if (!report_.asked_by || !(style_.name_operator || style_.joined)) return {};
    return "  asked by " + shown_operator(*report_.asked_by, style_.user) + '\n';
  }

  [[nodiscard]] std::string not_durable() const {
    if (!report_.id_not_durable) return {};
    return "  the broker could not write its state to disk: after a crash it may use this id "
           "again, "
           "and send a request with the same --key again\n";
  }

  [[nodiscard]] std::string unknown_backends() const {
    if (!report_.backends_unknown) return {};
    return style_.paint.error("  " + backends_unknown_clause() +
                              ": some may be missing here, and were not asked") +
           "\n  `musterctl status` says why, and what to do\n";
  }

  // All of them say so themselves: nobody had the path open by that name.
  [[nodiscard]] std::string nothing_open() const {
    const ReleaseHandles* release = report_.result.operation.as_release_handles();
    if (release == nullptr || report_.state != BroadcastState::kFinished) return {};
    bool acked = false;
    for (const BackendOutcome& backend : report_.backends) {
      if (backend.outcome != OutcomeKind::kAck) continue;
      if (backend.released.value_or(1) != 0) return {};
      acked = true;
    }
    if (!acked) return {};
    return "no backend had anything open below " + escape_bytes(release->path_prefix) + '\n';
  }

  // A --timeout that the broker did not give.
  [[nodiscard]] std::string cut_short() const {
    // A broadcast that was joined may have been asked for with less.
    if (!style_.asked_timeout || style_.joined) return {};
    for (const BackendOutcome& backend : report_.backends) {
      if (backend.outcome == OutcomeKind::kSkippedDead) continue;
      if (backend.ack_timeout >= *style_.asked_timeout) return {};
      const bool by_deadline = style_.deadline && backend.ack_timeout >= *style_.deadline;
      return "  --timeout was reduced from " + show_exactly(*style_.asked_timeout) + " to " +
             show_exactly(backend.ack_timeout) +
             (by_deadline ? ", the --deadline\n" : ", the broker's max_ack_timeout\n");
    }
    return {};
  }

  // Before everything else: an ack that is not true.
  void list_still_holding() {
    std::size_t count = 0;
    for (const StillHolding& holding : still_holding(report_)) {
      if (++count > style_.most_lines) continue;
      const BackendOutcome& backend = *holding.backend;
      line("still holds", OutcomeKind::kFailure,
           shown_backend(backend.key, backend.pid, backend.uid, style_.user) + ": " +
               shown_still(holding));
    }
    more(count, "still holding");
  }

  [[nodiscard]] bool verifies() const {
    return (style_.verify || report_.verify) && is_over(report_.state);
  }

  [[nodiscard]] std::string holders() const {
    if (!report_.verification) return {};
    HoldersStyle rows;
    rows.paint = style_.paint;
    rows.user = style_.user;
    return show_holder_rows(report_.verification->scan, rows);
  }

  [[nodiscard]] std::string hold() const {
    if (!report_.hold) return {};
    HoldStyle style;
    style.paint = style_.paint;
    style.user = style_.user;
    const BroadcastId id = report_.broadcast_id;
    const ReleaseHandles* release = report_.result.operation.as_release_handles();
    return shown_hold(id, *report_.hold, style_.now_unix_ms) + '\n' +
           show_violations(id, *report_.hold, release == nullptr ? "" : release->path_prefix,
                           style);
  }

  // The last line, where the kernel was to be asked.
  [[nodiscard]] std::string answer() const {
    return verifies() ? answer_of_release(report_, style_.paint) : "";
  }

  [[nodiscard]] std::size_t count_of(OutcomeKind kind) const {
    const auto is_of_kind = [kind](const BackendOutcome& of) { return of.outcome == kind; };
    return static_cast<std::size_t>(
        std::count_if(report_.backends.begin(), report_.backends.end(), is_of_kind));
  }

  void list(OutcomeKind kind, std::string_view what) {
    std::size_t count = 0;
    for (const BackendOutcome& backend : report_.backends) {
      if (backend.outcome != kind || ++count > style_.most_lines) continue;
      std::string why;
      if (kind == OutcomeKind::kSkippedDead) {
        const auto info = dead_.find(backend.key);
        why = skipped_reason(backend, info == dead_.end() ? nullptr : info->second,
                             style_.now_unix_ms);
      } else {
        why = outcome_reason(backend);
      }
      const bool would = kind == OutcomeKind::kAck && report_.result.operation.is_preflight();
      line(would ? "would" : outcome_word(backend), kind,
           shown_backend(backend.key, backend.pid, backend.uid, style_.user) + ": " + why);
    }
    more(count, what);
  }

  void list_late(const std::vector<LateAnswer>& answers, std::string_view word) {
    std::size_t count = 0;
    for (const LateAnswer& late : answers) {
      if (++count > style_.most_lines) continue;
      line(word, OutcomeKind::kOpen, shown(late.key) + ": " + late_reason(late));
    }
    more(count, word);
  }

  void line(std::string_view word, OutcomeKind kind, const std::string& rest) {
    const std::string first = padded(std::string(word), kWordColumns);
    const bool failed =
        kind == OutcomeKind::kTimeout || kind == OutcomeKind::kFailure || kind == kUnknownOutcome;
    text_ += "  ";
    text_ += failed                      ? style_.paint.error(first)
             : kind == OutcomeKind::kAck ? style_.paint.good(first)
                                         : style_.paint.warning(first);
    text_ += rest + '\n';
  }

  void more(std::size_t count, std::string_view what) {
    if (count <= style_.most_lines) return;
    cut_ = true;
    text_ += "  " + padded("...", kWordColumns) + "and " +
             std::to_string(count - style_.most_lines) + " more " + std::string(what) + ": " +
             style_.program + " result " + std::to_string(report_.broadcast_id) + " --json\n";
  }

  [[nodiscard]] std::string hint() const {
    const std::string id = std::to_string(report_.broadcast_id);
    if (!is_over(report_.state) && !report_.interrupted) {
      return "`" + style_.program + " result " + id + " --wait` waits for it, `" + style_.program +
             " cancel " + id + "` stops it\n";
    }
    const int status = exit_status_of(report_, false, style_.verify);
    const bool nothing_more = status == kAllAcked || status == kNobody;
    if (cut_ || nothing_more) return {};
    return "`" + style_.program + " result " + id + " --json` has every detail\n";
  }

  const BroadcastReport& report_;
  const ReportStyle& style_;
  std::map<BackendKey, const BackendInfo*> dead_;
  std::string text_;
  bool cut_ = false;
};

}  // namespace

std::string show_report(const BroadcastReport& report, const std::vector<BackendInfo>& known,
                        const ReportStyle& style) {
  return ReportText(report, known, style).text();
}

}  // namespace muster::ctl
