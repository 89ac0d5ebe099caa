// A BackendCore between a broker that the test plays and handlers that it gives, in virtual time.
//
// Handlers run after each thing that happens, unless handlers_are_busy().
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "sdk/backend_core.h"
#include "sdk/handler_queue.h"
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
               (std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()) +
                wall_clock_set_by)
                   .count());
  }
  void state_changed(ConnectionState now_in) override { state = now_in; }
  [[nodiscard]] bool blocked() const override { return broker_reads_not; }
  [[nodiscard]] bool superseded() const override { return newer_backend_there; }
  [[nodiscard]] bool handles(OperationKind operation) const override {
    return queue.handles(operation);
  }
  [[nodiscard]] bool call(HandlerCall call) override { return queue.push(std::move(call)); }
  bool withdraw(RequestSerial serial) noexcept override { return queue.withdraw(serial); }

  void note(std::string what) { notes.push_back(std::move(what)); }

  static constexpr std::uint64_t kUnixStart = 1'700'000'000'000;
  HandlerQueue queue;
  bool broker_there = true;
  bool broker_reads_not = false;
  bool newer_backend_there = false;
  std::chrono::milliseconds wall_clock_set_by{};
  std::chrono::steady_clock::time_point time{std::chrono::hours(1000)};
  std::array<std::optional<std::chrono::milliseconds>, kTimers> armed;
  ConnectionState state = ConnectionState::kConnecting;
  std::vector<std::string> notes;
};

class BackendCoreTest : public ::testing::Test {
 protected:
  BackendCoreTest();
  ~BackendCoreTest() override;
  void run_handlers();

  // What happened since the last time it was asked, "; " between.
  [[nodiscard]] std::string happened();

  // Gives both operations handlers that note the id and then do `what` (ack by returning).
  void handle_with(Backend::Handler what);
  // Handlers that note the id and keep the answer in pending_.
  void defer_all();
  // Handlers that note what they are told.
  void listen();
  void use_handlers() { port_.queue.set_handlers(handlers_); }
  // As if one ran for long: those that come wait until handlers_go_on().
  void handlers_are_busy() { busy_ = true; }
  void handlers_go_on();

  void deliver(Mail mail) {
    core_.deliver(std::move(mail));
    run_handlers();
  }
  void start() { deliver(StartAsked{handlers_.can_resume()}); }
  void started_and_registered();
  void stop(int patience_ms) { deliver(StopAsked{std::chrono::milliseconds(patience_ms)}); }

  // --- the broker's side
  void registered(Incarnation incarnation = 1, std::string epoch = kEpoch,
                  std::vector<ActiveHold> holds = {});
  void operation(BroadcastId id, std::string path = "/cache");
  void cancel(BroadcastId id);
  void refused(RefusalCode code, std::string reason, int retry_after_ms = 0);
  void says(std::uint64_t request_id, auto message) {
    wire::BrokerFrame frame{request_id, std::move(message)};
    core_.received(frame);
    run_handlers();
  }
  void connection_ends() {
    core_.disconnected("gone");
    run_handlers();
  }
  // The connection ends, the retry timer fires; not yet registered.
  void reconnects();

  [[nodiscard]] std::optional<std::chrono::milliseconds> armed(BackendPort::Timer timer) const {
    return port_.armed[static_cast<std::size_t>(timer)];
  }
  // REQUIRES: it is armed. Moves the time there.
  void fires(BackendPort::Timer timer);
  void passes(std::chrono::milliseconds time) { port_.time += time; }

  static constexpr char kEpoch[] = "0123456789abcdef";

  RecordingPort port_;
  bool busy_ = false;
  ActivityFlag activity_;
  BackendHandlers handlers_;
  std::shared_ptr<AnswerSink> sink_;
  BackendCore core_;
  std::vector<PendingAnswer> pending_;
};

}  // namespace muster::test
