#include "broker/deadline_timers.h"

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
  // So that expired(), where nobody could be told, does not allocate.
  if (passed_.capacity() < slots_.size()) passed_.reserve(2 * slots_.size());
  Slot& slot = slots_[id.slot];
  slot.timer.expires_at(at);
  slot.timer.async_wait(PooledHandler{&memory_, [this, id](const std::error_code& error) {
                                        if (!error) expired(id);
                                      }});
  slot.generation = id.generation;
  ++armed_;
}

void DeadlineTimers::cancel(core::DeadlineId id) {
  Slot* const slot = find(id);
  if (slot == nullptr) return;
  slot->generation = 0;  // it may have passed already, and then cancelling does not take it back
  --armed_;
  slot->timer.cancel();
}

void DeadlineTimers::expired(core::DeadlineId id) {
  if (find(id) == nullptr) return;
  passed_.push_back(id);
  schedule();
}

// Behind the other timers that are due, so that one pass serves them all.
void DeadlineTimers::schedule() {
  if (std::exchange(scheduled_, true)) return;
  asio::post(context_, PooledHandler{&memory_, [this] { report_batch(); }});
}

void DeadlineTimers::report_batch() {
  scheduled_ = false;
  if (reported_ == 0) events_.before_deadlines();
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

void DeadlineTimers::stop() noexcept {
  for (Slot& slot : slots_) {
    if (std::exchange(slot.generation, 0) != 0) slot.timer.cancel();
  }
  armed_ = 0;
}

}  // namespace muster::broker
