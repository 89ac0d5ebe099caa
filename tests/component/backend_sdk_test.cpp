// Joining a broker and answering it, through a real socket, in both flavours.
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "component/backend_sdk_fixture.h"

namespace muster::test {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

class BackendSdkAnswerTest : public BackendSdkTest {};
INSTANTIATE_TEST_SUITE_P(Both, BackendSdkAnswerTest,
                         ::testing::Values(Flavour::kOwnThread, Flavour::kCallersLoop), name_of);

TEST_P(BackendSdkAnswerTest, JoinsWithWhatItsOptionsSay) {
  BackendOptions wanted = options();
  wanted.key.instance = Instance::private_to("soldr");
  wanted.key.replica = "2";
  wanted.ack_timeout = 7s;
  wanted.idle_timeout = 1min;
  wanted.labels = {{"tier", "hot"}};
  wanted.can_resume = false;
  create(wanted);
  EXPECT_EQ(backend_->state(), ConnectionState::kConnecting);
  backend_->start();
  ScriptedPeer peer = broker_->accept();
  const Registration registration = peer.registration();
  EXPECT_EQ(registration.key.to_string(), "zccache 1.4.2 [private:soldr] #2");
  EXPECT_EQ(registration.ack_timeout, 7s);
  EXPECT_EQ(registration.idle_timeout, 1min);
  EXPECT_EQ(registration.labels, wanted.labels);
  EXPECT_FALSE(registration.can_resume);
  EXPECT_EQ(registration.sdk_name, "muster-cpp");
  EXPECT_NE(registration.sdk_version, "");
  EXPECT_EQ(registration.max_protocol, kProtocolVersion);
  peer.registered(42);
  EXPECT_EQ(log_.wait_for("registered"), "registered 42");
  EXPECT_EQ(backend_->state(), ConnectionState::kRegistered);
}

TEST_P(BackendSdkAnswerTest, ReturningFromTheHandlerAcknowledges) {
  ScriptedPeer peer = joined([](Request&) {});
  peer.release(7, "/cache/x");
  EXPECT_EQ(peer.next(), "Ack 7");
  EXPECT_EQ(log_.wait_for("release"), "release 7 /cache/x");
}

TEST_P(BackendSdkAnswerTest, AQuiesceWithoutAHandlerIsUnsupported) {
  ScriptedPeer peer = joined([](Request&) {});
  peer.quiesce(7);
  EXPECT_EQ(peer.next(),
            "Failure 7 UnsupportedOperation: this backend has no handler for quiesce "
            "(maintenance)");
}

TEST_P(BackendSdkAnswerTest, WhatAHandlerThrowsReachesTheBroker) {
  ScriptedPeer peer = joined([](Request&) { throw std::runtime_error("disk on fire"); });
  peer.release(7);
  EXPECT_EQ(peer.next(), "Failure 7 BackendError: disk on fire");
  peer.release(8);
  EXPECT_EQ(peer.next(), "Failure 8 BackendError: disk on fire");
}

TEST_P(BackendSdkAnswerTest, RejectingSaysWhy) {
  ScriptedPeer peer = joined([](Request& request) { request.reject("a build is running"); });
  peer.release(7);
  EXPECT_EQ(peer.next(), "Failure 7 Rejected: a build is running");
}

TEST_P(BackendSdkAnswerTest, OperationsAreHandedOverInTheirOrder) {
  ScriptedPeer peer = joined([](Request&) {});
  for (BroadcastId id = 1; id <= 500; ++id) peer.release(id);
  for (BroadcastId id = 1; id <= 500; ++id) {
    EXPECT_EQ(peer.next(), "Ack " + std::to_string(id));
  }
}

TEST_P(BackendSdkAnswerTest, ADeferredAnswerComesFromAnotherThread) {
  std::thread worker;
  ScriptedPeer peer = joined([&](Request& request) {
    worker = std::thread([answer = request.defer()]() mutable {
      answer.working(2s, "half way", 50);
      answer.ack();
    });
  });
  peer.release(7);
  EXPECT_EQ(peer.next(), "Working 7 +2000 ms 50% half way");
  EXPECT_EQ(peer.next(), "Ack 7");
  EXPECT_EQ(log_.wait_for("handled"), "handled 7");
  worker.join();
}

TEST_P(BackendSdkAnswerTest, ManyThreadsAnswerAtOnce) {
  std::mutex mutex;
  std::vector<PendingAnswer> owed;
  ScriptedPeer peer = joined([&](Request& request) {
    const std::lock_guard lock(mutex);
    owed.push_back(request.defer());
  });
  constexpr int kOperations = 400;
  for (int id = 1; id <= kOperations; ++id) peer.release(static_cast<BroadcastId>(id));
  EXPECT_EQ(log_.wait_for("handled 400"), "handled 400");
  std::vector<std::thread> workers;
  for (int worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&] {
      for (;;) {
        std::optional<PendingAnswer> mine;
        {
          const std::lock_guard lock(mutex);
          if (owed.empty()) return;
          mine = std::move(owed.back());
          owed.pop_back();
        }
        mine->ack();
      }
    });
  }
  int acks = 0;
  while (acks < kOperations && peer.next().starts_with("Ack ")) ++acks;
  EXPECT_EQ(acks, kOperations);
  for (auto& worker : workers) worker.join();
}

