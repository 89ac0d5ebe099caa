// What the kernel knows of a process, and what is made of many measurements.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <sys/types.h>
#include <vector>

namespace muster::bench {

// CPU time of all threads of a process, user and system, to the nanosecond (its CPU clock; the
// ticks in /proc/PID/stat are 10 ms). Throws std::system_error.
[[nodiscard]] std::chrono::nanoseconds cpu_time(pid_t pid);
// Resident memory that no file stands behind. Throws std::runtime_error.
[[nodiscard]] std::size_t own_bytes(pid_t pid);

// How often the threads of a process have run and gone to sleep or been put off: a wake-up is at
// least one. Throws std::runtime_error.
[[nodiscard]] std::uint64_t context_switches(pid_t pid);

// Waits until the main thread of a process sleeps. One whose input is all there does so when it has
// dealt with it: a round is over then. Costs that process nothing. Throws std::runtime_error after
// a while.
void wait_until_idle(pid_t pid);

// Of no values: 0. `share` from 0 to 1: the value that this share of them does not exceed.
[[nodiscard]] double quantile(std::vector<double> values, double share);
// With an even number of values the mean of the two in the middle.
[[nodiscard]] double median(std::vector<double> values);
[[nodiscard]] double mean(const std::vector<double>& values);

}  // namespace muster::bench
