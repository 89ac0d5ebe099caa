// The processes that a Backend was forked from, while it belonged to them. Not locked.
//
// Each process puts itself in when its Backend starts: a pidfd of one's own is inherited, and names
// that very process for ever, from whatever pid namespace a child looks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <poll.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include "os/peer.h"
#include "os/unique_fd.h"

namespace muster {

class Ancestors {
 public:
  // This process. False when it cannot be named, so that its children could not know when it ends.
  [[nodiscard]] bool add_self() {
    std::error_code error;
    os::UniqueFd self = os::pidfd_of_pid(::getpid(), error);
    if (!self) return false;
    processes_.push_back(std::move(self));
    return true;
  }
  [[nodiscard]] std::size_t count() const noexcept { return processes_.size(); }

  // Whether any of the first `count` still lives.
  [[nodiscard]] bool any_lives(std::size_t count) const {
    return std::any_of(processes_.begin(), processes_.begin() + static_cast<std::ptrdiff_t>(count),
                       [](const os::UniqueFd& process) {
                         pollfd look{process.get(), POLLIN, 0};
                         return ::poll(&look, 1, 0) == 0;
                       });
  }

 private:
  std::vector<os::UniqueFd> processes_;  // oldest first
};

}  // namespace muster
