// What texts of /proc say about a process. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace muster::os {

// 0 for what is no number.
[[nodiscard]] std::uint64_t as_number(std::string_view text, int base = 10);

// Of /proc/PID/stat: field `number` of proc(5), 3 or above; empty when it is not there.
[[nodiscard]] std::string_view stat_field(std::string_view stat, int number);
[[nodiscard]] bool is_kernel_thread(std::string_view stat);
// The name in parentheses.
[[nodiscard]] std::string command_of(std::string_view stat);

// Of /proc/PID/cgroup: what would have to be stopped.
struct Unit {
  std::string name;  // "nginx.service", "container 3f2a9c0b1d2e", "session-3.scope"; may be empty
  std::optional<uid_t> user;  // whose service manager has it; none: the host's
  friend bool operator==(const Unit&, const Unit&) = default;
};
[[nodiscard]] Unit unit_of(std::string_view cgroup);

// Of the fdinfo of an io_uring: the files that are registered with it.
struct RingFiles {
  std::vector<std::string> paths;  // those with a whole path
  // False: there may be others. The kernel leaves the list out while the ring is in use, and before
  // 6.10 it has the last part of a path alone.
  bool complete = true;
};
[[nodiscard]] RingFiles ring_files(std::string_view fdinfo);

}  // namespace muster::os
