#include "sdk/fork_watch.h"

#include <algorithm>
#include <mutex>
#include <pthread.h>
#include <system_error>
#include <vector>

namespace muster {
namespace {

struct Watchers {
  // Held while a fork is going on, so that the child finds the list whole.
  std::mutex mutex;
  std::vector<ForkWatcher*> list;
};

// Never destroyed: a fork may come at any time.
Watchers& watchers() {
  static auto* const kWatchers = new Watchers;
  return *kWatchers;
}

void before_fork() { watchers().mutex.lock(); }
void in_parent() { watchers().mutex.unlock(); }
void in_child() {
  // A watcher may start a thread, and what runs there may watch or unwatch others.
  const std::vector<ForkWatcher*> list = watchers().list;
  watchers().mutex.unlock();
  for (ForkWatcher* watcher : list) watcher->in_forked_child();
}

}  // namespace

void watch_forks(ForkWatcher& watcher) {
  static const int kFailed = ::pthread_atfork(before_fork, in_parent, in_child);
  if (kFailed != 0) throw std::system_error(kFailed, std::generic_category(), "pthread_atfork");
  const std::lock_guard lock(watchers().mutex);
  watchers().list.push_back(&watcher);
}

void unwatch_forks(ForkWatcher& watcher) noexcept {
  const std::lock_guard lock(watchers().mutex);
  std::erase(watchers().list, &watcher);
}

bool any_watcher_after(const ForkWatcher& watcher,
                       bool (*matches)(const ForkWatcher& one, const ForkWatcher& other)) {
  const std::lock_guard lock(watchers().mutex);
  const auto& list = watchers().list;
  const auto self = std::find(list.begin(), list.end(), &watcher);
  return self != list.end() && std::any_of(self + 1, list.end(), [&](const ForkWatcher* other) {
           return matches(watcher, *other);
         });
}

std::unique_lock<std::mutex> hold_off_forks() { return std::unique_lock(watchers().mutex); }

}  // namespace muster
