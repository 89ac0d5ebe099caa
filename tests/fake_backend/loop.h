// The one loop of the program: descriptors by epoll, timers by a heap. One thread.
//
// Timers run between batches of events, never amid one. So whoever makes or destroys a Source does
// it in a timer: no event of the running batch can then point at what is gone.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

namespace muster::fake {

class Loop {
 public:
  using Clock = std::chrono::steady_clock;

  class Source {
   public:
    virtual void ready(std::uint32_t events) = 0;  // EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR

   protected:
    ~Source() = default;
  };

  // Throws std::system_error.
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Throw std::system_error. `source` must be forgotten before it goes.
  void watch(int fd, Source& source, std::uint32_t events);
  void change(int fd, Source& source, std::uint32_t events);
  void forget(int fd) noexcept;

  // Runs `task` once, `delay` from now. Equal times: in the order in which they were asked for.
  void later(std::chrono::milliseconds delay, std::function<void()> task);

  // Until stop(); returns its status.
  int run();
  void stop(int status) noexcept;

 private:
  struct Timer {
    Clock::time_point when;
    std::uint64_t number;
    std::function<void()> task;
    bool operator<(const Timer& other) const noexcept {  // the soonest on top
      return when != other.when ? when > other.when : number > other.number;
    }
  };
  void run_timers();
  [[nodiscard]] int milliseconds_to_wait() const;

  int epoll_ = -1;
  std::priority_queue<Timer> timers_;
  std::uint64_t timers_made_ = 0;
  bool stopped_ = false;
  int status_ = 0;
};

}  // namespace muster::fake
