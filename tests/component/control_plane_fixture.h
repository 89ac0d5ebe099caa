// Broker and control plane on real sockets in the test's own process and thread.
//
// The loop runs only while the test waits for something. Each test fails if the loop does not end
// by itself, or if a descriptor is left open.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>
#include <variant>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include "component/loop_fixture.h"
#include "musterd/control/control_plane.h"
#include "musterd/service/event_fanout.h"
#include "os/listener.h"
#include "support/open_descriptors.h"
#include "support/temp_dir.h"
#include "support/test_backend.h"
#include "support/test_transport.h"
#include "wire/control_lane.h"
#include "wire/framing.h"

namespace muster::test {

// An operator that a test plays by hand. What it hears comes as text, the request's number first:
//   "1 pong", "1 accepted 7: 2 asked, 1 dead", "1 report 7 finished: <result>",
//   "1 would ask a 1.0.0; dead b 1.0.0", "1 cancelled 2", "1 backends live a 1.0.0", "1 watching",
//   "1 status", "1 error (invalid): <sentence>", "1 event broadcast started 7", "end of stream".
class TestOperator {
 public:
  using Pump = std::function<bool()>;

  TestOperator(const std::filesystem::path& socket, Pump pump)
      : socket_(connect_unix(socket)),
        pump_(std::move(pump)),
        decoder_(std::make_unique<wire::ControlAnswerDecoder>()) {}

  template <class Message>
  void asks(std::uint64_t number, Message message) {
    wire::ControlRequestFrame frame;
    frame.request_id = number;
    frame.message = std::move(message);
    EXPECT_TRUE(sends(wire::encode(frame)));
  }
  // False when the broker closed it.
  bool sends(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent =
          ::send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno != EAGAIN || !pump_()) {
        return false;
      }
    }
    return true;
  }

  // Waits for the next message.
  std::string hears() {
    for (;;) {
      if (auto text = next()) return *text;
      if (!pump_()) return "nothing";
    }
  }
  // The next message if it is here already, else "nothing".
  std::string has_heard() { return next().value_or("nothing"); }
  [[nodiscard]] const wire::ControlAnswerFrame& last() const { return *frame_; }
  void closes() { socket_.reset(); }
  void stops_writing() { ::shutdown(socket_.get(), SHUT_WR); }

 private:
  std::optional<std::string> next();

  os::UniqueFd socket_;
  Pump pump_;
  std::string received_;
  std::unique_ptr<wire::ControlAnswerDecoder> decoder_;
  std::optional<wire::ControlAnswerFrame> frame_;
};

[[nodiscard]] std::string text_of(const wire::ControlAnswerFrame& frame);

class ControlPlaneTest : public LoopFixture {
 protected:
  static constexpr std::chrono::milliseconds kNever = std::chrono::hours(1);

  void SetUp() override {
    descriptors_before_ = open_descriptors();
    dir_.emplace();
    options_.core.max_ack_timeout = 2 * kNever;
    options_.core.ack_timeout = kNever;
    options_.core.register_timeout = kNever;
    options_.core.broker_version = "1.2.3";
    options_.core.started_unix_ms = 1'800'000'000'000;
    options_.core.first_id_ever = 1;
    options_.core.next_id_at_start = 100;
    options_.transport = test_transport();
    options_.next_broadcast_id = [this] { return ++last_id_; };
    settings_.linger = std::chrono::milliseconds(1);
  }

  // With settings_ and options_ as they are by then.
  void start() {
    daemon::ControlFacts facts;
    facts.version = "1.2.3";
    facts.socket_dir = dir_->path().native();
    facts.started_unix_ms = options_.core.started_unix_ms;
    facts.policy = policy_;
    facts.when_holds_kept = when_holds_kept_;
    context_.emplace();
    control_.emplace(context_->get_executor(), settings_, facts, log_);
    memory_.emplace(context_->get_executor());
    fanout_.emplace(log_, *control_, *memory_);
    server_.emplace(*context_, options_, *fanout_);
    control_->serve(*server_);
    auto backends = os::listen_unix(*dir_ / "backend.sock", 0600);
    auto control = os::listen_unix(*dir_ / "control.sock", 0600);
    ASSERT_EQ(backends.problem + control.problem, "");
    server_->listen(std::move(backends.socket));
    control_->listen(std::move(control.socket));
  }

