// The core's limits and times, with their defaults.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "muster/policy.h"
#include "muster/registration.h"

#include "core/access_policy.h"
#include "core/quota.h"

namespace muster::core {

struct Config {
  std::chrono::milliseconds ack_timeout = kDefaultBroadcastAckTimeout;
  std::chrono::milliseconds max_ack_timeout = std::chrono::minutes(5);
  std::chrono::milliseconds reconnect_grace = std::chrono::seconds(1);
  // Of those who were registered before a restart of the broker, from its start.
  std::chrono::milliseconds restart_grace = std::chrono::seconds(5);
  std::chrono::milliseconds register_timeout = std::chrono::seconds(5);
  std::size_t max_broadcasts = 1024;  // in flight
  std::size_t max_reports = 1000;     // kept after they finished
  std::chrono::milliseconds report_age = std::chrono::hours(1);
  // Bound kept reports whatever the number of backends.
  std::size_t max_report_targets = 1'000'000;
  std::size_t max_report_bytes = 256ULL * 1024 * 1024;
  // Over it, the oldest dead entry of the user with the most dead entries is removed.
  std::size_t max_dead = 4096;
  std::chrono::milliseconds dead_age = std::chrono::hours(24);
  // Of one user, the processes that were refused and are listed, and as many of which the key is
  // not known.
  std::size_t max_refused = 64;

  // The longest time that an operator may give a hold.
  std::chrono::milliseconds max_hold_ttl = std::chrono::hours(24);
  // A release that was verified is looked at again while its hold goes on: so long after the last
  // scan. And while its verification waits: the shorter one.
  std::chrono::milliseconds hold_scan_interval = std::chrono::seconds(10);
  std::chrono::milliseconds verify_scan_interval = std::chrono::milliseconds(500);

  // Of one user's share of all of the above and of what waits in the shell's queues.
  Quotas quotas;

  // How long an operation key is kept, also after its report is gone.
  std::chrono::milliseconds key_age = std::chrono::hours(1);
  // One run of the broker, 16 random bytes: what backends remember of it is good for that long.
  // Empty: the shell makes one.
  std::string epoch;

  AccessPolicyPtr policy;  // null: everything is allowed

  std::string broker_version = "0";
  std::uint32_t max_body_bytes = 64 * 1024;  // told to backends
  std::uint64_t started_unix_ms = 0;
  // The first id that was ever given out with this state directory: tells an id from before a
  // restart from one that never was.
  BroadcastId first_id_ever = 1;
  // The first id of this run of the broker.
  BroadcastId next_id_at_start = 1;
};

}  // namespace muster::core
