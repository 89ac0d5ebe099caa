#include "os/holders/family.h"

#include <algorithm>
#include <ctime>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <unordered_map>
#include <utility>
#include <vector>

#include "os/holders/proc_files.h"
#include "os/holders/proc_text.h"
#include "os/holders/process_scan.h"
#include "os/unique_fd.h"

namespace muster::os {
namespace {

bool has(const ProcessFamily& family, pid_t pid, std::uint64_t started) {
  const auto found = family.find(pid);
  return found != family.end() && found->second == started;
}

// Whether a lease on the file fails for it.
bool keeps_files_busy(const Holder& holder) {
  HolderScan alone;
  alone.leases.busy = 1;
  alone.holders.push_back(holder);
  return !alone.held_by_unknown();
}

}  // namespace

ProcessFamily family_of(const ProcessStart& first, std::optional<std::uint64_t> after) {
  ProcessFamily family;
  const UniqueFd proc(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!proc) return family;
  ProcFiles files;
  std::unordered_map<pid_t, std::vector<std::pair<pid_t, std::uint64_t>>> children;
  bool is_there = false;
  for (const pid_t pid : processes_of(proc.get())) {
    int error = 0;
    const auto stat = files.file(proc.get(), (std::to_string(pid) + "/stat").c_str(), error);
    if (error != 0) continue;
    const std::uint64_t started = as_number(stat_field(stat, 22));
    if (pid == first.pid) is_there = started == first.started;
    children[static_cast<pid_t>(as_number(stat_field(stat, 4)))].emplace_back(pid, started);
  }
  if (!is_there) return family;
  family.emplace(first.pid, first.started);
  std::vector<ProcessStart> to_look_at{first};
  while (!to_look_at.empty()) {
    const ProcessStart parent = to_look_at.back();
    to_look_at.pop_back();
    for (const auto& [pid, started] : children[parent.pid]) {
      // One that is older is the child of an earlier process of that pid.
      if (started < parent.started) continue;
      if (after && parent == first && started <= *after) continue;
      if (!family.emplace(pid, started).second) continue;
      to_look_at.push_back({pid, started});
    }
  }
  return family;
}

std::uint64_t ticks_now() {
  const long per_second = ::sysconf(_SC_CLK_TCK);
  timespec now{};
  if (per_second <= 0 || ::clock_gettime(CLOCK_BOOTTIME, &now) != 0) return 0;
  const auto ticks = static_cast<std::uint64_t>(per_second);
  return static_cast<std::uint64_t>(now.tv_sec) * ticks +
         static_cast<std::uint64_t>(now.tv_nsec) * ticks / 1'000'000'000;
}

void leave_out(HolderScan& scan, const ProcessFamily& before, const ProcessFamily& after) {
  const std::uint64_t busy_before = scan.leases.busy;
  bool kept_busy = false;
  const auto holders = std::erase_if(scan.holders, [&](const Holder& one) {
    const bool is_own =
        one.pid != 0 && (has(before, one.pid, one.started) || has(after, one.pid, one.started));
    kept_busy = kept_busy || (is_own && keeps_files_busy(one));
    return is_own;
  });
  // It says not when it began: the same process had the pid all the time.
  const auto unseen = std::erase_if(scan.unseen, [&](const Unseen& one) {
    const auto found = before.find(one.pid);
    return one.pid != 0 && found != before.end() && has(after, one.pid, found->second);
  });
  if (!scan.problem.empty()) return;
  // A command that works below the path opens files and closes them while others are looked at.
  const bool may_be_own = kept_busy || before.size() > 1 || after.size() > 1;
  if (may_be_own && scan.held_by_unknown()) {
    scan.leases.refused += std::exchange(scan.leases.busy, 0);
    scan.leases.refused_why = "in use by whoever asked, or by somebody who was not found";
    scan.leases.busy_example.clear();
  } else if (holders == 0 && unseen == 0) {
    return;
  }
  if (scan.more_holders != 0 || scan.more_unseen != 0) return;  // who they are nobody tells
  const bool held = std::any_of(scan.holders.begin(), scan.holders.end(),
                                [](const Holder& one) { return !one.possibly; });
  if (held || scan.leases.busy != 0) {
    scan.verdict = HolderVerdict::kHeld;
  } else if (scan.holders.empty() && scan.unseen.empty() && busy_before == 0) {
    scan.verdict = HolderVerdict::kClear;
  } else {
    scan.verdict = HolderVerdict::kUnknown;
  }
}

}  // namespace muster::os
