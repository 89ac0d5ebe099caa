#include "musterctl/waves_text.h"

#include <algorithm>
#include <set>

#include "muster/json.h"
#include "muster/text.h"

#include "musterctl/exit_status.h"
#include "musterctl/holders_text.h"
#include "musterctl/verification_text.h"

namespace muster::ctl {
namespace {

constexpr std::size_t kWaveWordColumns = 12;  // "unsupported" and a space

class WavesText {
 public:
  WavesText(const WavesReport& waves, const ReportStyle& style)
      : waves_(waves), style_(style), merged_(merged_report(waves)) {}

  std::string text() {
    still_holding_rows();
    outcome_rows();
    for (const WaveResult& wave : waves_.waves) {
      for (const WaveTarget& one : wave.left) {
        row(style_.paint.error(word("not asked")),
            shown_target(one) + ": it had left before its wave, and may still run");
      }
    }
    end_of_rows("left");
    for (const WaveTarget& one : waves_.not_asked) {
      row(style_.paint.error(word("not asked")), shown_target(one));
    }
    end_of_rows("not asked");
    for (const std::string& one : waves_.others_not_asked) {
      text_ += "  " + style_.paint.error(word("not asked")) + one + '\n';
    }
    if (merged_.backends_unknown) {
      text_ += style_.paint.error("  " + backends_unknown_clause() +
                                  ": some may be missing here, and were not asked") +
               "\n  `musterctl status` says why, and what to do\n";
    }
    if (merged_.verification) {
      HoldersStyle rows;
      rows.paint = style_.paint;
      rows.user = style_.user;
      text_ += show_holder_rows(merged_.verification->scan, rows);
    }
    if (!waves_.stopped.empty() && waves_.operation.as_quiesce() != nullptr &&
        !merged_.result.acks.empty()) {
      text_ += "  " + counted(merged_.result.acks.size(), "backend") +
               (merged_.result.acks.size() == 1 ? " stays" : " stay") +
               " quiesced: `musterctl resume` ends that\n";
    }
    return std::move(text_) + answer();
  }

 private:
  static std::string word(std::string_view text) {
    return padded(std::string(text), kWaveWordColumns);
  }

  [[nodiscard]] std::string shown_target(const WaveTarget& one) const {
    return shown_backend(one.key, one.pid, one.uid, style_.user);
  }

  void row(const std::string& first, const std::string& rest) {
    if (++rows_ <= style_.most_lines) text_ += "  " + first + rest + '\n';
  }
  void end_of_rows(std::string_view what) {
    if (rows_ > style_.most_lines) {
      text_ += "  " + word("...") + "and " + std::to_string(rows_ - style_.most_lines) + " more " +
               std::string(what) + ": --json names them all\n";
    }
    rows_ = 0;
  }

  void still_holding_rows() {
    for (const StillHolding& holding : still_holding(merged_)) {
      const BackendOutcome& of = *holding.backend;
      row(style_.paint.error(word("still holds")),
          shown_backend(of.key, of.pid, of.uid, style_.user) + ": " + shown_still(holding));
    }
    end_of_rows("still holding");
  }

  void outcome_rows() {
    for (const bool acked : {false, true}) {
      if (acked && !style_.name_acks) continue;
      for (const BackendOutcome& of : merged_.backends) {
        if ((of.outcome == OutcomeKind::kAck) != acked) continue;
        const bool is_dead = of.outcome == OutcomeKind::kSkippedDead;
        const std::string first = word(outcome_word(of));
        const std::string name = is_dead && of.pid == 0
                                     ? shown(of.key)
                                     : shown_backend(of.key, of.pid, of.uid, style_.user);
        row(acked     ? style_.paint.good(first)
            : is_dead ? style_.paint.warning(first)
                      : style_.paint.error(first),
            name + ": " + outcome_reason(of));
      }
      end_of_rows(acked ? "acked" : "that did not ack");
    }
  }

  [[nodiscard]] std::string missing() const {
    std::string text;
    const auto add = [&](std::size_t count, std::string_view what) {
      if (count == 0) return;
      text += "; " + counted(count, what) + (count == 1 ? " was" : " were") + " not asked";
    };
    std::size_t left = 0;
    for (const WaveResult& wave : waves_.waves) left += wave.left.size();
    add(waves_.not_asked.size() + left, "backend");
    add(waves_.others_not_asked.size(), "broker of a user session");
    return text;
  }

