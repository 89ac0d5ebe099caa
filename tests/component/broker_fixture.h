// A broker on real sockets in the test's own process and thread, and what it told.
//
// The loop runs only while the test waits for something, so what happened when is the test's to
// say. Each test fails if the loop does not end by itself, or if a descriptor is left open.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "broker/broker_server.h"
#include "component/loop_fixture.h"
#include "os/listener.h"
#include "os/process_setup.h"
#include "support/child.h"
#include "support/inspection.h"
#include "support/open_descriptors.h"
#include "support/report_value.h"
#include "support/temp_dir.h"
#include "support/test_backend.h"
#include "support/test_transport.h"

namespace muster::test {

inline constexpr std::chrono::milliseconds kFires{1};
inline constexpr std::chrono::milliseconds kNeverFires = std::chrono::hours(1);

struct RecordingSink final : broker::EventSink {
  void on_event(const Event& event) override {
    events.push_back(event);
    if (on_each) on_each(event);
  }
  [[nodiscard]] bool wants_every_outcome() const noexcept override { return every_outcome; }
  void on_scan(const core::ScanOrder& order) override { scans.push_back(order); }
  void on_hold_ended(HoldId hold) noexcept override { holds_ended.push_back(hold); }
  void on_record_changed(const BackendKey& key) noexcept override {
    if (on_quiesced) on_quiesced(key);
  }
  void on_trouble(std::string_view sentence, std::optional<uid_t> /*user*/) noexcept override {
    troubles.emplace_back(sentence);
  }

  [[nodiscard]] std::size_t count(Event::Kind kind) const {
    std::size_t n = 0;
    for (const Event& event : events) n += event.kind == kind ? 1 : 0;
    return n;
  }

  bool every_outcome = true;
  std::function<void(const Event&)> on_each;
  std::function<void(const BackendKey&)> on_quiesced;
  std::vector<Event> events;
  std::vector<std::string> troubles;
  std::vector<core::ScanOrder> scans;
  std::vector<HoldId> holds_ended;
};

// What a child process does: register as `service`, and say so.
inline TestBackend join_from(Child::Side& side, const std::filesystem::path& socket,
                             const std::string& service) {
  TestBackend backend(socket);
  backend.registers(service);
  side.say(backend.hears());
  return backend;
}

class BrokerFixture : public LoopFixture {
 protected:
  void SetUp() override {
    os::raise_descriptor_limit();  // some tests connect more than the usual 1,024
    descriptors_before_ = open_descriptors();
    dir_.emplace();
    options_.core.max_ack_timeout = 2 * kNeverFires;
    options_.core.ack_timeout = kNeverFires;
    options_.core.register_timeout = kNeverFires;
    options_.core.reconnect_grace = kNeverFires;
    options_.transport = test_transport();
    options_.next_broadcast_id = [this] { return ++last_id_; };
    start();
  }

  void TearDown() override {
    stop();
    backends_.clear();
    dir_.reset();
    EXPECT_EQ(open_descriptors(), descriptors_before_) << "a descriptor leaked";
  }

  // A broker with options_; the one that ran is stopped.
  void start() {
    stop();
    context_.emplace();
    server_.emplace(*context_, options_, sink_);
    auto listening = os::listen_unix(socket(), 0600);
    ASSERT_EQ(listening.problem, "");
    server_->listen(std::move(listening.socket));
  }

  void stop() {
    if (!server_) return;
    if (!drained_) {
      // The first quiesces, the second does not wait for the answers.
      server_->shut_down([this] { drained_ = true; });
      server_->shut_down({});
    }
    context_->restart();
    context_->run_for(kPatience);
    EXPECT_TRUE(drained_);
    EXPECT_TRUE(context_->stopped()) << "something keeps the loop running";
    EXPECT_EQ(server_->connection_count(), 0u);
    server_.reset();
    context_.reset();
    drained_ = false;
  }

  // Runs the loop until the child said something.
  std::string heard_from(Child& child) {
    // Its words are no event of the loop, but they follow one soon.
    const auto patience = std::chrono::steady_clock::now() + kPatience;
    while (!child.has_spoken() && std::chrono::steady_clock::now() < patience) {
      context_->run_one_for(std::chrono::milliseconds(1));
    }
    return child.has_spoken() ? child.hear() : "nothing";
  }
  [[nodiscard]] std::filesystem::path socket() const { return *dir_ / "backend.sock"; }
  [[nodiscard]] core::Broker& core() { return server_->core(); }

  template <class Condition>
  [[nodiscard]] bool run_until(Condition&& condition) {
    while (!condition()) {
      if (!run_one()) return false;
    }
    return true;
  }
  // Waits for an event that came after the test last looked.
  [[nodiscard]] bool run_until_told(Event::Kind kind, std::size_t times = 1) {
    return run_until([&] { return sink_.count(kind) >= times; });
  }

  // A backend that only connected.
  TestBackend& connect() {
    return backends_.emplace_back(socket(), [this] { return run_one(); });
  }
  TestBackend& join(const Registration& registration) {
    TestBackend& backend = connect();
    backend.registers(registration);
    EXPECT_EQ(backend.hears(), "registered");
    return backend;
  }
  TestBackend& join(std::string service) { return join(registration_of(std::move(service))); }

  // Sends and returns; the answers come while the loop runs. 0 when it was refused.
  BroadcastId start_broadcast(BroadcastRequest request) {
    const auto started = core().start_broadcast(std::move(request), server_->now());
    if (const auto* good = std::get_if<core::Started>(&started)) return good->id;
    ADD_FAILURE() << std::get<ControlError>(started).message;
    return 0;
  }
  BroadcastId release_handles(std::string path, std::chrono::milliseconds timeout = kNeverFires) {
    BroadcastRequest request;
    request.operation = BroadcastOperation::release_handles(std::move(path));
    request.ack_timeout = timeout;
    return start_broadcast(std::move(request));
  }

  BroadcastReport report(BroadcastId id) {
    auto report = report_value(core(), id, server_->now());
    if (auto* error = std::get_if<ControlError>(&report)) throw std::runtime_error(error->message);
    return std::get<BroadcastReport>(std::move(report));
  }
  bool is_running(BroadcastId id) { return report(id).state == BroadcastState::kRunning; }
  // Waits for the end: "release-handles /c: acked a 1.0.0; timed out b 1.0.0 (1 ms)".
  std::string result(BroadcastId id) {
    if (!run_until([&] { return !is_running(id); })) return "it did not end";
    return to_string(report(id).result);
  }
  // The report's line of one backend.
  BackendOutcome outcome(BroadcastId id, const std::string& service) {
    for (const auto& backend : report(id).backends) {
      if (backend.key == key_of(service)) return backend;
    }
    ADD_FAILURE() << service << " is not in the report";
    return {};
  }
  // "live a 1.0.0, dead b 1.0.0 (process exited)".
  std::string backends() {
    std::string text;
    for (const auto& info : core().backends({})) {
      text += (text.empty() ? "" : ", ") + std::string(to_string(info.state)) + " " +
              info.key.to_string();
      if (!info.gone_because.empty()) text += " (" + info.gone_because + ")";
    }
    return text;
  }
  const Counters& counters() { return core().counters(); }

  RecordingSink sink_;
  broker::ServerOptions options_;
  std::optional<TempDir> dir_;
  std::optional<broker::BrokerServer> server_;
  std::deque<TestBackend> backends_;
  BroadcastId last_id_ = 0;
  bool drained_ = false;
  long descriptors_before_ = 0;
};

}  // namespace muster::test
