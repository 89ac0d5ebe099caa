// What a broker leaves in the directory of its sockets when it ends in order and some of its
// backends run on without having drained: who does not find the broker must not take that for
// nobody being there. The next broker removes it.
//
// Any thread; reading and writing block.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

namespace muster::os {

inline constexpr const char* kLeftRunningName = "left-running";

struct LeftProcess {
  pid_t pid = 0;                  // 0: it cannot be seen
  std::uint64_t start_ticks = 0;  // 0: not known
  std::string name;               // printable, on one line
};

// As the file has it: what does not fit is counted only.
[[nodiscard]] std::string encode_left_running(const std::vector<LeftProcess>& processes);

// Those that still run, as far as can be told: what cannot be told counts as running.
struct LeftRunning {
  std::vector<LeftProcess> processes;
  std::uint64_t unnamed = 0;  // beside those
  std::string problem;        // why it could not be read; a sentence's end

  [[nodiscard]] bool is_anybody_left() const noexcept {
    return !processes.empty() || unnamed != 0 || !problem.empty();
  }
};
// Whoever has the directory may have written anything there: no symbolic link is followed, and at
// most 64 KiB are read. No file: nobody is left.
[[nodiscard]] LeftRunning read_left_running(const std::filesystem::path& directory);

}  // namespace muster::os
