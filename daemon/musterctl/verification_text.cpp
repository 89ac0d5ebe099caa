#include "musterctl/verification_text.h"

#include "muster/text.h"

#include "musterctl/exit_status.h"
#include "musterctl/holders_text.h"
#include "musterctl/report_text.h"

namespace muster::ctl {
namespace {

// What the verification says, as the second half of a sentence: "nobody holds a file below /x".
std::string verified_clause(const BroadcastReport& report, const std::string& path) {
  const HolderScan& scan = report.verification->scan;
  switch (scan.verdict) {
    case HolderVerdict::kClear:
      return "nobody holds a file below " + path;
    case HolderVerdict::kHeld: {
      const std::uint64_t holders = sure_holders(scan);
      return counted(holders, "holder") + (holders == 1 ? " has" : " have") + " files below " +
             path + " in use";
    }
    case HolderVerdict::kUnknown:
      break;
  }
  if (!scan.problem.empty()) return "the kernel was not asked: " + escape_controls(scan.problem);
  return "it could not be seen whether somebody holds a file below " + path;
}

std::string proof_of(const Verification& verification) {
  std::string proof = shown_leases(verification.scan.leases, "proven");
  if (verification.scans > 1) {
    if (!proof.empty()) proof += "; ";
    proof += counted(verification.scans, "scan") + " in " + show_measured(verification.took);
  }
  return proof.empty() ? "" : " (" + proof + ')';
}

std::string without_verification(const BroadcastReport& report, const std::string& path) {
  const std::string why = report.verify
                              ? "the verification was cut short"
                              : "the broker cannot verify: it is older than this musterctl";
  return "Unknown: " + acked_clause(report) + ", but " + why +
         ": it is not known who has files below " + path + " in use.";
}

}  // namespace

std::vector<StillHolding> still_holding(const BroadcastReport& report) {
  std::vector<StillHolding> found;
  if (!report.verification) return found;
  for (const BackendOutcome& backend : report.backends) {
    if (backend.outcome != OutcomeKind::kAck) continue;
    StillHolding holding{&backend, 0, true};
    for (const Holder& holder : report.verification->scan.holders) {
      if (holder.backend != backend.key) continue;
      holding.files += holder.count();
      holding.possibly = holding.possibly && holder.possibly;
    }
    if (holding.files > 0) found.push_back(holding);
  }
  return found;
}

std::string shown_still(const StillHolding& holding) {
  return std::string("acked, ") + (holding.possibly ? "possibly " : "") + "still holds " +
         counted(holding.files, "file");
}

std::string acked_clause(const BroadcastReport& report) {
  std::size_t unknown = 0;  // of a newer broker: no list of the result has them
  for (const BackendOutcome& one : report.backends) unknown += one.outcome == kUnknownOutcome;
  const std::size_t asked = report.result.sent_count() + unknown;
  std::string text = asked == 0 ? "no backend was asked"
                                : std::to_string(report.result.acks.size()) + " of " +
                                      std::to_string(asked) + " acked";
  if (report.backends_unknown) text += ", " + backends_unknown_clause();
  return text;
}

std::string answer_of_release(const BroadcastReport& report, const Paint& paint) {
  const ReleaseHandles* release = report.result.operation.as_release_handles();
  const std::string path = release == nullptr ? "it" : quote_if_needed(release->path_prefix);
  if (!report.verification) return paint.warning(without_verification(report, path)) + '\n';
  const std::string acked = acked_clause(report);
  const std::string rest = verified_clause(report, path) + proof_of(*report.verification) + '.';
  const HolderVerdict verdict = report.verification->scan.verdict;
  const int outcomes = status_of_outcomes(report, true);
  if (outcomes != kAllAcked) return paint.error("Not released: " + acked + "; " + rest) + '\n';
  switch (verdict) {
    case HolderVerdict::kClear:
      return paint.good("Released: " + acked + ", " + rest) + '\n';
    case HolderVerdict::kHeld:
      return paint.error("Not released: " + acked + ", but " + rest) + '\n';
    case HolderVerdict::kUnknown:
      break;
  }
  return paint.warning("Unknown: " + acked + ", but " + rest) + '\n';
}

}  // namespace muster::ctl
