// What a process holds: open descriptors, and children that were not waited for. What it holds
// longer than whatever it did took is a leak.
//
// Of another process it is a snapshot: ask when that one has nothing to do.
#pragma once

#include <map>
#include <string>
#include <sys/types.h>

namespace muster::test {

struct Holdings {
  std::map<int, std::string> descriptors;  // what each points to, as /proc shows it
  std::map<pid_t, std::string> children;   // what each is: its command and state
};

// Empty when the process is not there. The files of a broker's history count only where one of them
// is open twice.
[[nodiscard]] Holdings holdings_of(pid_t pid);
[[nodiscard]] Holdings own_holdings();

// What is held `after` and was not `before`, one line each, empty when there is nothing:
//   "descriptor 7: socket:[48213]", "child 4711: sleep (zombie)".
// A descriptor that was closed and opened again for something else is told, too.
[[nodiscard]] std::string leaked(const Holdings& before, const Holdings& after);

}  // namespace muster::test
