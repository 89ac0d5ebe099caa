// One steady_timer for each armed deadline, and the passed ones handed over in batches.
//
// A timer waits until its deadline or a moment before that, never longer. Most deadlines are
// cancelled, because the answer came; the timer is left to run then, for the next deadline of its
// slot is a later one: arming that finds the timer waiting already, and costs two stores. A timer
// that rings early waits again, until the deadline that is armed by then. The first that rings for
// nothing ends all that would, so that a broker that has become idle is woken once and not once for
// each.
//
// Each batch first lets what is readable be read, so that an answer that reached its socket before
// its deadline is never called late because the broker was busy, with the batch before this one for
// instance; then each deadline that is still armed
// is reported. Timers are pooled by slot and their waits use pooled memory: once warm, arming
// and cancelling allocates nothing. One thread, the io_context's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <asio/basic_waitable_timer.hpp>
#include <asio/io_context.hpp>

#include "broker/handler_memory.h"
#include "core/stable_vector.h"
#include "core/types.h"

namespace muster::broker {

class DeadlineTimers {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    // Some deadlines have passed: deliver what had come before. It may cancel them.
    virtual void before_deadlines() = 0;
    virtual void deadline_passed(core::DeadlineId id) = 0;
  };

  DeadlineTimers(asio::io_context& context, Events& events);

  // REQUIRES: the slot has no armed deadline.
  void arm(core::DeadlineId id, core::SteadyTime at);
  // Nothing when it is not armed (any more). After this it is not reported.
  void cancel(core::DeadlineId id);
  // Cancels all, for good.
  void stop() noexcept;

  [[nodiscard]] std::size_t armed() const noexcept { return armed_; }
  // Timers that wait, for an armed deadline or for nothing.
  [[nodiscard]] std::size_t waiting() const noexcept;

 private:
  // How many are reported, or looked at, in one turn of the loop.
  static constexpr std::size_t kBatch = 512;

  // A steady_timer that knows its executor's type: half the size, and no virtual calls.
  using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                           asio::wait_traits<std::chrono::steady_clock>,
                                           asio::io_context::executor_type>;
  struct Slot {
    explicit Slot(asio::io_context& context) : timer(context) {}
    core::SteadyTime at;           // of the armed deadline
    core::SteadyTime rings;        // when the timer does, while it waits
    std::uint32_t generation = 0;  // of the armed deadline; 0: none
    std::uint32_t wait = 0;        // counts the timer's waits: only the last one's end counts
    bool waiting = false;
    Timer timer;
  };

  [[nodiscard]] Slot* find(core::DeadlineId id) noexcept;
  void wait(std::uint32_t slot_number, Slot& slot);
  void stop_waiting(Slot& slot);
  void rang(std::uint32_t slot_number);
  void schedule();
  void report_batch();
  void schedule_sweep();
  void sweep_batch();

  asio::io_context& context_;
  Events& events_;
  HandlerMemory& memory_;
  core::StableVector<Slot> slots_;  // timers stay where they are
  std::size_t armed_ = 0;
  std::vector<core::DeadlineId> passed_;  // in the order in which they did
  std::size_t reported_ = 0;              // of passed_
  bool scheduled_ = false;
  std::size_t swept_ = 0;  // of slots_
  bool sweeping_ = false;
};

}  // namespace muster::broker
