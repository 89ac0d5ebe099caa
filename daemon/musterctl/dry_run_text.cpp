// Who a broadcast would ask: what --dry-run prints. See report_text.h.
#include <set>
#include <string>

#include "musterctl/exit_status.h"
#include "musterctl/report_text.h"
#include "musterctl/text.h"

namespace muster::ctl {
namespace {

// What the report says of the broadcast that would be joined, if it can be no yes.
std::string joined_line(const DryRun& dry_run, const std::optional<BroadcastReport>& joined) {
  if (dry_run.backends_unknown) return "  " + backends_unknown_clause() + '\n';
  if (!joined) return "  its report cannot be read: it is not known whether every backend acked\n";
  const int status = least_exit_status_of(*joined, false);
  if (status == kNobody) return "  " + nobody_asked(false) + '\n';
  return status == kAllAcked ? "" : "  not every backend acked\n";
}

}  // namespace

std::string show_dry_run(const BroadcastOperation& operation, const DryRun& dry_run,
                         const std::optional<BroadcastReport>& joined, bool selective) {
  std::string text = operation.to_string() + ": ";
  if (dry_run.joins) {
    const std::string id = std::to_string(*dry_run.joins);
    return text + "would join broadcast " + id +
           ", which has that key, and ask no backend: `musterctl result " + id +
           "` shows how it stands\n" + joined_line(dry_run, joined);
  }
  if (dry_run.would_ask.empty()) {
    text += selective ? "would ask no backend: no live backend matches --select"
                      : "would ask no backend: there is no live backend";
  } else {
    text += "would ask " + counted(dry_run.would_ask.size(), "backend");
  }
  if (!dry_run.would_fail.empty()) {
    text += "; " + std::to_string(dry_run.would_fail.size()) + " would fail at once";
  }
  if (!dry_run.skipped_dead.empty()) {
    text += "; " + std::to_string(dry_run.skipped_dead.size()) + " dead would be skipped";
  }
  text += '\n';
  if (dry_run.backends_unknown) {
    text += "  " + backends_unknown_clause() +
            ": some may be missing here, and would not be asked\n"
            "  `musterctl status` says why, and what to do\n";
  }
  const std::set<BackendKey> reconnecting(dry_run.reconnecting.begin(), dry_run.reconnecting.end());
  for (const BackendKey& key : dry_run.would_ask) {
    text += "  ask   " + shown(key) + (reconnecting.contains(key) ? " (reconnecting)\n" : "\n");
  }
  for (const BackendOutcome& outcome : dry_run.would_fail) {
    text += "  fail  " + shown(outcome.key) + " (" + outcome_reason(outcome) + ")\n";
  }
  for (const BackendKey& key : dry_run.skipped_dead) text += "  dead  " + shown(key) + '\n';
  return text;
}

}  // namespace muster::ctl
