#include "fake_backend/loop.h"

#include <array>
#include <cerrno>
#include <sys/epoll.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace muster::fake {
namespace {

void control(int epoll, int operation, int fd, Loop::Source& source, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &source;
  if (epoll_ctl(epoll, operation, fd, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

}  // namespace

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

Loop::~Loop() { ::close(epoll_); }

void Loop::watch(int fd, Source& source, std::uint32_t events) {
  control(epoll_, EPOLL_CTL_ADD, fd, source, events);
}

void Loop::change(int fd, Source& source, std::uint32_t events) {
  control(epoll_, EPOLL_CTL_MOD, fd, source, events);
}

void Loop::forget(int fd) noexcept { epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

void Loop::later(std::chrono::milliseconds delay, std::function<void()> task) {
  timers_.push(Timer{Clock::now() + delay, timers_made_++, std::move(task)});
}

void Loop::run_timers() {
  // Not those that a timer adds now: descriptors have their turn in between.
  const std::uint64_t made = timers_made_;
  const auto now = Clock::now();
  while (!stopped_ && !timers_.empty() && timers_.top().when <= now &&
         timers_.top().number < made) {
    const auto task = timers_.top().task;
    timers_.pop();
    task();
  }
}

int Loop::milliseconds_to_wait() const {
  if (timers_.empty()) return -1;
  const auto left = timers_.top().when - Clock::now();
  if (left <= Clock::duration::zero()) return 0;
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
}

int Loop::run() {
  std::array<epoll_event, 256> events{};
  while (!stopped_) {
    const int count =
        epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), milliseconds_to_wait());
    if (count < 0 && errno != EINTR) {
      throw std::system_error(errno, std::generic_category(), "epoll_wait");
    }
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      static_cast<Source*>(event.data.ptr)->ready(event.events);
    }
    run_timers();
  }
  return status_;
}

void Loop::stop(int status) noexcept {
  if (!stopped_) status_ = status;
  stopped_ = true;
}

}  // namespace muster::fake