  // As the daemon does it.
  void shut_down() {
    server_->shut_down([this] {
      asio::post(*context_, [this] {
        drained_ = true;
        control_->shut_down();
      });
    });
  }

  void TearDown() override {
    if (server_) {
      if (!drained_) shut_down();
      memory_->stop();  // it waits for a second
      server_->shut_down({});
      context_->restart();
      context_->run_for(kPatience);
      EXPECT_TRUE(drained_);
      EXPECT_TRUE(context_->stopped()) << "something keeps the loop running";
      EXPECT_EQ(control_->session_count(), 0u);
      EXPECT_FALSE(control_->wants_every_outcome()) << "a follower was not counted out";
    }
    server_.reset();
    fanout_.reset();
    memory_.reset();
    control_.reset();
    context_.reset();
    operators_.clear();
    backends_.clear();
    dir_.reset();
    EXPECT_EQ(open_descriptors(), descriptors_before_) << "a descriptor leaked";
  }

  TestOperator& connect() {
    return operators_.emplace_back(*dir_ / "control.sock", [this] { return run_one(); });
  }
  TestBackend& join(const Registration& registration) {
    TestBackend& backend =
        backends_.emplace_back(*dir_ / "backend.sock", [this] { return run_one(); });
    backend.registers(registration);
    EXPECT_EQ(backend.hears(), "registered");
    return backend;
  }
  TestBackend& join(std::string service) { return join(registration_of(std::move(service))); }

  static wire::StartBroadcast release(std::string path) {
    wire::StartBroadcast start;
    start.request.operation = BroadcastOperation::release_handles(std::move(path));
    start.request.ack_timeout = kNever;
    return start;
  }
  // The broker answers an operator that asks now: nobody slowed it down.
  void expect_it_answers() {
    TestOperator& other = connect();
    other.asks(1, wire::Ping{});
    EXPECT_EQ(other.hears(), "1 pong");
    other.closes();
    settle();
  }
  [[nodiscard]] std::string logged() const { return text_.str(); }
  [[nodiscard]] bool was_logged(std::string_view text) const {
    return text_.str().find(text) != std::string::npos;
  }

  std::optional<TempDir> dir_;
  std::ostringstream text_;
  daemon::Log log_{
      std::make_shared<spdlog::sinks::ostream_sink_mt>(text_), {}, daemon::Log::Reader::kJournal};
  daemon::ControlSettings settings_;
  broker::ServerOptions options_;
  std::optional<daemon::ControlPlane> control_;
  std::optional<daemon::MemoryTrim> memory_;
  std::optional<daemon::EventFanout> fanout_;
  std::optional<broker::BrokerServer> server_;
  std::deque<TestBackend> backends_;
  std::deque<TestOperator> operators_;
  core::AccessPolicyPtr policy_;                                // of operators
  std::function<void(std::function<void()>)> when_holds_kept_;  // null: they are at once
  BroadcastId last_id_ = 99;
  bool drained_ = false;
  long descriptors_before_ = 0;
};

// --- text

