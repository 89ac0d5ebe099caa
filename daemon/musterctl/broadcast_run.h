// Asks the brokers for a broadcast and prints the report.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "muster/control.h"

#include "musterctl/options.h"
#include "musterctl/program.h"
#include "musterctl/report_text.h"

namespace muster::ctl {

// The same of the one broker, without those of user sessions.
int run_broadcast_of_one(const Invocation& invocation, const BroadcastOptions& options,
                         BroadcastOperation operation);

// Of a broker that takes no notice of a hold.
inline constexpr char kNoHolds[] =
    "the broker is older than this musterctl and cannot hold: restart it";

// `warnings`: what is odd about the request, a sentence each. Returns the exit status.
int run_broadcast(const Invocation& invocation, const BroadcastOptions& options,
                  BroadcastOperation operation, const std::vector<std::string>& warnings = {});

// What a request may take that is to be over then; and whether that is less than the millisecond
// that it can say.
[[nodiscard]] std::chrono::milliseconds left_until(std::chrono::steady_clock::time_point then);
[[nodiscard]] bool is_too_late(std::chrono::steady_clock::time_point then);

// How many outcomes have arrived: told to an operator who stops waiting.
struct HowFar {
  BroadcastId id = 0;  // 0: it is not known whether the broker took it
  std::uint32_t targets = 0;
  std::uint32_t in = 0;
  bool joined = false;
  bool backends_unknown = false;

  void apply(const Event& event);
};

// Asks over `client`, and shows on err how far it is unless `silent`, behind `before` on a
// terminal. Nothing when `keep_waiting` returned false.
[[nodiscard]] std::optional<BroadcastReport> follow_broadcast(
    const Invocation& to, ControlClient& client, const BroadcastRequest& request, bool silent,
    HowFar& far, const std::function<bool()>& keep_waiting, const std::string& before = {});

// Says that nobody waits any more, and what goes on. `signal`: 0 when nobody reads the output any
// more. Returns the exit status.
int stopped_waiting(const Invocation& to, const HowFar& far, int signal);

// Prints a report as `result` and a broadcast do.
void print_report(const Invocation& invocation, ControlClient& client,
                  const BroadcastReport& report, ReportStyle style, const Selection& selection,
                  const std::vector<std::string>& warnings = {});

}  // namespace muster::ctl
