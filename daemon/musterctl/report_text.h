// A broadcast for an operator: its report (one line of verdict, then the backends that did not ack,
// with the reason) and the outcome of one backend. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "muster/broker_view.h"
#include "muster/report.h"

#include "musterctl/text.h"
#include "musterctl/user_names.h"

namespace muster::ctl {

// --- one outcome

// What became of one backend, in words. Pure.

// One word or two, for the front of a line: "acked", "timed out", "rejected", "unsupported",
// "failed", "cancelled", "skipped", "open", "unknown".
[[nodiscard]] std::string_view outcome_word(const BackendOutcome& outcome);

// The rest of the sentence: `no answer within 2 s; last said 40 % "flushing"`.
[[nodiscard]] std::string outcome_reason(const BackendOutcome& outcome);
// The same of one that was dead: "dead since 14:02:11, process exited". `info` is what the broker
// knows of it, if anything.
[[nodiscard]] std::string skipped_reason(const BackendOutcome& outcome, const BackendInfo* info,
                                         std::uint64_t now_unix_ms);
// Of an answer after the deadline: `acked 1.3 s after its deadline`.
[[nodiscard]] std::string late_reason(const LateAnswer& late);

// `40 % "flushing"`; empty when the backend said neither.
[[nodiscard]] std::string shown_note(std::optional<std::uint32_t> percent, std::string_view note);
// "soldr 2.0.1 (pid 814, uid 1000 alice)"
[[nodiscard]] std::string shown_backend(const BackendKey& key, pid_t pid, uid_t uid,
                                        const UserName& user);

// --- a report

// A broadcast's report for an operator: one line of verdict, then who did not ack and why. Pure.
struct ReportStyle {
  Paint paint;
  UserName user = user_names_of_system();
  std::uint64_t now_unix_ms = 0;
  bool name_acks = false;             // list those that acked, too
  bool selective = false;             // asked with --select
  std::size_t most_lines = 50;        // of each kind
  std::string program = "musterctl";  // that reaches the same broker
  bool joined = false;                // the broadcast was there already: see Event::joined
  bool name_operator = false;         // say who asked
  bool explain_preflight = true;      // say of a preflight what it is
  bool verify = false;                // asked for: an older broker may not say so
  std::optional<std::chrono::milliseconds> asked_timeout;
  std::optional<std::chrono::milliseconds> deadline;
};

// `known`: what the broker knows of its backends, for those that were dead; may be empty.
[[nodiscard]] std::string show_report(const BroadcastReport& report,
                                      const std::vector<BackendInfo>& known,
                                      const ReportStyle& style);

// `joined`: the report of the broadcast that would be joined, if there is one and it could be read.
[[nodiscard]] std::string show_dry_run(const BroadcastOperation& operation, const DryRun& dry_run,
                                       const std::optional<BroadcastReport>& joined,
                                       bool selective);

// That there was nobody to ask: one clause.
[[nodiscard]] std::string nobody_asked(bool selective);
// That the broker says that backends are unknown: one clause.
[[nodiscard]] std::string backends_unknown_clause();

}  // namespace muster::ctl
