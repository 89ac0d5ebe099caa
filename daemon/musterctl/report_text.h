// A broadcast's report for an operator: one line of verdict, then who did not ack and why. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "muster/broker_view.h"
#include "muster/report.h"

#include "musterctl/paint.h"
#include "musterctl/user_names.h"

namespace muster::ctl {

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
  std::optional<std::chrono::milliseconds> asked_timeout;
};

// `known`: what the broker knows of its backends, for those that were dead; may be empty.
[[nodiscard]] std::string show_report(const BroadcastReport& report,
                                      const std::vector<BackendInfo>& known,
                                      const ReportStyle& style);

[[nodiscard]] std::string show_dry_run(const BroadcastOperation& operation, const DryRun& dry_run,
                                       bool selective);

}  // namespace muster::ctl
