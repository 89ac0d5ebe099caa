// A broadcast in waves: to a few backends at a time, and no further when too many fail. This is the
// arithmetic and the bookkeeping: who is in which wave, what became of whom, when to stop. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "muster/broker_view.h"
#include "muster/report.h"
#include "muster/selector.h"

namespace muster::ctl {

// --- how many

// "3" or "25%".
struct Amount {
  std::uint32_t number = 0;
  bool is_percent = false;

  friend bool operator==(const Amount&, const Amount&) = default;
};
// Returns what is wrong with `text`, or nothing.
[[nodiscard]] std::string read_amount(const std::string& text, std::uint32_t least, Amount& into);
[[nodiscard]] std::string shown_amount(const Amount& amount);

// A share of `targets` is rounded up, and is at least one.
[[nodiscard]] std::size_t wave_size(const Amount& batch, std::size_t targets);
// A share of `targets` is rounded down.
[[nodiscard]] std::size_t failures_allowed(const Amount& most, std::size_t targets);

// --- who

using WaveTarget = BackendInfo;
// In registration order: who would be asked, and who would fail at once. `listed`: the broker's
// backends, as they were after the dry run. Of one that has left since only the key is known.
[[nodiscard]] std::vector<WaveTarget> wave_targets(const DryRun& dry_run,
                                                   const std::vector<BackendInfo>& listed);

struct Wave {
  std::vector<WaveTarget> targets;
  bool is_first = false;  // of --first
};
// Those that `first` selects (empty: none) stand in a wave of their own. The others follow, at most
// `most` in a wave. Processes that share a key ("~" in the replica) cannot be asked one by one:
// they stand in one wave, which may have more for it.
[[nodiscard]] std::vector<Wave> plan_waves(const std::vector<WaveTarget>& targets,
                                           const Selection& first, std::optional<std::size_t> most);

// Selects the targets of a wave, of those that `asked` selects; in parts that a broker takes as one
// request each. Throws UsageError where `asked` has more terms than go together with a key.
[[nodiscard]] std::vector<Selection> selections_of_wave(const Wave& wave, const Selection& asked);

// --- what became of them

struct WaveResult {
  Wave wave;
  std::vector<BroadcastReport> reports;  // of its broadcasts: one, unless the wave is large
  std::vector<WaveTarget> left;  // deregistered before their wave: they may live, and hold files
  std::vector<WaveTarget> no_answer;  // whose report could not be read
  std::size_t failures = 0;           // who did not ack; the dead do not count
};

// Sorts the targets that no report names: they left, or with `is_incomplete` it is not known.
[[nodiscard]] WaveResult wave_result(Wave wave, std::vector<BroadcastReport> reports,
                                     bool is_incomplete);

struct WavesReport {
  BroadcastOperation operation = BroadcastOperation::unknown();
  std::vector<BackendKey> dead;  // when it began
  std::size_t planned = 0;       // waves, with those that were not begun
  std::vector<WaveResult> waves;
  std::vector<WaveTarget> not_asked;
  std::vector<std::string> others_not_asked;  // brokers of user sessions
  std::string stopped;                        // why not all were asked: a clause
  bool backends_unknown = false;
  bool verify = false;  // it was asked for
  std::optional<Verification> verification;
};

// All waves as one broadcast: each process once, with the worst of its outcomes. A target whose
// report could not be read is a failure.
[[nodiscard]] BroadcastReport merged_report(const WavesReport& waves);
// Those that no wave asked: newcomers, and new processes that have an old key.
[[nodiscard]] std::vector<WaveTarget> not_asked_yet(const std::vector<WaveTarget>& targets,
                                                    const BroadcastReport& merged);
// The exit status, unless something ended it before.
[[nodiscard]] int status_of_waves(const WavesReport& waves, bool allow_empty);

}  // namespace muster::ctl
