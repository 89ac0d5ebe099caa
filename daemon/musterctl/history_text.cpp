#include "musterctl/history_text.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "muster/text.h"

#include "musterctl/text.h"

namespace muster::ctl {
namespace {

std::string shown_asker(uid_t uid, const std::string& recorded, const ViewStyle& style) {
  // As it was then: the uid may be somebody else's by now.
  if (!recorded.empty()) return escape_bytes(recorded) + " (" + std::to_string(uid) + ')';
  return shown_user(uid, style.user);
}

std::string shown_who(const HistoryEntry& entry, const ViewStyle& style) {
  if (!entry.asked_by) return "the broker";
  std::string text = shown_asker(entry.asked_by->uid, entry.user, style);
  if (entry.asked_by->pid > 0) text += ", pid " + std::to_string(entry.asked_by->pid);
  if (!entry.asked_by->command.empty()) text += ", " + escape_controls(entry.asked_by->command);
  return text;
}

std::string shown_verdict(const HistoryEntry& entry) {
  if (entry.verdict) return std::string(to_string(*entry.verdict));
  return entry.verify ? "none" : "-";
}

std::string hold_of_entry(const HistoryEntry& entry) {
  if (!entry.hold) return "-";
  std::string text = entry.hold_ended ? std::string(to_string(*entry.hold_ended)) : "goes on";
  if (entry.violations != 0) text += ", " + counted(entry.violations, "violation");
  return text;
}

// What is not in the table, and why.
std::string what_is_missing(const HistoryPage& page, const ViewStyle& style) {
  std::string text;
  if (page.more) text += "there are older ones: give --limit, --since or --until\n";
  if (page.missing != 0) {
    text += style.paint.warning(counted(page.missing, "entry") +
                                " could not be written since the broker started: see `musterctl "
                                "status`") +
            '\n';
  }
  if (!page.problem.empty()) {
    text +=
        style.paint.warning("the newest entries are missing: " + escape_bytes(page.problem)) + '\n';
  }
  return text;
}

std::string table(const std::vector<std::vector<std::string>>& rows,
                  const std::vector<bool>& is_failed, const ViewStyle& style) {
  std::string text;
  const std::vector<std::string> lines = table_lines(rows);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool failed = i > 0 && is_failed[i - 1];
    text += (i == 0   ? style.paint.bold(lines[i])
             : failed ? style.paint.error(lines[i])
                      : lines[i]) +
            '\n';
  }
  return text;
}

}  // namespace

std::string history_outcome(const HistoryEntry& entry) {
  const bool is_preflight = entry.operation.starts_with("preflight ");
  const std::string acked = std::to_string(entry.acks) + " of " + std::to_string(entry.targets) +
                            (is_preflight ? " would" : " acked");
  if (entry.interrupted) return "interrupted, " + acked;
  if (!is_over(entry.state)) return std::string(to_string(entry.state));
  std::string text = entry.state == BroadcastState::kCancelled ? "cancelled, " : "";
  if (entry.targets == 0) {
    text += "nobody to ask";
  } else {
    text += acked;
    if (entry.timeouts != 0) text += ", " + std::to_string(entry.timeouts) + " timed out";
    if (entry.failures != 0) text += ", " + std::to_string(entry.failures) + " failed";
  }
  if (entry.skipped_dead != 0) text += ", " + std::to_string(entry.skipped_dead) + " dead";
  if (entry.late_answers != 0) text += ", " + std::to_string(entry.late_answers) + " late";
  if (entry.backends_unknown) text += ", some may be missing";
  return text;
}

std::string show_history(const HistoryPage& page, const ViewStyle& style) {
  if (page.broadcasts.empty()) {
    return std::string(style.selective ? "the history has no such broadcast\n"
                                       : "the history has no broadcast\n") +
           what_is_missing(page, style);
  }
  std::vector<std::vector<std::string>> rows{
      {"ID", "STARTED", "TOOK", "OPERATION", "OUTCOME", "VERDICT", "HOLD", "ASKED BY"}};
  std::vector<bool> is_failed;
  for (const HistoryEntry& entry : page.broadcasts) {
    rows.push_back({std::to_string(entry.id), local_time(entry.started_unix_ms, style.now_unix_ms),
                    is_over(entry.state) ? show_measured(entry.duration) : "-",
                    escape_controls(entry.operation), history_outcome(entry), shown_verdict(entry),
                    hold_of_entry(entry), shown_who(entry, style)});
    is_failed.push_back(entry.failed);
  }
  return table(rows, is_failed, style) + what_is_missing(page, style);
}

std::string show_refusals(const HistoryPage& page, const ViewStyle& style) {
  if (page.refusals.empty()) {
    return std::string(style.selective ? "the history has no such refusal\n"
                                       : "the history has no refusal\n") +
           what_is_missing(page, style);
  }
  std::vector<std::vector<std::string>> rows{
      {"FIRST", "LAST", "TIMES", "USER", "PID", "COMMAND", "KEY", "WHY"}};
  const auto or_dash = [](const std::string& text) {
    return text.empty() ? std::string("-") : escape_controls(text);
  };
  for (const HistoryRefusal& refusal : page.refusals) {
    rows.push_back({local_time(refusal.first_unix_ms, style.now_unix_ms),
                    local_time(refusal.last_unix_ms, style.now_unix_ms),
                    std::to_string(refusal.times), shown_asker(refusal.uid, refusal.user, style),
                    refusal.pid > 0 ? std::to_string(refusal.pid) : "not visible",
                    or_dash(refusal.command), or_dash(refusal.key), or_dash(refusal.why)});
  }
  return table(rows, std::vector<bool>(page.refusals.size()), style) + what_is_missing(page, style);
}

}  // namespace muster::ctl
