// Tells objects that they are in a child now that was forked.
//
// By pthread_atfork(3): fork() runs it, posix_spawn() and vfork() do not. Any thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <poll.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include "os/peer.h"
#include "os/unique_fd.h"

namespace muster {

class ForkWatcher {
 public:
  ForkWatcher() = default;
  ForkWatcher(const ForkWatcher&) = delete;
  ForkWatcher& operator=(const ForkWatcher&) = delete;
  virtual ~ForkWatcher() = default;
  // In the child, before fork() returns there, on its only thread. Locks that other threads of the
  // parent held are held for ever.
  virtual void in_forked_child() noexcept = 0;
};

// From then on until unwatch_forks(), which waits for a fork that is going on.
void watch_forks(ForkWatcher& watcher);
void unwatch_forks(ForkWatcher& watcher) noexcept;

// Whether `matches` is true of a watcher that came after `watcher`. No watcher goes meanwhile, and
// no fork begins: keep it brief, and do nothing in it that hold_off_forks() forbids.
[[nodiscard]] bool any_watcher_after(const ForkWatcher& watcher,
                                     bool (*matches)(const ForkWatcher& one,
                                                     const ForkWatcher& other));

// No fork begins while this is kept, and none is going on: for a descriptor that is made and not
// yet known to its watcher, which a child would keep open unseen. Keep it briefly; call nothing
// under it that forks, watches or allocates (an allocator may lock itself first when a fork
// begins).
[[nodiscard]] std::unique_lock<std::mutex> hold_off_forks();

// The processes that a Backend was forked from, while it belonged to them. Not locked.
//
// Each process puts itself in when its Backend starts: a pidfd of one's own is inherited, and names
// that very process for ever, from whatever pid namespace a child looks.
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
