// A step that failed for want of memory, tried again in later turns of the loop.
//
// Scheduling it allocates nothing: what the loop keeps of it lies in here. The loop's thread.
#pragma once

#include <cstddef>
#include <functional>
#include <new>
#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/query.hpp>

#include "broker/handler_memory.h"

namespace muster::daemon {

class RetryTurns {
 public:
  // `loop` is that of an io_context, which must outlive what is scheduled.
  explicit RetryTurns(const asio::any_io_executor& loop)
      : context_(static_cast<asio::io_context&>(asio::query(loop, asio::execution::context))) {}
  RetryTurns(const RetryTurns&) = delete;
  RetryTurns& operator=(const RetryTurns&) = delete;

  // Calls step(is_last) until it is true, once in each of a few turns. Nothing when that goes on
  // already. What `step` owns keeps this alive.
  template <class Step>
  void run(Step step) noexcept {
    if (std::exchange(scheduled_, true)) return;
    schedule(std::move(step), kTurns);
  }

 private:
  static constexpr int kTurns = 8;

  // Of the one step that is scheduled.
  class Memory {
   public:
    [[nodiscard]] void* allocate(std::size_t bytes) {
      if (bytes > sizeof(space_) || std::exchange(in_use_, true)) throw std::bad_alloc();
      return space_;
    }
    void deallocate(void* /*place*/, std::size_t /*bytes*/) noexcept { in_use_ = false; }

   private:
    alignas(std::max_align_t) std::byte space_[256] = {};
    bool in_use_ = false;
  };

  template <class Step>
  void schedule(Step step, int left) noexcept {
    asio::post(context_,
               broker::PooledHandler{&memory_, [this, step = std::move(step), left]() mutable {
                                       const bool done = step(left == 1);
                                       if (done || left == 1) {
                                         scheduled_ = false;
                                       } else {
                                         schedule(std::move(step), left - 1);
                                       }
                                     }});
  }

  asio::io_context& context_;
  Memory memory_;
  bool scheduled_ = false;
};

}  // namespace muster::daemon
