// What people want to know of a process: which program it is, and since when it runs.
//
// Any thread. Reads /proc: about ten microseconds.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace muster::os {

struct ProcessFacts {
  std::string exe;          // bytes, as the kernel gives them; empty where it could not be read
  std::string exe_problem;  // why it could not: "permission denied", "the process has exited"
  std::uint64_t started_unix_ms = 0;  // 0: not known
};

// REQUIRES: `pidfd` is of the process that had `pid`. Whatever is read while that process lives is
// of that process: its pid cannot be used again before it exited, and the pidfd tells of that.
[[nodiscard]] ProcessFacts facts_of(pid_t pid, int pidfd);

// The name of the process that has that pid now, as /proc/PID/comm has it: bytes. Empty where it
// cannot be read. Only for people: it may be another process by now.
[[nodiscard]] std::string command_of(pid_t pid);

}  // namespace muster::os
