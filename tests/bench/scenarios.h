// What rows do not show: silence, many broadcasts at a time, rest, starting, size.
//
// Each drives one musterd, the registrations beside a floor in the same run.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "bench/musterd_process.h"
#include "bench/results.h"

namespace muster::bench {

// The names by which results are found again.
inline constexpr char kSilentOne[] = "one silent backend among 1,000";
inline constexpr char kOthersRatio[] = "others_latency_ratio";  // with it to without it, median
inline constexpr char kEndAfterDeadline[] = "end_after_deadline_worst_ms";
inline constexpr char kSilentAll[] = "1,000 silent backends, 1,000 deadlines";
inline constexpr char kWorstLateness[] = "lateness_worst_ms";
inline constexpr char kInFlight[] = "100 broadcasts in flight over 1,000 backends";
inline constexpr char kTotalRatio[] = "total_ratio";  // to 100 rounds one after another
inline constexpr char kTurns[] = "one operator's requests over 10,000 backends";
inline constexpr char kWorstPing[] = "others_ping_worst_ms";
inline constexpr char kHistory[] = "10,000 outcomes written to the history";
inline constexpr char kHistoryRatio[] = "ping_p99_ratio";  // while it writes to idle
inline constexpr char kHoldEnd[] = "the end of a hold of 10,000 backends";
inline constexpr char kToRound[] = "to_round_ratio";  // its time to that of a round
inline constexpr char kIdle[] = "idle";
inline constexpr char kContextSwitches[] = "context_switches";
inline constexpr char kRegistrations[] = "registrations";
inline constexpr char kRateRatio[] = "rate_ratio";  // to the floor's
inline constexpr char kHolderScan[] = "scan for holders";
inline constexpr char kScanRatio[] = "to_plain_walk_cpu_ratio";
inline constexpr char kScanMs[] = "many_processes_ms";
inline constexpr char kStart[] = "start";
inline constexpr char kReadyMs[] = "exec_to_ready_ms";
inline constexpr char kPingMs[] = "ping_process_ms";
inline constexpr char kStrippedMb[] = "stripped_mb";

struct ScenarioOptions {
  std::string subject;
  MusterdCommand command;
  std::size_t repetitions = 3;  // each scenario knows what to make of it
  std::size_t idle_backends = 10'000;
  std::size_t idle_seconds = 5;
};

// --- each throws when a server or a client fails
// The others' latency with and without one that does not answer, alternating; and how long after
// its deadline the broadcast ends.
[[nodiscard]] ScenarioResult one_silent_backend(const ScenarioOptions& options);
// All silent, each with a budget of its own: how late each outcome is.
[[nodiscard]] ScenarioResult many_deadlines(const ScenarioOptions& options);
// From the first request to the last answer of all, against the sum of as many rounds that run
// alone, alternating.
[[nodiscard]] ScenarioResult many_in_flight(const ScenarioOptions& options);
// How long another operator's ping takes at most while one asks for each of the things that are
// about every backend.
[[nodiscard]] ScenarioResult turns(const ScenarioOptions& options);
// Pings while the history writes a large report, against pings while nothing happens.
[[nodiscard]] ScenarioResult history(const ScenarioOptions& options);
// How long it takes from the request that ends a hold until the last backend has heard of it. Each
// end alternates with the round that began the hold.
[[nodiscard]] ScenarioResult hold_end(const ScenarioOptions& options);
// What the kernel counted of the broker while nothing was asked.
[[nodiscard]] ScenarioResult idle(const ScenarioOptions& options);
// How many register in a second, and in how many of the floor's, alternating.
[[nodiscard]] ScenarioResult registrations(const ScenarioOptions& options);
// Looks for holders among 111,000 descriptors in a few processes, alternating with a plain walk of
// all links, and among 1,000 processes with 20 each. Starts no broker.
[[nodiscard]] ScenarioResult holder_scan(const ScenarioOptions& options);
// From exec to READY=1 at a notify socket; `musterctl ping` from fork to exit; the size without
// symbols.
[[nodiscard]] ScenarioResult start(const ScenarioOptions& options);

// All of the above, in this order.
[[nodiscard]] const std::vector<ScenarioResult (*)(const ScenarioOptions&)>& all_scenarios();

}  // namespace muster::bench
