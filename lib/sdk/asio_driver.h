// A BackendLoop on the caller's io_context; handlers run there, too.
//
// Lifetime: kept by what it has pending on the io_context, and so gone when it has released its
// socket and timer, or with the io_context itself.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>

#include "sdk/backend_loop.h"

namespace muster {

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
