// A backend of the SDK whose every step runs on the test's thread, in either flavour.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <poll.h>
#include <utility>

#include <asio/io_context.hpp>

#include "muster/backend.h"

#include "sdk/backend_loop.h"

namespace muster::test {

class DrivenBackend {
 public:
  DrivenBackend() = default;
  DrivenBackend(const DrivenBackend&) = delete;
  DrivenBackend& operator=(const DrivenBackend&) = delete;
  virtual ~DrivenBackend() = default;
  // Until nothing is left to do now. May wait for what is due soon.
  virtual void drive() = 0;
  virtual void activity() = 0;
};

// What the two threads of a Backend do, one after the other.
class DrivenLoop final : public DrivenBackend {
 public:
  DrivenLoop(const std::filesystem::path& dir, Registration registration, BackendHandlers handlers)
      : loop_(std::make_shared<BackendLoop>(
            SocketDirSearch(dir), std::move(registration),
            Backoff(std::chrono::milliseconds(1), std::chrono::milliseconds(2), 1), hooks())) {
    loop_->start(std::move(handlers));
  }
  ~DrivenLoop() override {
    loop_->abandon();
    (void)loop_->take_old_links();
  }
  void drive() override {
    for (int idle = 0; idle < 3;) {
      is_woken_ = false;
      const BackendLoop::Wants wants = loop_->turn();
      (void)loop_->take_old_links();
      const bool ran = loop_->handlers().run_one();
      if (ran || is_woken_) continue;
      pollfd look{wants.fd, static_cast<short>(POLLIN | (wants.write ? POLLOUT : 0)), 0};
      idle = ::poll(&look, 1, 1) > 0 ? 0 : idle + 1;
    }
  }
  void activity() override { loop_->activity(); }

 private:
  BackendLoop::Hooks hooks() {
    BackendLoop::Hooks hooks;
    hooks.wake = [this] { is_woken_ = true; };
    return hooks;
  }

  bool is_woken_ = false;
  std::shared_ptr<BackendLoop> loop_;
};

class DrivenByAsio final : public DrivenBackend {
 public:
  DrivenByAsio(BackendOptions options, const std::function<void(Backend&)>& handle)
      : backend_(std::make_unique<Backend>(std::move(options), context_)) {
    handle(*backend_);
    backend_->start();
  }
  ~DrivenByAsio() override {
    backend_.reset();
    drive();
  }
  void drive() override {
    context_.restart();
    while (context_.run_one_for(std::chrono::milliseconds(3)) > 0) {
    }
  }
  void activity() override { backend_->activity(); }

 private:
  asio::io_context context_;
  std::unique_ptr<Backend> backend_;
};

}  // namespace muster::test
