#include "sdk/asio_driver.h"

#include <exception>
#include <system_error>
#include <utility>

#include <asio/post.hpp>

namespace muster {
namespace {

constexpr std::chrono::milliseconds kAfterFailure{100};

}  // namespace

AsioDriver::AsioDriver(asio::io_context& context)
    : context_(context), descriptor_(context), timer_(context) {}

AsioDriver::~AsioDriver() {
  // The descriptor is the loop's to close.
  if (descriptor_.is_open()) (void)descriptor_.release();
}

BackendLoop::Hooks AsioDriver::hooks() {
  const std::weak_ptr<AsioDriver> driver = weak_from_this();
  BackendLoop::Hooks hooks;
  hooks.wake = [driver] {
    if (const auto self = driver.lock()) self->post_turn();
  };
  hooks.on_loop = [&context = context_] { return context.get_executor().running_in_this_thread(); };
  hooks.changed = hooks.wake;
  return hooks;
}

void AsioDriver::release() noexcept {
  try {
    post_turn();
  } catch (...) {  // NOLINT(bugprone-empty-catch): what waits for the socket sees its end
  }
}

void AsioDriver::post_turn() {
  if (turn_posted_.exchange(true)) return;
  try {
    asio::post(context_, [self = shared_from_this()] {
      self->turn_posted_ = false;
      self->turn();
    });
  } catch (...) {
    turn_posted_ = false;
    throw;
  }
}

// One handler in each turn: between two of them the socket is read, for whatever was cancelled
// meanwhile, and the caller's own work goes on.
void AsioDriver::turn() {
  if (loop_->in_forked_child()) return;  // what happens here is the parent's
  try {
    follow(loop_->turn());
    if (loop_->handlers().run_one()) post_turn();
  } catch (const std::exception&) {  // no memory: not the end of the caller's loop
    turn_later();
  }
}

void AsioDriver::turn_later() noexcept {
  try {
    arm(std::chrono::steady_clock::now() + kAfterFailure);
  } catch (...) {  // NOLINT(bugprone-empty-catch): the next message or call from outside does it
  }
}

void AsioDriver::follow(const BackendLoop::Wants& wants) {
  const bool is_other = wants.fd < 0 || wants.connection != connection_;
  if (descriptor_.is_open() && is_other) (void)descriptor_.release();  // ends what waits
  (void)loop_->take_old_links();
  if (wants.fd >= 0 && !descriptor_.is_open()) {
    descriptor_.assign(wants.fd);
    connection_ = wants.connection;
    waits_to_read_ = waits_to_write_ = false;
  }
  if (descriptor_.is_open()) {
    if (!waits_to_read_) wait_for(asio::posix::stream_descriptor::wait_read, waits_to_read_);
    if (wants.write && !waits_to_write_)
      wait_for(asio::posix::stream_descriptor::wait_write, waits_to_write_);
  }
  if (wants.time == armed_) return;
  armed_.reset();
  timer_.cancel();
  if (wants.time) arm(*wants.time);
}

void AsioDriver::arm(std::chrono::steady_clock::time_point time) {
  armed_.reset();
  timer_.expires_at(time);
  timer_.async_wait([self = shared_from_this()](const std::error_code& error) {
    if (error) return;
    self->armed_.reset();
    self->turn();
  });
  armed_ = time;
}

void AsioDriver::wait_for(asio::posix::stream_descriptor::wait_type what, bool& waits) {
  descriptor_.async_wait(
      what, [self = shared_from_this(), &waits, of = connection_](const std::error_code& error) {
        if (of != self->connection_) return;
        waits = false;
        if (!error) self->turn();
      });
  waits = true;
}

}  // namespace muster
