// One broker for each directory, even after the directory was deleted.
//
// A lock file goes with its directory: after `rm -rf` a second broker could take a new one while
// the first still runs. So a broker also listens on abstract Unix socket addresses that are made of
// the directory's names. The kernel keeps them for as long as the process lives. It also names the
// owner of such a listening socket: another user who takes an address is not mistaken for a broker.
//
// What it does not see: a broker in another network namespace, and one that reaches the directory
// by a name that no symbolic link leads to (a bind mount). The lock file, or the lock of the state
// directory, keeps those apart for as long as it is there.
//
// Any thread, one at a time for each object. Nothing here waits.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "os/unique_fd.h"

namespace muster::os {

class PlaceLock {
 public:
  // One directory may be used for both.
  enum class Use { kSockets, kState };
  struct Result;

  // The directory need not exist. Only a living process of root, of this user, or of the owner of
  // the directory (of the nearest one above that exists) counts as a broker.
  [[nodiscard]] static Result take(const std::filesystem::path& directory, Use use);

  // Those who looked stay connected until they are accepted: call it every second or so, so that
  // there is room for the next.
  void let_go_of_others() noexcept;

  [[nodiscard]] explicit operator bool() const noexcept { return !listeners_.empty(); }

 private:
  std::vector<UniqueFd> listeners_;
};

struct PlaceLock::Result {
  PlaceLock lock;               // empty when there is a holder
  std::optional<pid_t> holder;  // the broker that has it; 0: its pid cannot be seen from here
  std::string warning;          // a sentence: the lock is incomplete, and why
};

// " (pid 123)", or nothing where the pid is 0.
[[nodiscard]] std::string in_parentheses(pid_t holder);

}  // namespace muster::os
