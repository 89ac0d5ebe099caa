// What the soak did so far, and a line about it every few seconds.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <sys/types.h>

#include "muster/result.h"

namespace muster::soak {

// Descriptors that a process has open.
[[nodiscard]] std::size_t descriptors_of(pid_t pid);

class Progress {
 public:
  std::uint64_t broadcasts = 0;
  std::uint64_t joins = 0;
  std::uint64_t deaths = 0;  // of processes
  std::uint64_t restarts = 0;

  void add(const BroadcastResult& result);
  void say_now_and_then(pid_t musterd, std::uint64_t stray);
  void say(pid_t musterd, std::uint64_t stray);

 private:
  using Clock = std::chrono::steady_clock;
  std::uint64_t acks_ = 0;
  std::uint64_t timeouts_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t skipped_ = 0;
  Clock::time_point begin_ = Clock::now();
  // At the last line.
  Clock::time_point said_ = begin_;
  std::uint64_t broadcasts_said_ = 0;
  pid_t pid_ = 0;
  std::chrono::nanoseconds cpu_{};
};

}  // namespace muster::soak
