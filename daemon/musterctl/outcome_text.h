// What became of one backend, in words. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "muster/broker_view.h"
#include "muster/report.h"

#include "musterctl/user_names.h"

namespace muster::ctl {

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

}  // namespace muster::ctl
