#include "musterd/runtime/worker.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <asio/post.hpp>

#include "os/signals_blocked.h"

namespace muster::daemon {

struct Worker::State {
  struct Job {
    Work work;
    Done done;
  };

  State(asio::any_io_executor loop_of, std::size_t most)
      : loop(std::move(loop_of)), max_waiting(most) {}

  // The thread. It shares this, so that it may be left behind.
  void serve() {
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return closing || !waiting.empty(); });
      if (waiting.empty()) break;
      Job job = std::move(waiting.front());
      waiting.pop_front();
      working = true;
      lock.unlock();
      bool finished = true;
      try {
        job.work();
      } catch (const std::exception&) {
        finished = false;
      }
      job.work = {};  // what it holds goes on this thread, not under the lock
      lock.lock();
      working = false;
      wake.notify_all();
      if (job.done && !closing) post(std::move(job.done), finished);
    }
    ended = true;
    wake.notify_all();
  }

  // REQUIRES: the lock is held, so that the loop cannot go meanwhile.
  void post(Done done, bool finished) noexcept {
    try {
      asio::post(loop, [done = std::move(done), finished] { done(finished); });
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the work itself is done
    }
  }

  asio::any_io_executor loop;
  std::size_t max_waiting;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Job> waiting;
  std::optional<std::thread> thread;
  bool working = false;
  bool closing = false;
  bool ended = false;
};

Worker::Worker(asio::any_io_executor loop, std::size_t max_waiting)
    : state_(std::make_shared<State>(std::move(loop), max_waiting)) {}

Worker::~Worker() { close(); }

bool Worker::run(Work work, Done done) {
  const std::lock_guard lock(state_->mutex);
  if (state_->closing || state_->waiting.size() >= state_->max_waiting) return false;
  if (!state_->thread) {
    try {
      const os::SignalsBlocked blocked;
      state_->thread.emplace([state = state_] { state->serve(); });
    } catch (const std::exception&) {
      return false;
    }
  }
  state_->waiting.push_back({std::move(work), std::move(done)});
  state_->wake.notify_all();
  return true;
}

bool Worker::run_and_wait(Work work, std::chrono::milliseconds patience) {
  struct Waiting {
    std::mutex mutex;
    std::condition_variable wake;
    bool over = false;
    bool finished = false;
  };
  const auto waiting = std::make_shared<Waiting>();
  const bool taken = run([waiting, work = std::move(work)] {
    // Also when the work throws.
    const std::shared_ptr<void> end(nullptr, [waiting](void*) {
      const std::lock_guard lock(waiting->mutex);
      waiting->over = true;
      waiting->wake.notify_all();
    });
    work();
    const std::lock_guard lock(waiting->mutex);
    waiting->finished = true;
  });
  if (!taken) return false;
  std::unique_lock lock(waiting->mutex);
  waiting->wake.wait_for(lock, patience, [&] { return waiting->over; });
  return waiting->finished;
}

bool Worker::wait_until_idle(std::chrono::milliseconds patience) {
  std::unique_lock lock(state_->mutex);
  return state_->wake.wait_for(lock, patience,
                               [this] { return state_->waiting.empty() && !state_->working; });
}

bool Worker::close(std::chrono::milliseconds patience) {
  std::unique_lock lock(state_->mutex);
  state_->closing = true;
  state_->wake.notify_all();
  if (!state_->thread) return true;
  const bool ended = state_->wake.wait_for(lock, patience, [this] { return state_->ended; });
  std::thread thread = std::move(*state_->thread);
  state_->thread.reset();
  lock.unlock();
  if (ended) {
    thread.join();
  } else {
    thread.detach();
  }
  return ended;
}

}  // namespace muster::daemon
