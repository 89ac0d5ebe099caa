#include "broker/deadline_timers.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include <asio/post.hpp>

namespace muster::broker {

DeadlineTimers::DeadlineTimers(asio::io_context& context, Events& events)
    : context_(context), events_(events), memory_(asio::use_service<HandlerMemory>(context)) {}

DeadlineTimers::Slot* DeadlineTimers::find(core::DeadlineId id) noexcept {
  if (!id.armed() || id.slot >= slots_.size()) return nullptr;
  Slot& slot = slots_[id.slot];
  return slot.generation == id.generation ? &slot : nullptr;
}

void DeadlineTimers::arm(core::DeadlineId id, core::SteadyTime at) {
  while (slots_.size() <= id.slot) slots_.emplace_back(context_);
  // So that rang(), where nobody could be told, does not allocate.
  if (passed_.capacity() < slots_.size()) passed_.reserve(2 * slots_.size());
  Slot& slot = slots_[id.slot];
  slot.at = at;
  if (!slot.waiting || at < slot.rings) wait(id.slot, slot);
  slot.generation = id.generation;
  ++armed_;
}

void DeadlineTimers::cancel(core::DeadlineId id) {
  Slot* const slot = find(id);
  if (slot == nullptr) return;
  slot->generation = 0;
  --armed_;
}

// Until the slot's deadline; what it waited for before ends.
void DeadlineTimers::wait(std::uint32_t slot_number, Slot& slot) {
  slot.waiting = false;  // setting the time ends what it waited for
  slot.timer.expires_at(slot.at);
  const std::uint32_t wait = slot.wait + 1;
  slot.timer.async_wait(
      PooledHandler{&memory_, [this, slot_number, wait](const std::error_code& error) {
                      if (!error && slots_[slot_number].wait == wait) rang(slot_number);
                    }});
  slot.wait = wait;
  slot.rings = slot.at;
  slot.waiting = true;
}

void DeadlineTimers::stop_waiting(Slot& slot) {
  if (!std::exchange(slot.waiting, false)) return;
  ++slot.wait;  // its success may be queued already
  slot.timer.cancel();
}

void DeadlineTimers::rang(std::uint32_t slot_number) {
  Slot& slot = slots_[slot_number];
  slot.waiting = false;
  if (slot.generation == 0) return schedule_sweep();
  // What the timer's wait took has just become free for the next one: this allocates nothing.
  const bool early = slot.at > slot.rings && slot.at > std::chrono::steady_clock::now();
  if (early) return wait(slot_number, slot);
  passed_.push_back({slot_number, slot.generation});
  schedule();
}

// Behind the other timers that are due, so that one pass serves them all.
void DeadlineTimers::schedule() {
  if (std::exchange(scheduled_, true)) return;
  asio::post(context_, PooledHandler{&memory_, [this] { report_batch(); }});
}

void DeadlineTimers::report_batch() {
  scheduled_ = false;
  events_.before_deadlines();
  for (std::size_t i = 0; i < kBatch && reported_ < passed_.size(); ++i) {
    const core::DeadlineId id = passed_[reported_++];
    Slot* const slot = find(id);
    if (slot == nullptr) continue;  // cancelled since
    slot->generation = 0;
    --armed_;
    events_.deadline_passed(id);
  }
  if (reported_ < passed_.size()) return schedule();
  passed_.clear();
  reported_ = 0;
}

void DeadlineTimers::schedule_sweep() {
  if (std::exchange(sweeping_, true)) return;
  swept_ = 0;
  asio::post(context_, PooledHandler{&memory_, [this] { sweep_batch(); }});
}

void DeadlineTimers::sweep_batch() {
  const std::size_t end = std::min(swept_ + kBatch, slots_.size());
  for (; swept_ < end; ++swept_) {
    Slot& slot = slots_[swept_];
    if (slot.generation == 0) stop_waiting(slot);
  }
  if (swept_ == slots_.size()) {
    sweeping_ = false;
    return;
  }
  asio::post(context_, PooledHandler{&memory_, [this] { sweep_batch(); }});
}

std::size_t DeadlineTimers::waiting() const noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < slots_.size(); ++i) count += slots_[i].waiting ? 1U : 0U;
  return count;
}

void DeadlineTimers::stop() noexcept {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].generation = 0;
    stop_waiting(slots_[i]);
  }
  armed_ = 0;
}

}  // namespace muster::broker
