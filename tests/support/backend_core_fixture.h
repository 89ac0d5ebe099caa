// A BackendCore between a broker that the test plays and handlers that it gives, in virtual time.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "sdk/backend_core.h"
#include "support/backend_frame_text.h"

namespace muster::test {

// Records what the core asks for.
class RecordingPort final : public BackendPort {
 public:
  std::string connect() override {
    if (!broker_there) return "nobody is there";
    note("connect");
    return {};
  }
  void send(const wire::BackendFrame& frame) override { note("> " + text_of(frame)); }
  void disconnect() override { note("disconnect"); }
  void arm(Timer timer, std::chrono::milliseconds delay) override {
    armed[static_cast<std::size_t>(timer)] = delay;
  }
  void disarm(Timer timer) override { armed[static_cast<std::size_t>(timer)].reset(); }
  [[nodiscard]] std::chrono::steady_clock::time_point now() const override { return time; }
  [[nodiscard]] std::uint64_t now_unix_ms() const override {
    return kUnixStart +
           static_cast<std::uint64_t>(
               std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch())
                   .count());
  }
  void state_changed(ConnectionState now_in) override { state = now_in; }

  void note(std::string what) { notes.push_back(std::move(what)); }

  static constexpr std::uint64_t kUnixStart = 1'700'000'000'000;
  bool broker_there = true;
  std::chrono::steady_clock::time_point time{std::chrono::hours(1000)};
  std::array<std::optional<std::chrono::milliseconds>, kTimers> armed;
  ConnectionState state = ConnectionState::kConnecting;
  std::vector<std::string> notes;
};

class BackendCoreTest : public ::testing::Test {
 protected:
  BackendCoreTest();

  // What happened since the last time it was asked, "; " between.
  [[nodiscard]] std::string happened();

  // Gives both operations handlers that note the id and then do `what` (ack by returning).
  void handle_with(Backend::Handler what);
  // Handlers that note the id and keep the answer in pending_.
  void defer_all();
  // Handlers that note what they are told.
  void listen();
  void use_handlers() { core_.set_handlers(handlers_); }

  void start() { core_.deliver(StartAsked{}); }
  void started_and_registered();
  void stop(int patience_ms) { core_.deliver(StopAsked{std::chrono::milliseconds(patience_ms)}); }

  // --- the broker's side
  void registered(Incarnation incarnation = 1);
  void operation(BroadcastId id, std::string path = "/cache");
  void cancel(BroadcastId id);
  void refused(RefusalCode code, std::string reason, int retry_after_ms = 0);
  void says(std::uint64_t request_id, auto message) {
    wire::BrokerFrame frame{request_id, std::move(message)};
    core_.received(frame);
  }
  void connection_ends() { core_.disconnected("gone"); }
  // The connection ends, the retry timer fires; not yet registered.
  void reconnects();

  [[nodiscard]] std::optional<std::chrono::milliseconds> armed(BackendPort::Timer timer) const {
    return port_.armed[static_cast<std::size_t>(timer)];
  }
  // REQUIRES: it is armed. Moves the time there.
  void fires(BackendPort::Timer timer);
  void passes(std::chrono::milliseconds time) { port_.time += time; }

  RecordingPort port_;
  ActivityFlag activity_;
  BackendHandlers handlers_;
  std::shared_ptr<AnswerSink> sink_;
  BackendCore core_;
  std::vector<PendingAnswer> pending_;
};

}  // namespace muster::test
