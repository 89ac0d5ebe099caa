// The core's names for time, connections, processes and deadlines. Pure values.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <sys/types.h>

namespace muster::core {

using SteadyTime = std::chrono::steady_clock::time_point;

// The time of an event, as the shell saw it. Deadlines are steady; the wall clock is only shown.
struct Now {
  SteadyTime steady;
  std::uint64_t unix_ms = 0;
};

// One accepted connection. Slots are small numbers that are used again; the generation tells
// apart those that used one.
struct ConnectionId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;  // 0: no connection

  friend auto operator<=>(const ConnectionId&, const ConnectionId&) = default;
};

// One armed deadline; slot and generation as above.
struct DeadlineId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;  // 0: no deadline

  [[nodiscard]] bool armed() const noexcept { return generation != 0; }
  friend auto operator<=>(const DeadlineId&, const DeadlineId&) = default;
};

// One process, never confused with a later one of the same pid.
struct ProcessId {
  pid_t pid = 0;  // 0: not visible from here (another pid namespace)
  // Pidfd inode or start time: what tells reused pids apart, and processes without a pid. 0: none.
  std::uint64_t unique = 0;

  friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

// What is known of a process for people to read; nothing is decided by it. One for all connections
// of a process.
struct ProcessFacts {
  std::string exe;                    // printable; empty where it could not be read
  std::string exe_problem;            // why it could not
  std::uint64_t started_unix_ms = 0;  // 0: not known
};
using ProcessFactsPtr = std::shared_ptr<const ProcessFacts>;

// The credentials of the other end of a connection, as the kernel reports them.
struct Peer {
  ProcessId process;
  uid_t uid = 0;
  gid_t gid = 0;
  ProcessFactsPtr facts = nullptr;  // from its registration on; null: nothing is known

  // A process stays the same when it changes its user. What nothing tells apart from others is
  // never the same as anything.
  [[nodiscard]] bool same_process(const Peer& other) const noexcept {
    return is_identified() && process == other.process;
  }
  [[nodiscard]] bool is_identified() const noexcept {
    return process.pid != 0 || process.unique != 0;
  }

  friend bool operator==(const Peer&, const Peer&) = default;
};

}  // namespace muster::core