TEST_P(BackendSdkAnswerTest, ADroppedAnswerIsABackendErrorAndNeverAnAck) {
  ScriptedPeer peer =
      joined([](Request& request) { std::thread([answer = request.defer()] {}).join(); });
  peer.release(7);
  EXPECT_EQ(peer.next(),
            "Failure 7 BackendError: the handler dropped the request without an answer");
}

TEST_P(BackendSdkAnswerTest, AHandlerThatIsBusyForLongCanStillAskForMoreTime) {
  EventLog from_test;
  ScriptedPeer peer = joined([&](Request& request) {
    request.working(3s, "still at it");
    EXPECT_EQ(from_test.wait_for("go on"), "go on");
  });
  peer.release(7);
  EXPECT_EQ(peer.next(), "Working 7 +3000 ms still at it") << "while the handler runs";
  from_test.add("go on");
  EXPECT_EQ(peer.next(), "Ack 7");
}

TEST_P(BackendSdkAnswerTest, CancelTellsWhoeverStillOwesTheAnswer) {
  std::optional<PendingAnswer> owed;
  ScriptedPeer peer = joined([&](Request& request) { owed = request.defer(); });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("handled"), "handled 7");
  EXPECT_FALSE(owed->cancelled());
  peer.cancel(8);  // not ours
  peer.cancel(7);
  EXPECT_EQ(log_.wait_for("cancel"), "cancel 7");
  EXPECT_TRUE(owed->cancelled());
  owed->ack();
  EXPECT_EQ(peer.next(), "Ack 7") << "a late ack is still worth telling";
}

TEST_P(BackendSdkAnswerTest, HoldsAreToldBeforeAnyOperation) {
  create();
  on_release([](Request&) {});
  backend_->on_active_holds([&](const std::vector<ActiveHold>& holds) {
    for (const auto& hold : holds) log_.add("hold on " + hold.path_prefix);
  });
  backend_->on_hold_ended([&](const HoldEnded& ended) {
    log_.add("hold " + std::to_string(ended.hold_id) + " " + std::string(to_string(ended.why)));
  });
  backend_->start();
  ScriptedPeer peer = broker_->accept();
  (void)peer.next();
  peer.registered(1, {{5, "/mnt/a", 0, {}}});
  peer.release(7);
  peer.hold_ended(5, HoldEnd::kAbandoned);
  EXPECT_EQ(log_.wait_for(""), "hold on /mnt/a");
  EXPECT_EQ(log_.wait_for(""), "registered 1");
  EXPECT_EQ(log_.wait_for(""), "release 7 /cache");
  EXPECT_EQ(log_.wait_for(""), "handled 7");
  EXPECT_EQ(log_.wait_for(""), "hold 5 " + std::string(to_string(HoldEnd::kAbandoned)));
}

// An operator who is told "resumed" must not look at a daemon that nobody told.
TEST_P(BackendSdkAnswerTest, WhoeverHearsNothingOfTheEndOfAQuiesceCannotResume) {
  const auto says_it_can = [&](bool has_quiesce, bool has_hold_ended) {
    create();
    if (has_quiesce) backend_->on_quiesce([](Request&) {});
    if (has_hold_ended) backend_->on_hold_ended([](const HoldEnded&) {});
    backend_->start();
    ScriptedPeer peer = broker_->accept();
    const bool can_resume = peer.registration().can_resume;
    backend_.reset();  // before the peer ends: it would connect again, in the place of the next
    return can_resume;
  };
  EXPECT_FALSE(says_it_can(true, false));
  EXPECT_TRUE(says_it_can(true, true));
  EXPECT_TRUE(says_it_can(false, false)) << "it is never quiesced";
  EXPECT_TRUE(says_it_can(false, true));
}

TEST_P(BackendSdkAnswerTest, ABurstOfActivityIsSentAtMostOnceASecondAndItsEndIsNotLost) {
  BackendOptions wanted = options();
  wanted.idle_timeout = 1min;
  create(wanted);
  on_release([](Request&) {});
  backend_->start();
  ScriptedPeer peer = broker_->accept();
  (void)peer.welcome();
  EXPECT_EQ(log_.wait_for("registered"), "registered 1");
  const auto begin = std::chrono::steady_clock::now();
  backend_->activity();
  EXPECT_EQ(peer.next(), "Activity") << "the first at once";
  std::vector<std::thread> users;
  for (int i = 0; i < 4; ++i) {
    users.emplace_back([&] {
      for (int call = 0; call < 1000; ++call) backend_->activity();
    });
  }
  for (auto& user : users) user.join();
  EXPECT_EQ(peer.next(), "Activity") << "those after it together";
  peer.release(7);
  int sent = 2;
  std::string last;
  while ((last = peer.next()) == "Activity") ++sent;
  EXPECT_EQ(last, "Ack 7");
  const auto seconds = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(seconds, 1s);
  EXPECT_LE(sent, 2 + seconds / 1s);
}

TEST_P(BackendSdkAnswerTest, WithoutAnIdleTimeoutActivityCostsNothing) {
  ScriptedPeer peer = joined([](Request&) {});
  EXPECT_EQ(log_.wait_for("registered"), "registered 1");
  backend_->activity();
  peer.release(7);
  EXPECT_EQ(peer.next(), "Ack 7");
}

}  // namespace
}  // namespace muster::test
