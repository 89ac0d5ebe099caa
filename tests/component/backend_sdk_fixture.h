// A Backend, in either flavour, between a scripted broker and handlers that tell an EventLog.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "muster/backend.h"

#include "support/event_log.h"
#include "support/scripted_broker.h"
#include "support/temp_dir.h"

namespace muster::test {

enum class Flavour { kOwnThread, kCallersLoop };

inline std::string name_of(const ::testing::TestParamInfo<Flavour>& info) {
  return info.param == Flavour::kOwnThread ? "OwnThread" : "CallersLoop";
}

// The io_context of a daemon that has one, and the thread that runs it.
class RunningLoop {
 public:
  RunningLoop() : work_(context.get_executor()), thread_([this] { context.run(); }) {}
  ~RunningLoop() { finish(); }
  RunningLoop(const RunningLoop&) = delete;
  RunningLoop& operator=(const RunningLoop&) = delete;

  // Waits until nothing is left to do.
  void finish() {
    work_.reset();
    if (thread_.joinable()) thread_.join();
  }
  // As a daemon does that just ends: what is left is left.
  void stop() {
    context.stop();
    finish();
  }

  asio::io_context context;

 private:
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::thread thread_;
};

class BackendSdkTest : public ::testing::TestWithParam<Flavour> {
 protected:
  // Tests that are about one flavour only are not parametrized.
  explicit BackendSdkTest(std::optional<Flavour> flavour = {}) : flavour_(flavour) {}

  ~BackendSdkTest() override {
    backend_.reset();
    if (loop_) loop_->finish();
  }

  BackendOptions options() {
    BackendOptions options;
    options.key.service_name = "zccache";
    options.key.service_version = "1.4.2";
    options.socket_dir = dir_.path();
    options.first_retry = std::chrono::milliseconds(1);
    options.longest_retry = std::chrono::milliseconds(10);
    return options;
  }

  void create() { create(options()); }
  void create(BackendOptions options) {
    backend_.reset();  // its loop outlives it
    const Flavour flavour = flavour_ ? *flavour_ : GetParam();
    if (flavour == Flavour::kCallersLoop) {
      loop_ = std::make_unique<RunningLoop>();
      backend_ = std::make_unique<Backend>(std::move(options), loop_->context);
    } else {
      backend_ = std::make_unique<Backend>(std::move(options));
    }
    backend_->on_state([this](const StateChange& change) {
      const char* names[] = {"connecting", "registered", "refused", "stopped"};
      std::string text = names[static_cast<int>(change.state)];
      if (change.incarnation != 0) text += " " + std::to_string(change.incarnation);
      if (!change.reason.empty()) text += ": " + change.reason;
      log_.add(text);
    });
    backend_->on_cancel([this](BroadcastId id) { log_.add("cancel " + std::to_string(id)); });
  }

  // Told as "release 7 /path" before and "handled 7" after the handler ran.
  void on_release(const Backend::Handler& handler) {
    backend_->on_release_handles([this, handler](Request& request) {
      log_.add("release " + std::to_string(request.broadcast_id()) + " " +
               std::string(request.path_prefix()));
      const std::string id = std::to_string(request.broadcast_id());
      handler(request);
      log_.add("handled " + id);
    });
  }

  // create(), start() and the broker's welcome.
  ScriptedPeer joined(const Backend::Handler& handler) {
    create();
    on_release(handler);
    backend_->start();
    ScriptedPeer peer = broker_->accept();
    (void)peer.welcome();
    return peer;
  }

  std::optional<Flavour> flavour_;
  TempDir dir_;
  EventLog log_;
  std::unique_ptr<ScriptedBroker> broker_ = std::make_unique<ScriptedBroker>(dir_.path());
  std::unique_ptr<RunningLoop> loop_;
  std::unique_ptr<Backend> backend_;
};

}  // namespace muster::test
