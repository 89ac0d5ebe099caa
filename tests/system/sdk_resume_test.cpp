// A quiesce and its end, all the way: musterctl, the broker, and a backend of the SDK.
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "muster/backend.h"

#include "support/event_log.h"
#include "system/musterctl_fixture.h"

namespace muster::test {
namespace {

class SdkResume : public Musterctl {
 protected:
  void TearDown() override {
    backend_.reset();
    Musterctl::TearDown();
  }

  BackendOptions options(const std::string& service) {
    BackendOptions options;
    options.key.service_name = service;
    options.key.service_version = "1.0.0";
    options.socket_dir = programs.dir();
    options.first_retry = std::chrono::milliseconds(1);
    options.longest_retry = std::chrono::milliseconds(10);
    return options;
  }
  // A daemon that drains and takes up its work again.
  void start(BackendOptions options) {
    backend_ = std::make_unique<Backend>(std::move(options));
    backend_->on_quiesce([this](Request& request) {
      happened_.add("drained by " + std::to_string(request.broadcast_id()));
    });
    backend_->on_hold_ended([this](const HoldEnded& ended) {
      happened_.add(std::string(to_string(ended.why)) + " " + std::to_string(ended.hold_id));
    });
    backend_->on_state([this](const StateChange& change) {
      if (change.state == ConnectionState::kRegistered) happened_.add("registered");
    });
    backend_->start();
    ASSERT_EQ(happened_.wait_for("registered"), "registered");
  }
  std::string quiesce() {
    EXPECT_EQ(programs.ctl({"quiesce", "-q"}).status, 0);
    return happened_.wait_for("drained by ").substr(11);
  }
  [[nodiscard]] bool is_shown_as(const std::string& what) {
    return programs.ctl({"backends"}).out.find(what) != std::string::npos;
  }

  EventLog happened_;
  std::unique_ptr<Backend> backend_;
};

TEST_F(SdkResume, ResumeReachesTheHandlerOfWhoeverWasQuiesced) {
  start(options("drains"));
  for (int round = 0; round < 2; ++round) {
    const std::string id = quiesce();
    EXPECT_TRUE(is_shown_as("quiesced since"));
    EXPECT_FALSE(is_shown_as("restart it to resume"));
    EXPECT_EQ(picture(programs.ctl({"resume"})), "0\n1 backend resumed\n--- stderr\n");
    EXPECT_EQ(happened_.wait_for("resumed"), "resumed " + id);
    EXPECT_FALSE(is_shown_as("quiesced"));
    EXPECT_EQ(programs.ctl({"resume"}).status, 5) << "it is over";
  }
}

TEST_F(SdkResume, ALateAckIsAQuiesceThatResumeEnds) {
  std::optional<PendingAnswer> owed;
  BackendOptions wanted = options("slow");
  wanted.ack_timeout = std::chrono::milliseconds(200);
  backend_ = std::make_unique<Backend>(std::move(wanted));
  backend_->on_quiesce([&](Request& request) {
    owed = request.defer();
    happened_.add("drains");
  });
  backend_->on_cancel([this](BroadcastId) { happened_.add("cancelled"); });
  backend_->on_hold_ended([this](const HoldEnded&) { happened_.add("resumed"); });
  backend_->on_state([this](const StateChange& change) {
    if (change.state == ConnectionState::kRegistered) happened_.add("registered");
  });
  backend_->start();
  ASSERT_EQ(happened_.wait_for("registered"), "registered");
  Process watch = programs.start({"watch"});
  watch.wait_for("watching");
  EXPECT_EQ(programs.ctl({"quiesce", "-q"}).status, 1);
  EXPECT_EQ(happened_.wait_for("cancelled"), "cancelled");
  owed->ack();
  watch.wait_for("answered after its deadline");
  EXPECT_EQ(programs.ctl({"resume"}).status, 0);
  EXPECT_EQ(happened_.wait_for("resumed"), "resumed");
  owed.reset();
  watch.end();
}

TEST_F(SdkResume, AQuiesceOutlivesTheBrokerAndEndsWithAResume) {
  start(options("drains"));
  const std::string id = quiesce();
  backend("later");  // who is registered after it is on disk after it
  programs.broker().end(SIGKILL);
  programs.start_broker();
  EXPECT_EQ(happened_.wait_for("registered"), "registered");
  EXPECT_TRUE(is_shown_as("quiesced since"));
  EXPECT_EQ(picture(programs.ctl({"resume"})), "0\n1 backend resumed\n--- stderr\n");
  EXPECT_EQ(happened_.wait_for("resumed"), "resumed " + id);
  EXPECT_FALSE(is_shown_as("quiesced"));
}

TEST_F(SdkResume, TheQuiesceOfABrokerThatStoppedEndsAtTheNextBroker) {
  start(options("drains"));
  EXPECT_EQ(programs.broker().end(SIGTERM).status, 0);
  const std::string id = happened_.wait_for("drained by ").substr(11);
  EXPECT_EQ(happened_.count("resumed"), 0u);
  programs.start_broker();
  EXPECT_EQ(happened_.wait_for("registered"), "registered");
  EXPECT_EQ(happened_.wait_for("resumed"), "resumed " + id);
  EXPECT_FALSE(is_shown_as("quiesced"));
  // And it is asked as before.
  const std::string second = quiesce();
  EXPECT_EQ(programs.ctl({"resume"}).status, 0);
  EXPECT_EQ(happened_.wait_for("resumed"), "resumed " + second);
}

TEST_F(SdkResume, WhoeverCannotResumeIsNamedAndCounted) {
  BackendOptions wanted = options("one-way");
  wanted.can_resume = false;
  start(std::move(wanted));
  backend("two-way");
  (void)quiesce();
  EXPECT_TRUE(is_shown_as("restart it to resume"));
  EXPECT_EQ(picture(programs.ctl({"resume"})),
            "1\n1 backend resumed; 1 backend cannot resume: restart them (`musterctl backends` "
            "names them)\n--- stderr\n");
  EXPECT_EQ(picture(programs.ctl({"resume", "--json"})),
            "1\n{\"resumed\":0,\"cannot_resume\":1,\"away\":0,\"still_quiesced\":0}\n--- stderr\n");
  EXPECT_TRUE(is_shown_as("restart it to resume")) << "it still is";
  EXPECT_EQ(happened_.count("resumed"), 0u);
  // A restart is another process: here the key is free, and taken again.
  backend_->stop();
  backend_.reset();
  start(options("one-way"));
  EXPECT_FALSE(is_shown_as("quiesced"));
}

}  // namespace
}  // namespace muster::test
