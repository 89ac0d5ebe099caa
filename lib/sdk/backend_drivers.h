// What runs a backend's loop: threads of its own, or an io_context of the program.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>

#include "sdk/backend_loop.h"

namespace muster {

// The two threads of a Backend that has its own: one serves the connection, the other runs
// handlers, so that a handler that is busy or blocks keeps nothing from the broker.
//
// A program may close all its descriptors under them (closefrom(3)): they notice, never spin, touch
// nothing that got one of the numbers since, and connect again.

// Ends a poll(2) of another thread.
class Waker {
 public:
  Waker() = default;
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;
  ~Waker();

  // Any thread. False when the descriptors are not there (any more).
  bool wake() noexcept;
  // --- the thread that polls
  // Makes the descriptors, at first or anew. False when there are none to be had.
  bool prepare() noexcept;
  // Forgets what woke it.
  void clear() noexcept;
  [[nodiscard]] int fd() const noexcept { return read_end_.fd.load(); }

 private:
  struct End {
    std::atomic<int> fd = -1;
    std::atomic<std::uint64_t> inode = 0;

    [[nodiscard]] bool is_ours() const noexcept;
    void set(int descriptor) noexcept;
  };

  End read_end_;
  End write_end_;
};

class OwnThreads {
 public:
  OwnThreads() : shared_(std::make_shared<Shared>()) {}
  // After BackendLoop::abandon(). Waits for both threads; called by a handler it does not wait for
  // that one, which ends by itself.
  ~OwnThreads();
  OwnThreads(const OwnThreads&) = delete;
  OwnThreads& operator=(const OwnThreads&) = delete;

  // For BackendLoop::Hooks::wake.
  [[nodiscard]] std::function<void()> waker() const {
    return [shared = shared_] { shared->waker.wake(); };
  }
  // Throws std::system_error. Once. Handlers may run, and destroy this object, before it returns:
  // what is needed then is done before. The threads take no signals, so that they reach those
  // threads that the daemon meant them for; faults (SIGSEGV and such) are left alone.
  void start(const std::shared_ptr<BackendLoop>& loop);

 private:
  struct Shared {
    Waker waker;
    std::atomic<bool> may_run_handlers = false;
    std::atomic<bool> serves = false;  // the connection's thread has made the waker
    std::atomic<bool> ends = false;
  };
  static void serve(const std::shared_ptr<Shared>& shared,
                    const std::shared_ptr<BackendLoop>& loop);
  static void run_handlers(const std::shared_ptr<Shared>& shared,
                           const std::shared_ptr<BackendLoop>& loop);
  void end_connection_thread() noexcept;

  std::shared_ptr<Shared> shared_;
  std::thread connection_;
  std::thread handlers_;
};

// A BackendLoop on the caller's io_context; handlers run there, too.
//
// Lifetime: kept by what it has pending on the io_context, and so gone when it has released its
// socket and timer, or with the io_context itself.
class AsioDriver : public std::enable_shared_from_this<AsioDriver> {
 public:
  explicit AsioDriver(asio::io_context& context);
  ~AsioDriver();
  AsioDriver(const AsioDriver&) = delete;
  AsioDriver& operator=(const AsioDriver&) = delete;

  // The hooks that concern the driver. They do nothing when it is gone.
  [[nodiscard]] BackendLoop::Hooks hooks();
  // Before anything else.
  void drive(std::shared_ptr<BackendLoop> loop) { loop_ = std::move(loop); }
  // After BackendLoop::abandon(), any thread.
  void release() noexcept;

 private:
  void post_turn();
  void turn();
  void turn_later() noexcept;
  void follow(const BackendLoop::Wants& wants);
  void arm(std::chrono::steady_clock::time_point time);
  void wait_for(asio::posix::stream_descriptor::wait_type what, bool& waits);

  asio::io_context& context_;
  std::shared_ptr<BackendLoop> loop_;
  std::atomic<bool> turn_posted_ = false;
  std::uint64_t connection_ = 0;  // that descriptor_ is of
  asio::posix::stream_descriptor descriptor_;
  // What is set here is pending there.
  bool waits_to_read_ = false;
  bool waits_to_write_ = false;
  asio::steady_timer timer_;
  std::optional<std::chrono::steady_clock::time_point> armed_;
};

}  // namespace muster