  [[nodiscard]] std::string answer() const {
    const std::string operation = waves_.operation.to_string() + ": ";
    const std::size_t begun = waves_.waves.size();
    if (!waves_.stopped.empty()) {
      std::string text = operation + "stopped after ";
      text += begun == 0 ? "no wave" : wave_name(begun, waves_.planned);
      text += ": " + waves_.stopped + ": " + acked_clause(merged_) + missing();
      if (waves_.verify) text += "; the kernel was not asked";
      return style_.paint.error(text) + '\n';
    }
    if (waves_.verify && missing().empty()) {
      return answer_of_release(merged_, style_.paint);
    }
    const int status = status_of_waves(waves_, false);
    if (status == kNobody) {
      return operation + style_.paint.error(nobody_asked(style_.selective)) + '\n';
    }
    const std::string text = acked_clause(merged_) + " in " + counted(begun, "wave") + missing();
    return operation + (status == kAllAcked ? style_.paint.good(text) : style_.paint.error(text)) +
           '\n';
  }

  const WavesReport& waves_;
  const ReportStyle& style_;
  const BroadcastReport merged_;
  std::size_t rows_ = 0;  // of the kind that is written
  std::string text_;
};

std::string_view verdict_word(int status) {
  switch (status) {
    case kAllAcked:
      return "all acked";
    case kNobody:
      return "nobody asked";
    case kStillHeld:
      return "not clear";
    default:
      return "not all acked";
  }
}

}  // namespace

std::string wave_name(std::size_t number, std::size_t planned) {
  return "wave " + std::to_string(number) + " of " + std::to_string(planned);
}

std::string show_wave(std::size_t number, std::size_t planned, const WaveResult& result,
                      const ReportStyle& style) {
  WavesReport alone;
  alone.waves.push_back(result);
  const BroadcastReport merged = merged_report(alone);
  std::string ids;
  auto took = std::chrono::microseconds(0);
  for (const BroadcastReport& report : result.reports) {
    ids += (ids.empty() ? "" : ", ") + std::to_string(report.broadcast_id);
    took = std::max(took, report.duration);
  }
  std::string line = acked_clause(merged);
  if (merged.result.sent_count() > 0) line += " in " + show_measured(took);
  if (!merged.result.skipped_dead.empty()) {
    line += "; " + std::to_string(merged.result.skipped_dead.size()) + " dead skipped";
  }
  if (!result.left.empty()) line += "; " + std::to_string(result.left.size()) + " had left";
  line = result.failures == 0 && !merged.backends_unknown ? style.paint.good(line)
                                                          : style.paint.error(line);
  if (!ids.empty()) {
    line += style.paint.dim((result.reports.size() == 1 ? " (broadcast " : " (broadcasts ") + ids +
                            ')');
  }
  return wave_name(number, planned) + (result.wave.is_first ? " (--first): " : ": ") + line + '\n';
}

std::string show_waves(const WavesReport& waves, const ReportStyle& style) {
  return WavesText(waves, style).text();
}

std::string json_of_waves(const WavesReport& waves, const WavesEnd& end,
                          const std::vector<std::string>& warnings) {
  std::string list;
  std::vector<WaveTarget> left;
  std::vector<WaveTarget> no_answer;
  for (const WaveResult& wave : waves.waves) {
    std::string reports;
    for (const BroadcastReport& report : wave.reports) {
      reports += (reports.empty() ? "" : ",") + to_json(report);
    }
    JsonObject one;
    one.boolean("first", wave.wave.is_first)
        .number("targets", static_cast<std::int64_t>(wave.wave.targets.size()))
        .number("failures", static_cast<std::int64_t>(wave.failures))
        .raw("reports", '[' + reports + ']');
    std::string text = one.line();
    text.pop_back();
    list += (list.empty() ? "" : ",") + text;
    left.insert(left.end(), wave.left.begin(), wave.left.end());
    no_answer.insert(no_answer.end(), wave.no_answer.begin(), wave.no_answer.end());
  }
  const BroadcastReport merged = merged_report(waves);
  JsonObject object;
  object.text("operation", waves.operation.to_string())
      .text("verdict", verdict_word(end.status))
      .number("exit_status", end.status)
      .number("acked", static_cast<std::int64_t>(merged.result.acks.size()))
      .number("asked", static_cast<std::int64_t>(merged.result.sent_count()))
      .number("planned_waves", static_cast<std::int64_t>(waves.planned))
      .raw("waves", '[' + list + ']')
      .raw("not_asked", to_json(waves.not_asked))
      .raw("left", to_json(left))
      .raw("no_answer", to_json(no_answer))
      .texts("sessions_not_asked", waves.others_not_asked)
      .boolean("backends_unknown", merged.backends_unknown);
  if (!waves.stopped.empty()) object.text("stopped", waves.stopped);
  if (waves.verification) object.raw("verification", to_json(waves.verification->scan));
  if (!end.error.empty()) object.raw("error", end.error);
  if (!warnings.empty()) object.texts("warnings", warnings);
  return object.line();
}

}  // namespace muster::ctl
