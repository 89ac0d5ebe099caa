#include "sdk/backend_drivers.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <fcntl.h>
#include <limits>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <asio/post.hpp>

#include "os/signals_blocked.h"

namespace muster {
namespace {

using std::chrono::milliseconds;

// Where no descriptor is to be had for being woken.
constexpr milliseconds kWithoutWaker{100};

int timeout_until(const std::optional<std::chrono::steady_clock::time_point>& time) {
  if (!time) return -1;
  const auto left = std::chrono::ceil<milliseconds>(*time - std::chrono::steady_clock::now());
  constexpr milliseconds::rep kMost = std::numeric_limits<int>::max();
  return static_cast<int>(std::clamp<milliseconds::rep>(left.count(), 0, kMost));
}

}  // namespace

bool Waker::End::is_ours() const noexcept {
  struct stat found {};
  const int descriptor = fd.load();
  return descriptor >= 0 && ::fstat(descriptor, &found) == 0 && S_ISFIFO(found.st_mode) &&
         found.st_ino == inode.load();
}

void Waker::End::set(int descriptor) noexcept {
  struct stat found {};
  inode = descriptor >= 0 && ::fstat(descriptor, &found) == 0 ? found.st_ino : 0;
  fd = descriptor;
}

Waker::~Waker() {
  for (const End* end : {&read_end_, &write_end_}) {
    if (end->is_ours()) ::close(end->fd.load());
  }
}

bool Waker::wake() noexcept {
  if (!write_end_.is_ours()) return false;
  (void)!::write(write_end_.fd.load(), "", 1);
  return true;
}

bool Waker::prepare() noexcept {
  if (read_end_.is_ours() && write_end_.is_ours()) return true;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) ends[0] = ends[1] = -1;
  read_end_.set(ends[0]);
  write_end_.set(ends[1]);
  return ends[0] >= 0;
}

void Waker::clear() noexcept {
  char bytes[64];
  if (read_end_.is_ours()) (void)!::read(read_end_.fd.load(), bytes, sizeof(bytes));
}

OwnThreads::~OwnThreads() {
  end_connection_thread();
  if (!handlers_.joinable()) return;
  if (handlers_.get_id() == std::this_thread::get_id()) {
    handlers_.detach();
  } else {
    shared_->may_run_handlers = true;
    shared_->may_run_handlers.notify_all();
    handlers_.join();
  }
}

void OwnThreads::end_connection_thread() noexcept {
  if (!connection_.joinable()) return;
  shared_->ends = true;
  // Without its descriptors it cannot be woken, and ends by itself when it wakes.
  if (shared_->waker.wake() || !shared_->serves) {
    connection_.join();
  } else {
    connection_.detach();
  }
}

void OwnThreads::start(const std::shared_ptr<BackendLoop>& loop) {
  const os::SignalsBlocked blocked;
  const std::shared_ptr<Shared> shared = shared_;
  connection_ = std::thread([shared, loop] { serve(shared, loop); });
  handlers_ = std::thread([shared, loop] { run_handlers(shared, loop); });
  // From here on this object may be gone.
  shared->may_run_handlers = true;
  shared->may_run_handlers.notify_all();
}

void OwnThreads::serve(const std::shared_ptr<Shared>& shared,
                       const std::shared_ptr<BackendLoop>& loop) {
  pthread_setname_np(pthread_self(), "muster-backend");
  for (;;) {
    const bool can_be_woken = shared->waker.prepare();
    shared->serves = true;
    const BackendLoop::Wants wants = loop->turn();
    (void)loop->take_old_links();
    if (wants.ended || shared->ends) return;
    const auto events = static_cast<short>(POLLIN | (wants.write ? POLLOUT : 0));
    pollfd fds[] = {{shared->waker.fd(), POLLIN, 0}, {wants.fd, events, 0}};
    int timeout = timeout_until(wants.time);
    if (!can_be_woken) {
      const int most = static_cast<int>(kWithoutWaker.count());
      timeout = timeout < 0 ? most : std::min(timeout, most);
    }
    if (::poll(fds, 2, timeout) > 0 && fds[0].revents != 0) shared->waker.clear();
  }
}

void OwnThreads::run_handlers(const std::shared_ptr<Shared>& shared,
                              const std::shared_ptr<BackendLoop>& loop) {
  pthread_setname_np(pthread_self(), "muster-handlers");
  shared->may_run_handlers.wait(false);
  HandlerQueue& handlers = loop->handlers();
  do {
    while (handlers.run_one()) {
    }
  } while (!loop->in_forked_child() && handlers.wait());
}

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
