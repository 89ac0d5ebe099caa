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
  message.active_holds = {{1, "/mnt/a", 0}, {2, "/mnt/b", 0}};
  says(1, message);
  EXPECT_EQ(happened(), "on_active_holds /mnt/a /mnt/b; on_state registered 3");
  says(0, HoldEnded{2, HoldEnd::kExpired});
  EXPECT_EQ(happened(), "on_hold_ended 2");
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

TEST_F(BackendCoreConnectionTest, RefusedForGoodItStaysAway) {
  for (const auto code : {RefusalCode::kInvalid, RefusalCode::kDenied, RefusalCode::kReplaced}) {
    RecordingPort port;
    BackendCore core(Registration(), Backoff(milliseconds(1), milliseconds(1), 1), port, sink_,
                     activity_);
    std::string reason;
    BackendHandlers handlers;
    handlers.state = [&](const StateChange& change) { reason = change.reason; };
    core.set_handlers(handlers);
    core.deliver(StartAsked{});
    wire::BrokerFrame frame{1, Refusal{code, "because", milliseconds(10)}};
    core.received(frame);
    EXPECT_EQ(port.state, ConnectionState::kRefused);
    EXPECT_NE(reason.find("because"), std::string::npos) << reason;
    EXPECT_EQ(port.notes.back(), "disconnect");
    EXPECT_FALSE(port.armed[static_cast<std::size_t>(Timer::kRetry)].has_value());
  }
}

TEST_F(BackendCoreConnectionTest, RefusedForNowItComesBackNoSoonerThanAsked) {
  for (const auto code : {RefusalCode::kQuota, RefusalCode::kShuttingDown, RefusalCode::kTooSlow,
                          RefusalCode::kProtocol}) {
    RecordingPort port;
    BackendCore core(Registration(), Backoff(milliseconds(1), milliseconds(1), 1), port, sink_,
                     activity_);
    core.deliver(StartAsked{});
    wire::BrokerFrame frame{1, Refusal{code, "later", milliseconds(3000)}};
    core.received(frame);
    EXPECT_EQ(port.state, ConnectionState::kConnecting);
    EXPECT_EQ(port.notes.back(), "disconnect");
    EXPECT_GE(port.armed[static_cast<std::size_t>(Timer::kRetry)].value(), milliseconds(3000));
  }
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
  last.emplace_back(AnswerGiven{7, Ack{}});
  last.emplace_back(ActivitySeen{});
  last.emplace_back(AnswerGiven{9, Ack{}});  // never asked
  std::string words;
  for (const auto& frame : core_.abandon(std::move(last))) words += text_of(frame) + "; ";
  EXPECT_EQ(words, "Ack 7; Deregister; ");
  EXPECT_EQ(happened(), "");
  EXPECT_TRUE(pending_.at(1).cancelled());
  EXPECT_TRUE(core_.abandon({}).empty());
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