inline std::string text_of(const wire::ControlAnswerFrame& frame) {
  struct Tell {
    std::string operator()(const ControlError& error) const {
      return "error (" + std::string(to_string(error.code)) + "): " + error.message;
    }
    std::string operator()(const wire::Pong&) const { return "pong"; }
    std::string operator()(const wire::BroadcastAccepted& accepted) const {
      return (accepted.joined ? "joined " : "accepted ") + std::to_string(accepted.id) + ": " +
             std::to_string(accepted.targets) + " asked, " + std::to_string(accepted.skipped_dead) +
             " dead" + unknown(accepted.backends_unknown);
    }
    std::string operator()(const BroadcastReport& report) const {
      return "report " + std::to_string(report.broadcast_id) + ' ' +
             std::string(to_string(report.state)) + ": " + to_string(report.result);
    }
    std::string operator()(const DryRun& dry_run) const {
      if (dry_run.joins) return "would join " + std::to_string(*dry_run.joins);
      std::string text = "would ask" + names(dry_run.would_ask);
      text += "; dead" + names(dry_run.skipped_dead);
      if (!dry_run.reconnecting.empty()) text += "; reconnecting" + names(dry_run.reconnecting);
      for (const auto& outcome : dry_run.would_fail) {
        text += "; fails " + outcome.key.to_string() + ": " + outcome.detail;
      }
      return text + unknown(dry_run.backends_unknown);
    }
    std::string operator()(const wire::CancelAccepted& cancelled) const {
      return "cancelled " + std::to_string(cancelled.cancelled_targets);
    }
    std::string operator()(const std::vector<BackendInfo>& backends) const {
      std::string text = "backends";
      for (const auto& info : backends) {
        text += ' ' + std::string(to_string(info.state)) + ' ' + info.key.to_string();
      }
      return text;
    }
    std::string operator()(const BrokerStatus&) const { return "status"; }
    std::string operator()(const wire::ResumeAccepted& accepted) const {
      return "resumed " + std::to_string(accepted.resumed) + ", cannot resume " +
             std::to_string(accepted.cannot_resume);
    }
    std::string operator()(const HolderScan& scan) const {
      return "holders " + std::string(to_string(scan.verdict));
    }
    std::string operator()(const HoldInfo& hold) const {
      const HoldState& state = hold.state;
      std::string text = "hold " + std::to_string(hold.id);
      text += state.ended ? ' ' + std::string(to_string(*state.ended)) : " goes on";
      if (!state.violations.empty()) {
        text += ", " + std::to_string(state.violations.size()) + " violations";
      }
      return text;
    }
    std::string operator()(const std::vector<HoldInfo>& holds) const {
      std::string text = "holds";
      for (const HoldInfo& hold : holds) text += ' ' + std::to_string(hold.id);
      return text;
    }
    std::string operator()(const wire::Forgotten&) const { return "forgotten"; }
    std::string operator()(const wire::Watching&) const { return "watching"; }
    std::string operator()(const PolicyExplanation& explanation) const {
      std::string text = explanation.allowed() ? "policy allowed" : "policy denied";
      char before = ':';
      for (const auto& step : explanation.steps) {
        text += before + (' ' + step.question) + " by " + step.rule;
        before = ',';
      }
      return text;
    }
    std::string operator()(const wire::ControlResponse& response) const {
      return std::visit(*this, response);
    }
    std::string operator()(const Event& event) const {
      std::string text = "event " + std::string(to_string(event.kind));
      if (event.broadcast_id != 0) text += ' ' + std::to_string(event.broadcast_id);
      if (event.key) text += ' ' + event.key->to_string();
      if (event.kind == Event::Kind::kEventsLost) text += ": " + event.detail;
      return text + unknown(event.backends_unknown);
    }
    static std::string names(const std::vector<BackendKey>& keys) {
      std::string text;
      for (const auto& key : keys) text += ' ' + key.to_string();
      return text;
    }
    static std::string unknown(bool backends_unknown) {
      return backends_unknown ? "; backends unknown" : "";
    }
  };
  return std::to_string(frame.request_id) + ' ' + std::visit(Tell{}, frame.message);
}

inline std::optional<std::string> TestOperator::next() {
  for (;;) {
    const auto view = wire::next_frame(received_, wire::kMaxControlBody);
    if (view.status == wire::FrameView::Status::kBad) return "garbage: " + view.problem;
    if (view.status == wire::FrameView::Status::kComplete) {
      frame_.reset();
      const std::string problem = decoder_->decode(view.body, frame_);
      received_.erase(0, view.bytes);
      return problem.empty() ? text_of(*frame_) : "garbage: " + problem;
    }
    std::string chunk(1 << 20, '\0');
    const ssize_t got = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got == 0) return "end of stream";
    if (got < 0) {
      if (errno == EAGAIN) return std::nullopt;
      return "reset";
    }
    received_.append(chunk, 0, static_cast<std::size_t>(got));
  }
}

}  // namespace muster::test
