#include "musterctl/hold_text.h"

#include "muster/text.h"

#include "musterctl/holders_text.h"

namespace muster::ctl {
namespace {

std::string path_of(const BroadcastOperation& operation) {
  const ReleaseHandles* release = operation.as_release_handles();
  return release == nullptr ? std::string() : release->path_prefix;
}

// What ends it: "until 14:12:11, or when its operator ends".
std::string shown_end(const HoldState& state, std::uint64_t now_unix_ms) {
  std::string text;
  if (state.expires_unix_ms != 0) {
    text = "until " + local_time(state.expires_unix_ms, now_unix_ms);
    if (state.leased) text += " at the latest";
  }
  if (state.leased) {
    text += std::string(text.empty() ? "" : ", ") + "while its operator " +
            (state.owner_away ? "may still come back" : "is connected");
  }
  return text.empty() ? "until it is ended" : text;
}

std::uint64_t violation_count(const HoldState& state) {
  return state.violations.size() + state.more_violations;
}

std::string or_none(const std::string& text) { return text.empty() ? "-" : text; }

}  // namespace

std::string shown_hold(HoldId id, const HoldState& state, std::uint64_t now_unix_ms) {
  const std::string name = "hold " + std::to_string(id);
  if (state.ended) {
    std::string text = name + " ended";
    if (state.ended_unix_ms != 0) text += " at " + local_time(state.ended_unix_ms, now_unix_ms);
    return text + ": " + std::string(to_string(*state.ended));
  }
  if (state.since_unix_ms == 0) return name + " begins when every outcome is in";
  return name + " goes on since " + local_time(state.since_unix_ms, now_unix_ms) + ", " +
         shown_end(state, now_unix_ms);
}

std::string show_violations(HoldId id, const HoldState& state, const std::string& path,
                            const HoldStyle& style) {
  const std::uint64_t count = violation_count(state);
  if (count == 0) return {};
  HolderScan scan;  // for its table
  scan.prefix = path;
  scan.more_holders = state.more_violations;
  for (const HoldViolation& violation : state.violations) scan.holders.push_back(violation.holder);
  HoldersStyle rows;
  rows.paint = style.paint;
  rows.user = style.user;
  const std::string sentence = "Violated: during hold " + std::to_string(id) + ' ' +
                               counted(count, "holder") + " took files below " +
                               quote_if_needed(path) + " in use.";
  return show_holder_rows(scan, rows) + style.paint.error(sentence) + '\n';
}

std::string show_hold(const HoldInfo& hold, const HoldStyle& style) {
  std::string text = shown_hold(hold.id, hold.state, style.now_unix_ms) + '\n' + "  of          " +
                     hold.operation.to_string() + '\n' + "  acked       " +
                     counted(hold.acked, "backend") + '\n';
  if (hold.asked_by) text += "  asked by    " + shown_operator(*hold.asked_by, style.user) + '\n';
  if (hold.state.scans > 0) {
    text += "  looked at   " +
            (hold.state.scans == 1 ? "once" : counted(hold.state.scans, "time")) +
            ", at last: " + std::string(to_string(hold.state.last_verdict)) + '\n';
  }
  return text + show_violations(hold.id, hold.state, path_of(hold.operation), style);
}

std::string show_holds(const std::vector<HoldInfo>& holds, const HoldStyle& style) {
  if (holds.empty()) return "no hold goes on\n";
  std::vector<std::vector<std::string>> rows{
      {"ID", "OF", "ACKED", "SINCE", "GOES ON", "VIOLATIONS", "ASKED BY"}};
  for (const HoldInfo& hold : holds) {
    const HoldState& state = hold.state;
    rows.push_back(
        {std::to_string(hold.id), hold.operation.to_string(), std::to_string(hold.acked),
         state.since_unix_ms == 0 ? "-" : local_time(state.since_unix_ms, style.now_unix_ms),
         shown_end(state, style.now_unix_ms), std::to_string(violation_count(state)),
         or_none(hold.asked_by ? shown_operator(*hold.asked_by, style.user) : std::string())});
  }
  const std::vector<std::string> lines = table_lines(rows);
  std::string text = style.paint.bold(lines[0]) + '\n';
  for (std::size_t i = 1; i < lines.size(); ++i) text += lines[i] + '\n';
  return text;
}

}  // namespace muster::ctl
