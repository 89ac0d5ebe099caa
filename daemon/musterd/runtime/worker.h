// A thread for what blocks: files, the name service. Work runs in the order in which it was given;
// its result comes back to the loop by post.
//
// Closing has three phases: nothing new is taken, what waits is finished, the thread is joined. A
// thread that is stuck in the kernel or in the name service is left behind after a while, so that
// it cannot keep the process from ending; nothing of it reaches the loop any more.
//
// The members: the loop's thread. The thread itself is started with the first work.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include <asio/any_io_executor.hpp>

namespace muster::daemon {

class Worker {
 public:
  // Runs on the thread. It must own, or share, all that it uses.
  using Work = std::function<void()>;
  // Runs on the loop after the work; `finished` is false when the work threw.
  using Done = std::function<void(bool finished)>;

  static constexpr std::size_t kMaxWaiting = 1024;

  explicit Worker(asio::any_io_executor loop, std::size_t max_waiting = kMaxWaiting);
  // close(): the loop may be gone after that.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // False: not taken, because too much waits, it is closed, or there is no thread to be had. `done`
  // is not called then, nor after close().
  [[nodiscard]] bool run(Work work, Done done = {});
  // As run(), and waits for it. False: not taken, it threw, or it took too long.
  [[nodiscard]] bool run_and_wait(Work work, std::chrono::milliseconds patience);
  // Waits until all that was given to it is done. False: it took too long.
  [[nodiscard]] bool wait_until_idle(std::chrono::milliseconds patience);
  // Takes nothing more, finishes what waits and joins. False: the thread did not end in time and
  // is left behind.
  bool close(std::chrono::milliseconds patience = std::chrono::seconds(5));

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::daemon
