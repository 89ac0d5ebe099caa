// A thread that runs an io_context of its own, for daemons that have none.
#pragma once

#include <memory>
#include <thread>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>

namespace muster {

class OwnThread {
 public:
  OwnThread();
  // Waits until all that is pending on the context is done; REQUIRES: that will be soon. Called on
  // the thread itself it does not wait, and the thread ends by itself.
  ~OwnThread();
  OwnThread(const OwnThread&) = delete;
  OwnThread& operator=(const OwnThread&) = delete;

  [[nodiscard]] asio::io_context& context() noexcept { return *context_; }

  [[nodiscard]] bool is_this_thread() const noexcept {
    return thread_.get_id() == std::this_thread::get_id();
  }

  // Throws std::system_error. Once. The thread takes no signals, so that they reach those threads
  // that the daemon meant them for; faults (SIGSEGV and such) are left alone.
  void start();

 private:
  std::shared_ptr<asio::io_context> context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::thread thread_;
};

}  // namespace muster
