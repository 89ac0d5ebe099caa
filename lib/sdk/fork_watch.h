// Tells objects that they are in a child now that was forked.
//
// By pthread_atfork(3): fork() runs it, posix_spawn() and vfork() do not. Any thread.
#pragma once

#include <mutex>

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

}  // namespace muster
