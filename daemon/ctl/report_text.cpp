#include "ctl/report_text.h"

#include <map>
#include <string_view>

#include "ctl/duration.h"
#include "ctl/outcome_text.h"
#include "ctl/text.h"

namespace muster::ctl {
namespace {

constexpr std::size_t kWordColumns = 12;  // "unsupported" and a space

std::string nobody(bool selective) {
  return selective ? "nobody was asked: no live backend matches --select"
                   : "nobody was asked: there was no live backend";
}

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
    text_ += joined() + cut_short();
    list(OutcomeKind::kOpen, "open");
    list(OutcomeKind::kTimeout, "timed out");
    list(OutcomeKind::kFailure, "failed");
    list(OutcomeKind::kSkippedDead, "skipped");
    if (style_.name_acks) list(OutcomeKind::kAck, "acked");
    list_late(report_.late_acks, "late ack");
    list_late(report_.late_failures, "late answer");
    text_ += hint();
    return std::move(text_);
  }

 private:
  [[nodiscard]] std::string verdict() const {
    const BroadcastResult& result = report_.result;
    const std::string acked = std::to_string(result.acks.size()) + " of ";
    const std::string after = show_measured(report_.duration);
    const std::string id =
        style_.paint.quiet(" (broadcast " + std::to_string(report_.broadcast_id) + ')');
    const std::string dead =
        result.skipped_dead.empty()
            ? ""
            : "; " + std::to_string(result.skipped_dead.size()) + " dead skipped";
    if (report_.state == BroadcastState::kRunning) {
      const std::size_t open = open_count();
      return style_.paint.uneasy("still running after " + after + ": " + acked +
                                 std::to_string(result.sent_count() + open) + " acked, " +
                                 std::to_string(open) + " open" + dead) +
             id;
    }
    const std::string sent = std::to_string(result.sent_count());
    if (report_.state == BroadcastState::kCancelled) {
      return style_.paint.bad("cancelled after " + after + ": " + acked + sent + " acked" + dead) +
             id;
    }
    if (result.sent_count() == 0) return style_.paint.bad(nobody(style_.selective) + dead) + id;
    const std::string line = acked + sent + " acked in " + after + dead;
    return (result.all_live_backends_acked() ? style_.paint.good(line) : style_.paint.bad(line)) +
           id;
  }

  // The key made it an earlier broadcast's report, which says nothing of now.
  [[nodiscard]] std::string joined() const {
    if (!style_.joined) return {};
    return "  that broadcast has this key and began at " +
           local_time(report_.started_unix_ms, style_.now_unix_ms) + ": nobody was asked again\n";
  }

  // A --timeout that the broker did not give.
  [[nodiscard]] std::string cut_short() const {
    // A broadcast that was joined may have been asked for with less.
    if (!style_.asked_timeout || style_.joined) return {};
    for (const BackendOutcome& backend : report_.backends) {
      if (backend.outcome == OutcomeKind::kSkippedDead) continue;
      if (backend.ack_timeout >= *style_.asked_timeout) return {};
      return "  the broker gives nobody more than its max_ack_timeout, " +
             show_exactly(backend.ack_timeout) + ", not the " +
             show_exactly(*style_.asked_timeout) + " of --timeout\n";
    }
    return {};
  }

  [[nodiscard]] std::size_t open_count() const {
    std::size_t open = 0;
    for (const BackendOutcome& backend : report_.backends) {
      if (backend.outcome == OutcomeKind::kOpen) ++open;
    }
    return open;
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
      line(outcome_word(backend), kind,
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
    const bool failed = kind == OutcomeKind::kTimeout || kind == OutcomeKind::kFailure;
    text_ += "  ";
    text_ += failed                      ? style_.paint.bad(first)
             : kind == OutcomeKind::kAck ? style_.paint.good(first)
                                         : style_.paint.uneasy(first);
    text_ += rest + '\n';
  }

  void more(std::size_t count, std::string_view what) {
    if (count <= style_.most_lines) return;
    cut_ = true;
    text_ += "  " + padded("...", kWordColumns) + "and " +
             std::to_string(count - style_.most_lines) + " more " + std::string(what) +
             ": musterctl result " + std::to_string(report_.broadcast_id) + " --json\n";
  }

  [[nodiscard]] std::string hint() const {
    const std::string id = std::to_string(report_.broadcast_id);
    if (report_.state == BroadcastState::kRunning) {
      return "`musterctl result " + id + " --wait` waits for it, `musterctl cancel " + id +
             "` stops it\n";
    }
    if (cut_ || report_.result.all_live_backends_acked()) return {};
    return "`musterctl result " + id + " --json` has every detail\n";
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

std::string show_dry_run(const BroadcastOperation& operation, const DryRun& dry_run,
                         bool selective) {
  std::string text = operation.to_string() + ": ";
  if (dry_run.joins) {
    const std::string id = std::to_string(*dry_run.joins);
    return text + "would join broadcast " + id +
           ", which has that key, and ask nobody: `musterctl result " + id +
           "` shows how it stands\n";
  }
  if (dry_run.would_ask.empty()) {
    text += selective ? "would ask nobody: no live backend matches --select"
                      : "would ask nobody: there is no live backend";
  } else {
    text += "would ask " + counted(dry_run.would_ask.size(), "backend");
  }
  if (!dry_run.skipped_dead.empty()) {
    text += "; " + std::to_string(dry_run.skipped_dead.size()) + " dead would be skipped";
  }
  text += '\n';
  for (const BackendKey& key : dry_run.would_ask) text += "  ask   " + shown(key) + '\n';
  for (const BackendKey& key : dry_run.skipped_dead) text += "  dead  " + shown(key) + '\n';
  return text;
}

}  // namespace muster::ctl
