#include "soak/progress.h"

#include <filesystem>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <string>

#include "bench/measure.h"

namespace muster::soak {

std::size_t descriptors_of(pid_t pid) {
  const std::filesystem::directory_iterator open("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(open), end(open)));
}

void Progress::add(const BroadcastResult& result) {
  ++broadcasts;
  acks_ += result.acks.size();
  timeouts_ += result.timeouts.size();
  failures_ += result.failures.size();
  skipped_ += result.skipped_dead.size();
}

void Progress::say_now_and_then(pid_t musterd, std::uint64_t stray) {
  constexpr std::chrono::seconds kEvery{5};
  if (Clock::now() - said_ >= kEvery) say(musterd, stray);
}

void Progress::say(pid_t musterd, std::uint64_t stray) {
  const auto now = Clock::now();
  const auto seconds = std::chrono::duration<double>(now - said_).count();
  const auto cpu = bench::cpu_time(musterd);
  // Of a process that is new the share since it began is not known.
  const double busy =
      musterd == pid_ ? std::chrono::duration<double>(cpu - cpu_).count() / seconds * 100 : 0;
  constexpr double kMiB = 1024.0 * 1024.0;
  std::cout << std::fixed << std::setprecision(0) << std::setw(5)
            << std::chrono::duration<double>(now - begin_).count() << " s: " << broadcasts
            << " broadcasts (" << static_cast<double>(broadcasts - broadcasts_said_) / seconds
            << "/s), acked " << acks_ << ", timed out " << timeouts_ << ", failed " << failures_
            << ", skipped " << skipped_ << "; joins " << joins << ", deaths " << deaths
            << ", restarts " << restarts << ", stray " << stray << "; musterd "
            << descriptors_of(musterd) << " descriptors, " << std::setprecision(1)
            << static_cast<double>(bench::own_bytes(musterd)) / kMiB << " MiB, "
            << std::setprecision(0) << busy << " % CPU" << std::endl;
  said_ = now;
  broadcasts_said_ = broadcasts;
  pid_ = musterd;
  cpu_ = cpu;
}

}  // namespace muster::soak
