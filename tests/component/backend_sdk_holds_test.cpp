// Holds through a real socket, in both flavours, asked about by other threads.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "component/backend_sdk_fixture.h"
#include "support/child.h"
#include "support/sanitized.h"

namespace muster::test {
namespace {

using namespace std::chrono_literals;

void tell_holds(Backend& backend, EventLog& log) {
  backend.on_active_holds([&log](const std::vector<ActiveHold>& holds) {
    std::string text = "active holds:";
    for (const ActiveHold& hold : holds) text += " " + std::to_string(hold.id);
    log.add(text);
  });
  backend.on_hold_started([&log, &backend](const ActiveHold& hold) {
    log.add("began " + std::to_string(hold.id) + " " + hold.path_prefix +
            (hold.path_prefix.empty() || backend.is_held(hold.path_prefix) ? "" : " (not held)"));
  });
  backend.on_hold_ended([&log](const HoldEnded& ended) {
    log.add("ended " + std::to_string(ended.hold_id) + " " + std::string(to_string(ended.why)));
  });
}

class BackendSdkHoldsTest : public BackendSdkTest {
 protected:
  ScriptedPeer joined_with_holds(const Backend::Handler& handler,
                                 std::vector<ActiveHold> holds = {}) {
    create();
    on_release(handler);
    backend_->on_quiesce([this](Request& request) {
      log_.add("quiesce " + std::to_string(request.hold().value_or(ActiveHold()).id));
    });
    tell_holds(*backend_, log_);
    backend_->start();
    ScriptedPeer peer = broker_->accept();
    (void)peer.next();
    peer.registered(1, std::move(holds));
    return peer;
  }
};
INSTANTIATE_TEST_SUITE_P(Both, BackendSdkHoldsTest,
                         ::testing::Values(Flavour::kOwnThread, Flavour::kCallersLoop), name_of);

TEST_P(BackendSdkHoldsTest, WhatWasAckedIsHeldUntilTheHoldEnds) {
  ScriptedPeer peer = joined_with_holds([](Request& request) {
    EXPECT_EQ(request.hold(), (ActiveHold{7, "/srv/cache", 1'700'000'600'000, "/cache"}));
  });
  EXPECT_FALSE(backend_->is_held("/cache/x"));
  peer.hold(7, "/srv/cache", "/cache", 1'700'000'600'000);
  EXPECT_EQ(peer.next(), "Ack 7");
  EXPECT_TRUE(backend_->is_held("/cache/x")) << "when the ack is out at the latest";
  EXPECT_TRUE(backend_->is_held("/srv/cache"));
  EXPECT_FALSE(backend_->is_held("/srv/cached"));
  EXPECT_EQ(log_.wait_for("began"), "began 7 /srv/cache");
  peer.hold_ended(7, HoldEnd::kCompleted);
  EXPECT_EQ(log_.wait_for("ended"), "ended 7 completed");
  EXPECT_FALSE(backend_->is_held("/cache/x"));
}

TEST_P(BackendSdkHoldsTest, WhoRegistersDuringAHoldIsToldBeforeAnythingElse) {
  ScriptedPeer peer =
      joined_with_holds([](Request&) {}, {{5, "/mnt/a", 0, {}}, {6, {}, 1'700'000'600'000, {}}});
  EXPECT_EQ(log_.wait_for(""), "active holds: 5 6");
  EXPECT_EQ(log_.wait_for(""), "began 5 /mnt/a");
  EXPECT_EQ(log_.wait_for(""), "began 6 ") << "others are quiesced";
  EXPECT_EQ(log_.wait_for(""), "registered 1");
  EXPECT_TRUE(backend_->is_held("/mnt/a/b"));
  peer.hold_ended(5, HoldEnd::kAbandoned);
  peer.hold_ended(6, HoldEnd::kExpired);
  EXPECT_EQ(log_.wait_for(""), "ended 5 abandoned");
  EXPECT_EQ(log_.wait_for(""), "ended 6 expired");
  EXPECT_FALSE(backend_->is_held("/mnt/a/b"));
}

TEST_P(BackendSdkHoldsTest, ARestartedBrokerSaysWhichHoldsGoOn) {
  ScriptedPeer peer = joined_with_holds([](Request&) {});
  peer.hold(7, "/a");
  peer.hold(8, "/b");
  EXPECT_EQ(peer.next(), "Ack 7");
  EXPECT_EQ(peer.next(), "Ack 8");
  peer.close();
  broker_.reset();
  EXPECT_TRUE(log_.wait_for("connecting: there is no broker").starts_with("connecting"));
  EXPECT_TRUE(backend_->is_held("/a"));
  EXPECT_TRUE(backend_->is_held("/b"));
  broker_ = std::make_unique<ScriptedBroker>(dir_.path());
  ScriptedPeer again = broker_->accept();
  again.belongs_to("the next broker.");
  (void)again.next();
  again.registered(1, {{8, "/b", 0, {}}, {9, "/c", 0, {}}});
  EXPECT_EQ(log_.wait_for("active"), "active holds: 8 9");
  EXPECT_EQ(log_.wait_for(""), "ended 7 unseen");
  EXPECT_EQ(log_.wait_for(""), "began 9 /c");
  EXPECT_EQ(log_.wait_for(""), "registered 1");
  EXPECT_FALSE(backend_->is_held("/a"));
  EXPECT_TRUE(backend_->is_held("/b"));
  EXPECT_TRUE(backend_->is_held("/c"));
  again.hold_ended(8, HoldEnd::kExpired);
  EXPECT_EQ(log_.wait_for(""), "ended 8 expired");
}

TEST_P(BackendSdkHoldsTest, AHoldThatIsAbandonedWhileItsHandlerWorksIsNotKept) {
  std::optional<PendingAnswer> owed;
  ScriptedPeer peer = joined_with_holds([&](Request& request) { owed.emplace(request.defer()); });
  peer.hold(7);
  EXPECT_EQ(log_.wait_for("handled"), "handled 7");
  EXPECT_TRUE(backend_->is_held("/cache/x")) << "it is being released";
  peer.cancel(7);
  EXPECT_EQ(log_.wait_for("cancel"), "cancel 7");
  owed->ack();
  EXPECT_EQ(peer.next(), "Ack 7");
  EXPECT_TRUE(backend_->is_held("/cache/x")) << "until it hears of the end";
  EXPECT_EQ(log_.wait_for("began"), "began 7 /cache");
  peer.hold_ended(7, HoldEnd::kAbandoned);
  EXPECT_EQ(log_.wait_for(""), "ended 7 abandoned");
  EXPECT_FALSE(backend_->is_held("/cache/x"));
}

TEST_P(BackendSdkHoldsTest, WhoRejectsIsNotHeld) {
  ScriptedPeer peer = joined_with_holds([&](Request& request) {
    EXPECT_TRUE(backend_->is_held("/cache/x"));
    request.reject("busy");
  });
  peer.hold(7);
  EXPECT_EQ(peer.next(), "Failure 7 Rejected: busy");
  EXPECT_FALSE(backend_->is_held("/cache/x"));
  EXPECT_EQ(log_.count("began"), 0u);
}

TEST_P(BackendSdkHoldsTest, AHeldQuiesceEndsForAnyReason) {
  ScriptedPeer peer = joined_with_holds([](Request&) {});
  for (const HoldEnd why :
       {HoldEnd::kCompleted, HoldEnd::kAbandoned, HoldEnd::kExpired, HoldEnd::kResumed}) {
    peer.quiesce(7 + static_cast<BroadcastId>(why));
    (void)peer.next();
    EXPECT_TRUE(backend_->is_quiesced());
    peer.hold_ended(7 + static_cast<HoldId>(why), why);
    const std::string id = std::to_string(7 + static_cast<HoldId>(why));
    EXPECT_EQ(log_.wait_for("quiesce"), "quiesce " + id);
    EXPECT_EQ(log_.wait_for(""), "ended " + id + " " + std::string(to_string(why)));
    EXPECT_FALSE(backend_->is_quiesced());
  }
  EXPECT_EQ(log_.count("began"), 0u);
}

// As a daemon's threads do that open files while holds come and go.
TEST_P(BackendSdkHoldsTest, ManyThreadsMayAskAllTheTime) {
  ScriptedPeer peer = joined_with_holds([](Request&) {}, {{5, "/always", 0, {}}});
  EXPECT_EQ(log_.wait_for("registered"), "registered 1");
  std::atomic<bool> done = false;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> openers;
  for (int i = 0; i < 4; ++i) {
    openers.emplace_back([&] {
      while (!done) {
        if (!backend_->is_held("/always/x")) ++wrong;
        if (backend_->is_held("/never")) ++wrong;
        (void)backend_->is_held("/cache/x");
      }
    });
  }
  for (BroadcastId id = 10; id < 210; ++id) {
    peer.hold(id);
    EXPECT_EQ(peer.next(), "Ack " + std::to_string(id));
    if (!backend_->is_held("/cache/x")) ++wrong;
    peer.hold_ended(id, HoldEnd::kCompleted);
  }
  EXPECT_EQ(log_.wait_for("ended 209"), "ended 209 completed");
  EXPECT_FALSE(backend_->is_held("/cache/x"));
  done = true;
  for (auto& opener : openers) opener.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(BackendSdkHoldsTest, NothingIsHeldOnceItHasStopped) {
  ScriptedPeer peer = joined_with_holds([](Request&) {}, {{5, "/mnt/a", 0, {}}});
  EXPECT_EQ(log_.wait_for("registered"), "registered 1");
  EXPECT_TRUE(backend_->is_held("/mnt/a"));
  backend_->stop(0ms);
  EXPECT_EQ(log_.wait_for("stopped"), "stopped");
  EXPECT_FALSE(backend_->is_held("/mnt/a"));
  EXPECT_EQ(log_.count("ended"), 0u);
}

class BackendSdkHoldsForkTest : public BackendSdkTest {
 protected:
  BackendSdkHoldsForkTest() : BackendSdkTest(Flavour::kOwnThread) {}
};

TEST_F(BackendSdkHoldsForkTest, AChildThatIsNotTheBackendHoldsNothing) {
  create();
  on_release([](Request&) {});
  backend_->start();
  ScriptedPeer peer = broker_->accept();
  (void)peer.next();
  peer.registered(1, {{5, "/mnt/a", 0, {}}, {6, {}, 0, {}}});
  EXPECT_EQ(log_.wait_for("registered"), "registered 1");
  EXPECT_TRUE(backend_->is_quiesced());
  const pid_t child = ::fork();
  if (child == 0) ::_exit(backend_->is_held("/mnt/a") || backend_->is_quiesced() ? 1 : 0);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(backend_->is_held("/mnt/a"));
}

TEST_F(BackendSdkHoldsForkTest, AChildThatFollowsIsToldOfTheHoldsThatGoOn) {
  if (kThreadSanitized) {
    GTEST_SKIP() << "ThreadSanitizer forbids a thread after a fork, so the SDK makes none";
  }
  Child parent([&](Child::Side& side) {
    BackendOptions wanted = options();
    wanted.follow_fork = true;
    Backend backend(std::move(wanted));
    backend.on_release_handles([](Request&) {});
    backend.on_hold_started([&](const ActiveHold& hold) {
      side.say("began " + std::to_string(hold.id) +
               (backend.is_held("/cache/x") ? " held" : " not held"));
    });
    backend.start();
    side.wait_to_be_told();
    if (::fork() != 0) ::_exit(0);
    ::alarm(120);
    side.say(backend.is_held("/cache/x") ? "held" : "not held");
    side.wait_to_be_told();  // or the test's end
  });
  ScriptedPeer first = broker_->accept();
  (void)first.welcome();
  first.hold(7);
  EXPECT_EQ(first.next(), "Ack 7");
  EXPECT_EQ(parent.hear(), "began 7 held");
  parent.tell();
  EXPECT_EQ(parent.hear(), "not held") << "that is the parent's";
  ScriptedPeer child = broker_->accept();
  (void)child.next();
  child.registered(2, {{7, "/cache", 0, {}}});
  EXPECT_EQ(parent.hear(), "began 7 held");
}

}  // namespace
}  // namespace muster::test
