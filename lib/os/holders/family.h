// A process and those that descend from it: whoever asks for a scan is no holder itself.
//
// Any thread. Reads /proc: about ten microseconds for each process of the host.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <sys/types.h>

#include "muster/holders.h"

namespace muster::os {

// One process, never confused with a later one of the same pid.
struct ProcessStart {
  pid_t pid = 0;
  std::uint64_t started = 0;  // clock ticks since boot, as os::start_time()

  friend bool operator==(const ProcessStart&, const ProcessStart&) = default;
};

using ProcessFamily = std::map<pid_t, std::uint64_t>;  // pid -> started
// Empty when the process has exited: who descended from it belongs to another one by now.
//
// `after`: of its children only those that started later, with their descendants. What it had
// before it asked (a script's job in the background, before the script became the one that asks) is
// no part of what it does now.
[[nodiscard]] ProcessFamily family_of(const ProcessStart& first,
                                      std::optional<std::uint64_t> after = std::nullopt);

// The time now, in the unit of ProcessStart::started: ten milliseconds. A child that started in
// this tick may have started before.
[[nodiscard]] std::uint64_t ticks_now();

// Takes what the family has in use, and what could not be seen of it, out of a scan, and judges
// anew. `before` and `after`: the family as it was before and after the scan.
//
// A file that the kernel calls busy although nobody was found who has it is one that somebody
// unknown has, unless the family may have it, too: then it counts as one that the kernel was not
// asked for, and the verdict is unknown.
void leave_out(HolderScan& scan, const ProcessFamily& before, const ProcessFamily& after);

}  // namespace muster::os
