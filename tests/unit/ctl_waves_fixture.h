// Targets, outcomes and reports of waves, as tests write them.
#pragma once

#include <chrono>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "musterctl/waves.h"
#include "support/view_values.h"

namespace muster::ctl {

using test::failure_of;
using test::finished;
using test::key_of;
using test::outcome_of;

inline WaveTarget target(const std::string& service, pid_t pid, const std::string& replica = {},
                         Labels labels = {}) {
  WaveTarget one;
  one.key = key_of(service, "1.0.0", replica);
  one.pid = pid;
  one.uid = 1000;
  one.incarnation = static_cast<Incarnation>(pid);
  one.labels = std::move(labels);
  return one;
}

inline BackendOutcome row(const WaveTarget& target, OutcomeKind kind) {
  BackendOutcome outcome =
      outcome_of(target.key.service_name, target.pid, kind, std::chrono::milliseconds(3));
  outcome.key = target.key;
  outcome.incarnation = target.incarnation;
  if (kind == OutcomeKind::kFailure) outcome.reason = BroadcastFailureReason::kRejected;
  return outcome;
}

inline WaveResult asked(std::vector<WaveTarget> targets, std::vector<BackendOutcome> rows,
                        bool is_incomplete = false) {
  Wave wave;
  wave.targets = std::move(targets);
  return wave_result(wave,
                     {finished(BroadcastOperation::release_handles("/mnt/a"), std::move(rows))},
                     is_incomplete);
}

inline WavesReport report_of(std::vector<WaveResult> waves) {
  WavesReport report;
  report.operation = BroadcastOperation::release_handles("/mnt/a");
  report.planned = waves.size();
  report.waves = std::move(waves);
  return report;
}

}  // namespace muster::ctl
