// A whole run: the broker's configuration and the steps. Everything that a run depends on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "simulator/rng.h"
#include "simulator/step.h"

namespace muster::simulator {

// Times are in milliseconds.
struct Knobs {
  std::int64_t ack_timeout = 5000;
  std::int64_t max_ack_timeout = 300'000;
  std::int64_t grace = 1000;
  std::int64_t restart_grace = 5000;
  std::int64_t register_timeout = 5000;
  std::int64_t max_broadcasts = 1024;
  std::int64_t max_reports = 1000;
  std::int64_t report_age = 3'600'000;
  std::int64_t max_report_targets = 1'000'000;
  std::int64_t max_report_bytes = 1 << 28;
  std::int64_t max_dead = 4096;
  std::int64_t dead_age = 86'400'000;
  std::int64_t max_refused = 64;
  std::int64_t policy = 0;  // see policy_of()
  // Of each user; the first has `more` of each.
  std::int64_t connections_each = 32'768;
  std::int64_t registrations_each = 16'384;
  std::int64_t broadcasts_each = 512;
  std::int64_t queued_each = 1'000'000;  // messages
  std::int64_t report_bytes_each = 1 << 26;
  std::int64_t holds_each = 64;
  std::int64_t more = 0;
  std::int64_t max_hold_ttl = 86'400'000;
  std::int64_t hold_scan_interval = 10'000;
  std::int64_t verify_scan_interval = 500;
  std::int64_t first_id = 1;    // that this host ever gave
  std::int64_t queue = 64;      // messages that wait for a backend before it is a slow reader
  std::int64_t curious = 0;     // 1: whoever gets an event looks at the broker at once
  std::int64_t one_budget = 0;  // 1: no timeout but the broker's, and nobody asks for more time

  friend bool operator==(const Knobs&, const Knobs&) = default;
};

[[nodiscard]] Knobs random_knobs(Rng& rng);
// The same with one thing as it is by default, for each thing that is not.
[[nodiscard]] std::vector<Knobs> simpler(const Knobs& knobs);
[[nodiscard]] core::Config config_of(const Knobs& knobs);

struct Script {
  Knobs knobs;
  std::vector<Step> steps;

  friend bool operator==(const Script&, const Script&) = default;
};

// One line for the knobs (what differs from the default), then one for each step.
[[nodiscard]] std::string to_string(const Script& script);
// The inverse; empty lines and what follows a '#' are left out. Nothing, and `bad_line`, when a
// line is neither.
[[nodiscard]] std::optional<Script> parse_script(std::string_view text, std::string& bad_line);

}  // namespace muster::simulator
