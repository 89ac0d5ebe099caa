// A backend's connection: joining, losing, coming back, being refused, leaving.
#include <string>

#include <gtest/gtest.h>

#include "support/backend_core_fixture.h"

namespace muster::test {
namespace {

using std::chrono::milliseconds;
using Timer = BackendPort::Timer;

class BackendCoreConnectionTest : public BackendCoreTest {};

TEST_F(BackendCoreConnectionTest, RegistersAsSoonAsItIsConnected) {
  listen();
  start();
  EXPECT_EQ(happened(), "connect; > Register zccache 1.0.0");
  EXPECT_EQ(port_.state, ConnectionState::kConnecting);
  registered(42);
  EXPECT_EQ(happened(), "on_active_holds; on_state registered 42");
  EXPECT_EQ(port_.state, ConnectionState::kRegistered);
}

TEST_F(BackendCoreConnectionTest, ActiveHoldsAreToldBeforeAnythingElse) {
  listen();
  start();
  (void)happened();
  Registered message;
  message.incarnation = 3;
  message.active_holds = {{1, "/mnt/a", 0, {}}, {2, "/mnt/b", 0, {}}};
  says(1, message);
  EXPECT_EQ(happened(),
            "on_active_holds /mnt/a /mnt/b; on_hold_started 1 /mnt/a; on_hold_started 2 /mnt/b; "
            "on_state registered 3");
  says(0, HoldEnded{2, HoldEnd::kExpired});
  EXPECT_EQ(happened(), "on_hold_ended 2 (expired)");
}

TEST_F(BackendCoreConnectionTest, KeepsTryingWhileThereIsNoBrokerAndSaysSoOnce) {
  listen();
  port_.broker_there = false;
  start();
  EXPECT_EQ(happened(), "on_state connecting (nobody is there)");
  milliseconds before{};
  for (int i = 0; i < 20; ++i) {
    const auto wait = armed(Timer::kRetry).value();
    if (i < 6) {
      EXPECT_GE(wait, before) << "waits grow";
    }
    EXPECT_LE(wait, milliseconds(10'000));
    before = wait;
    fires(Timer::kRetry);
  }
  EXPECT_GE(before, milliseconds(5000)) << "as long as the longest wait, jittered";
  EXPECT_EQ(happened(), "");
  port_.broker_there = true;
  fires(Timer::kRetry);
  EXPECT_EQ(happened(), "connect; > Register zccache 1.0.0");
}

TEST_F(BackendCoreConnectionTest, RegistersAgainWhenTheConnectionEnds) {
  listen();
  started_and_registered();
  connection_ends();
  EXPECT_EQ(happened(), "on_state connecting (the connection to the broker ended: gone)");
  EXPECT_LE(armed(Timer::kRetry).value(), milliseconds(100));
  fires(Timer::kRetry);
  registered(2);
  EXPECT_EQ(happened(),
            "connect; > Register zccache 1.0.0; on_active_holds; on_state registered 2");
}

TEST_F(BackendCoreConnectionTest, ABrokerThatNeverKeepsItIsTriedEverMoreSeldom) {
  start();
  milliseconds longest{};
  for (int i = 0; i < 12; ++i) {
    registered();
    connection_ends();
    longest = std::max(longest, armed(Timer::kRetry).value());
    fires(Timer::kRetry);
  }
  EXPECT_GE(longest, milliseconds(5000));
  registered();
  passes(milliseconds(1000));  // this time it lasted
  connection_ends();
  EXPECT_LE(armed(Timer::kRetry).value(), milliseconds(100));
}

TEST_F(BackendCoreConnectionTest, OneShortRegistrationDoesNotKeepItAway) {
  port_.broker_there = false;
  start();
  for (int i = 0; i < 12; ++i) fires(Timer::kRetry);
  port_.broker_there = true;
  fires(Timer::kRetry);
  registered();
  connection_ends();
  EXPECT_LE(armed(Timer::kRetry).value(), milliseconds(100));
}

struct RefusalCase {
  RefusalCode code;
  ConnectionState shown;
};

// Every refusal passes: a policy is changed, a quota is raised, the other one goes.
TEST_F(BackendCoreConnectionTest, ARefusedBackendSaysWhyAndTriesAgainWithinAMinute) {
  using enum RefusalCode;
  for (const RefusalCase& refusal : {RefusalCase{kInvalid, ConnectionState::kRefused},
                                     {kDenied, ConnectionState::kRefused},
                                     {kReplaced, ConnectionState::kRefused},
                                     {kQuota, ConnectionState::kRefused},
                                     {kProtocol, ConnectionState::kConnecting},
                                     {kShuttingDown, ConnectionState::kConnecting},
                                     {kTooSlow, ConnectionState::kConnecting}}) {
    for (const milliseconds retry_after :
         {milliseconds(0), milliseconds(3000), milliseconds(60'000), milliseconds(0xFFFF'FFFF)}) {
      RecordingPort port;
      std::string reason;
      BackendHandlers handlers;
      handlers.state = [&](const StateChange& change) { reason = change.reason; };
      port.queue.set_handlers(handlers);
      BackendCore core(Registration(), Backoff(milliseconds(1), milliseconds(10), 1), port, sink_,
                       activity_);
      core.deliver(StartAsked{});
      for (int attempt = 0; attempt < 20; ++attempt) {
        wire::BrokerFrame frame{1, Refusal{refusal.code, "because", retry_after}};
        core.received(frame);
        EXPECT_EQ(port.state, refusal.shown) << to_string(refusal.code);
        EXPECT_EQ(port.notes.back(), "disconnect");
        auto& retry = port.armed[static_cast<std::size_t>(Timer::kRetry)];
        ASSERT_TRUE(retry.has_value()) << to_string(refusal.code);
        EXPECT_LE(*retry, milliseconds(60'000));
        EXPECT_GE(*retry, std::min(retry_after, milliseconds(60'000)));
        port.time += *std::exchange(retry, std::nullopt);
        core.timer_fired(Timer::kRetry);
        EXPECT_TRUE(port.notes.back().starts_with("> Register  ")) << "it tries again";
      }
      port.queue.publish();
      EXPECT_TRUE(port.queue.run_one());
      EXPECT_NE(reason.find("because"), std::string::npos) << reason;
    }
  }
}

TEST_F(BackendCoreConnectionTest, ARefusedBackendIsNoBurdenForItsBroker) {
  start();
  milliseconds all{};
  for (int i = 0; i < 10; ++i) {
    refused(RefusalCode::kDenied, "no");
    all += armed(Timer::kRetry).value();
    fires(Timer::kRetry);
  }
  EXPECT_GE(all, milliseconds(60'000)) << "ever more seldom";
}

TEST_F(BackendCoreConnectionTest, ARefusedBackendIsRegisteredWhenTheReasonIsGone) {
  listen();
  start();
  refused(RefusalCode::kQuota, "too many");
  EXPECT_EQ(happened(),
            "connect; > Register zccache 1.0.0; disconnect; on_state refused (the broker refused "
            "(quota): too many)");
  EXPECT_EQ(port_.state, ConnectionState::kRefused);
  fires(Timer::kRetry);
  EXPECT_EQ(port_.state, ConnectionState::kRefused) << "until it is registered";
  registered(9);
  EXPECT_EQ(happened(),
            "connect; > Register zccache 1.0.0; on_active_holds; on_state registered 9");
}

TEST_F(BackendCoreConnectionTest, OneThatItsOwnProcessReplacedLeavesTheOtherAlone) {
  listen();
  started_and_registered();
  refused(RefusalCode::kReplaced, "pid 1 registered the same key");
  (void)happened();
  port_.newer_backend_there = true;
  for (int i = 0; i < 3; ++i) {
    fires(Timer::kRetry);
    EXPECT_EQ(happened(), "");
    EXPECT_EQ(port_.state, ConnectionState::kRefused);
  }
  EXPECT_LE(armed(Timer::kRetry).value(), milliseconds(60'000));
  port_.newer_backend_there = false;  // it is gone
  fires(Timer::kRetry);
  EXPECT_EQ(happened(), "connect; > Register zccache 1.0.0");
}

TEST_F(BackendCoreConnectionTest, TheKeyIsToldAsTheBrokerListsIt) {
  StateChange told;
  handlers_.state = [&](const StateChange& change) { told = change; };
  use_handlers();
  start();
  Registered message;
  message.epoch = kEpoch;
  message.key.service_name = "zccache";
  message.key.service_version = "1.0.0";
  message.key.replica = "~123";
  says(1, message);
  EXPECT_EQ(told.key.to_string(), "zccache 1.0.0 #~123");
  reconnects();
  registered(2);  // of a broker that does not say
  EXPECT_EQ(told.key.to_string(), "zccache 1.0.0");
}

TEST_F(BackendCoreConnectionTest, WhatANewerBrokerTellsIsNoReasonToLeaveIt) {
  start();
  says(0, wire::UnknownMessage{});
  registered();
  (void)happened();
  says(0, wire::UnknownMessage{});
  says(77, wire::UnknownMessage{});
  EXPECT_EQ(happened(), "");
  EXPECT_EQ(port_.state, ConnectionState::kRegistered);
}

TEST_F(BackendCoreConnectionTest, AKeyThatAnotherTookOverCancelsWhatIsInHand) {
  listen();
  defer_all();
  started_and_registered();
  operation(7);
  refused(RefusalCode::kReplaced, "pid 12 registered the same key");
  EXPECT_TRUE(pending_.at(0).cancelled());
  (void)happened();
  pending_.at(0).ack();
  EXPECT_EQ(happened(), "");
}

TEST_F(BackendCoreConnectionTest, WhatIsNotTheProtocolEndsTheConnectionAndIsTriedAgain) {
  listen();
  start();
  (void)happened();
  operation(7);  // before Registered
  EXPECT_EQ(happened(),
            "disconnect; on_state connecting (the broker does not keep to the protocol: it sent "
            "something before it answered the registration)");
  fires(Timer::kRetry);
  registered();
  (void)happened();
  registered();
  EXPECT_EQ(happened(),
            "disconnect; on_state connecting (the broker does not keep to the protocol: it "
            "answered one registration twice)");
  fires(Timer::kRetry);
  (void)happened();
  Registered other;
  other.protocol = 2;
  says(1, other);
  EXPECT_EQ(happened(),
            "disconnect; on_state connecting (the broker does not keep to the protocol: it chose "
            "protocol 2)");
  EXPECT_TRUE(armed(Timer::kRetry).has_value());
}

TEST_F(BackendCoreConnectionTest, StoppingDeregistersAndWaitsForTheAnswer) {
  listen();
  defer_all();
  started_and_registered();
  operation(7);
  operation(9);
  (void)happened();
  stop(1000);
  EXPECT_EQ(happened(), "> Deregister");
  EXPECT_EQ(armed(Timer::kDeregister), milliseconds(1000));
  pending_.at(0).ack();
  operation(8);  // crossed the Deregister
  EXPECT_EQ(happened(), "") << "nothing is sent after Deregister, no handler is called";
  says(2, wire::Deregistered{});
  EXPECT_EQ(happened(), "disconnect; on_state stopped");
  EXPECT_FALSE(armed(Timer::kDeregister).has_value());
  EXPECT_TRUE(pending_.at(1).cancelled());
}

TEST_F(BackendCoreConnectionTest, StoppingWaitsNoLongerThanItsPatience) {
  listen();
  started_and_registered();
  stop(1000);
  fires(Timer::kDeregister);
  EXPECT_EQ(happened(), "> Deregister; disconnect; on_state stopped");
}

TEST_F(BackendCoreConnectionTest, StoppingWithoutPatienceDoesNotWait) {
  listen();
  started_and_registered();
  stop(0);
  EXPECT_EQ(happened(), "> Deregister; disconnect; on_state stopped");
  stop(0);
  EXPECT_EQ(happened(), "");
}

TEST_F(BackendCoreConnectionTest, StoppingBeforeTheAnswerToRegisterStillDeregisters) {
  listen();
  start();
  (void)happened();
  stop(1000);
  EXPECT_EQ(happened(), "> Deregister");
  registered();
  EXPECT_EQ(happened(), "");
  says(2, wire::Deregistered{});
  EXPECT_EQ(happened(), "disconnect; on_state stopped");
}

TEST_F(BackendCoreConnectionTest, AConnectionThatEndsWhileItStopsIsTheEnd) {
  started_and_registered();
  stop(1000);
  connection_ends();
  EXPECT_EQ(port_.state, ConnectionState::kStopped);
  EXPECT_FALSE(armed(Timer::kRetry).has_value());
}

TEST_F(BackendCoreConnectionTest, StoppingWhileItWaitsForABrokerEndsTheWait) {
  listen();
  port_.broker_there = false;
  start();
  (void)happened();
  stop(1000);
  EXPECT_EQ(happened(), "disconnect; on_state stopped");
  EXPECT_FALSE(armed(Timer::kRetry).has_value());
  start();
  EXPECT_EQ(port_.state, ConnectionState::kStopped);
}

TEST_F(BackendCoreConnectionTest, WhatAListenerThrowsGoesNoFurther) {
  handlers_.state = [](const StateChange&) { throw std::runtime_error("boom"); };
  handlers_.active_holds = [](const std::vector<ActiveHold>&) { throw 1; };
  use_handlers();
  start();
  registered();
  EXPECT_EQ(happened(), "connect; > Register zccache 1.0.0");
  EXPECT_EQ(port_.state, ConnectionState::kRegistered);
}

TEST_F(BackendCoreConnectionTest, AbandoningSaysWhatIsLeftToSayAndCallsNobody) {
  listen();
  defer_all();
  started_and_registered();
  operation(7);
  operation(8);
  (void)happened();
  std::vector<Mail> last;
  last.emplace_back(AnswerGiven{{7, 1}, Ack{}});
  last.emplace_back(ActivitySeen{});
  last.emplace_back(AnswerGiven{{9, 1}, Ack{}});  // never asked
  std::string words;
  for (const auto& frame : core_.last_words(std::move(last))) words += text_of(frame) + "; ";
  EXPECT_EQ(words, "Ack 7; Deregister; ");
  EXPECT_EQ(happened(), "");
  core_.end();
  EXPECT_TRUE(pending_.at(1).cancelled());
  EXPECT_TRUE(core_.last_words({}).empty());
}

TEST_F(BackendCoreConnectionTest, AfterABreakdownItStartsOver) {
  started_and_registered();
  core_.broke_down("out of memory");
  EXPECT_EQ(happened(), "disconnect");
  fires(Timer::kRetry);
  EXPECT_EQ(happened(), "connect; > Register zccache 1.0.0");
}

}  // namespace
}  // namespace muster::test
