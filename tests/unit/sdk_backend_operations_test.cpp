// A backend's operations: handed over once, answered once, and activity.
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "support/backend_core_fixture.h"

namespace muster::test {
namespace {

using std::chrono::milliseconds;
using Timer = BackendPort::Timer;

class BackendCoreOperationTest : public BackendCoreTest {
 protected:
  std::string answer_when(Backend::Handler handler) {
    handle_with(std::move(handler));
    started_and_registered();
    operation(7);
    return happened();
  }
};

TEST_F(BackendCoreOperationTest, ReturningFromTheHandlerAcknowledges) {
  EXPECT_EQ(answer_when([](Request& request) {
              EXPECT_EQ(request.path_prefix(), "/cache");
              EXPECT_TRUE(request.covers("/cache/x"));
              EXPECT_FALSE(request.covers("/cached"));
            }),
            "handler 7; > Ack 7");
}

TEST_F(BackendCoreOperationTest, AQuiesceReachesItsHandlerWithItsReason) {
  handle_with([](Request& request) {
    EXPECT_EQ(request.reason(), QuiesceReason::kIdleTimeout);
    EXPECT_EQ(request.path_prefix(), "");
    EXPECT_FALSE(request.covers("/"));
    EXPECT_EQ(request.traceparent(), "00-aa-bb-01");
  });
  started_and_registered();
  OutgoingOperation message;
  message.broadcast_id = 9;
  message.operation = BroadcastOperation::quiesce(QuiesceReason::kIdleTimeout);
  message.traceparent = "00-aa-bb-01";
  says(9, message);
  EXPECT_EQ(happened(), "handler 9; > Ack 9");
}

TEST_F(BackendCoreOperationTest, WithoutAHandlerItIsUnsupported) {
  started_and_registered();
  operation(7);
  EXPECT_EQ(happened(),
            "> Failure 7 UnsupportedOperation: this backend has no handler for release-handles "
            "/cache");
}

TEST_F(BackendCoreOperationTest, WhatAHandlerThrowsIsABackendError) {
  EXPECT_EQ(answer_when([](Request&) { throw std::runtime_error("disk on fire"); }),
            "handler 7; > Failure 7 BackendError: disk on fire");
}

TEST_F(BackendCoreOperationTest, AnythingElseThatIsThrownIsAnUnknownException) {
  EXPECT_EQ(answer_when([](Request&) { throw 7; }),
            "handler 7; > Failure 7 BackendError: unknown exception");
}

TEST_F(BackendCoreOperationTest, TheFirstAnswerCounts) {
  EXPECT_EQ(answer_when([](Request& request) {
              request.reject("busy");
              request.fail("too late");
              throw std::runtime_error("and this");
            }),
            "handler 7; > Failure 7 Rejected: busy");
}

TEST_F(BackendCoreOperationTest, ADeferredAnswerIsNotMadeUp) {
  defer_all();
  started_and_registered();
  operation(7);
  EXPECT_EQ(happened(), "handler 7");
  pending_.at(0).reject("no");
  pending_.at(0).ack();
  EXPECT_EQ(happened(), "> Failure 7 Rejected: no");
}

TEST_F(BackendCoreOperationTest, ADroppedAnswerIsABackendError) {
  defer_all();
  started_and_registered();
  operation(7);
  pending_.clear();
  EXPECT_EQ(happened(),
            "handler 7; > Failure 7 BackendError: the handler dropped the request without an "
            "answer");
}

TEST_F(BackendCoreOperationTest, AnAnswerDroppedInTheHandlerIsABackendErrorToo) {
  EXPECT_EQ(answer_when([](Request& request) { (void)request.defer(); }),
            "handler 7; > Failure 7 BackendError: the handler dropped the request without an "
            "answer");
}

TEST_F(BackendCoreOperationTest, AnExceptionSaysMoreThanTheAnswerThatItDropped) {
  EXPECT_EQ(answer_when([](Request& request) {
              const PendingAnswer answer = request.defer();
              throw std::runtime_error("disk on fire");
            }),
            "handler 7; > Failure 7 BackendError: disk on fire");
}

TEST_F(BackendCoreOperationTest, DeferringTwiceIsAnError) {
  EXPECT_EQ(answer_when([this](Request& request) {
              pending_.push_back(request.defer());
              pending_.push_back(request.defer());
            }),
            "handler 7; > Failure 7 BackendError: the answer of this request was deferred before");
}

TEST_F(BackendCoreOperationTest, AssigningOverAnOwedAnswerDropsIt) {
  defer_all();
  started_and_registered();
  operation(7);
  operation(8);
  (void)happened();
  pending_.at(0) = std::move(pending_.at(1));
  EXPECT_EQ(happened(),
            "> Failure 7 BackendError: the handler dropped the request without an answer");
  EXPECT_EQ(pending_.at(0).broadcast_id(), 8u);
  pending_.at(1).ack();  // moved from
  EXPECT_EQ(happened(), "");
  pending_.at(0).ack();
  EXPECT_EQ(happened(), "> Ack 8");
}

TEST_F(BackendCoreOperationTest, AnOperationInHandIsNotHandedOverAgain) {
  defer_all();
  started_and_registered();
  operation(7);
  reconnects();
  registered(2);
  operation(7);
  pending_.at(0).ack();
  EXPECT_EQ(happened(), "handler 7; connect; > Register zccache 1.0.0; > Ack 7");
}

TEST_F(BackendCoreOperationTest, AnAnswerThatTheOldConnectionLostIsSentAgainWhenItIsAskedFor) {
  handle_with([](Request&) {});
  started_and_registered();
  operation(7);
  reconnects();
  registered(2);
  EXPECT_EQ(happened(), "handler 7; > Ack 7; connect; > Register zccache 1.0.0");
  operation(7);
  EXPECT_EQ(happened(), "> Ack 7");
  operation(7);
  EXPECT_EQ(happened(), "") << "once on one connection";
}

TEST_F(BackendCoreOperationTest, AnAnswerGivenWhileDisconnectedIsSentAfterTheRegistration) {
  listen();
  defer_all();
  started_and_registered();
  operation(7);
  connection_ends();
  pending_.at(0).ack();
  (void)happened();
  fires(Timer::kRetry);
  EXPECT_EQ(happened(), "connect; > Register zccache 1.0.0") << "nothing before Registered";
  registered(2);
  EXPECT_EQ(happened(), "> Ack 7; on_active_holds; on_state registered 2");
  operation(7);
  EXPECT_EQ(happened(), "");
}

TEST_F(BackendCoreOperationTest, AnAnswerGivenBetweenRegisterAndRegisteredWaits) {
  defer_all();
  started_and_registered();
  operation(7);
  reconnects();
  (void)happened();
  pending_.at(0).fail("x");
  EXPECT_EQ(happened(), "");
  registered(2);
  EXPECT_EQ(happened(), "> Failure 7 BackendError: x");
}

TEST_F(BackendCoreOperationTest, CancelReachesWhatIsInHandOnly) {
  listen();
  defer_all();
  started_and_registered();
  operation(7);
  (void)happened();
  cancel(7);
  cancel(8);
  EXPECT_EQ(happened(), "on_cancel 7");
  EXPECT_TRUE(pending_.at(0).cancelled());
  pending_.at(0).ack();
  EXPECT_EQ(happened(), "> Ack 7") << "a late answer is still worth telling";
  cancel(7);
  EXPECT_EQ(happened(), "");
}

TEST_F(BackendCoreOperationTest, WorkingMovesTheDeadlineForwardUpToTheBrokersLimit) {
  using Seconds = std::chrono::seconds;
  const std::uint64_t start = port_.now_unix_ms();
  const auto from_start = [&](const Request& request) {
    const auto since_epoch = request.deadline().time_since_epoch();
    return std::chrono::duration_cast<milliseconds>(since_epoch).count() -
           static_cast<std::int64_t>(start);
  };
  EXPECT_EQ(answer_when([&](Request& request) {
              EXPECT_EQ(from_start(request), 5000);
              request.working(Seconds(1), "short");
              EXPECT_EQ(from_start(request), 5000) << "never less";
              request.working(Seconds(20), "half", 50);
              EXPECT_EQ(from_start(request), 20'000);
              request.working(std::chrono::hours(1), "", 101);
              EXPECT_EQ(from_start(request), 300'000) << "the broker's limit";
              request.reject("no");
              request.working(Seconds(1));
            }),
            "handler 7; > Working 7 +1000 ms short; > Working 7 +20000 ms 50% half; > Working 7 "
            "+3600000 ms 100%; > Failure 7 Rejected: no");
}

TEST_F(BackendCoreOperationTest, WorkingIsDroppedWhileThereIsNoConnection) {
  defer_all();
  started_and_registered();
  operation(7);
  connection_ends();
  pending_.at(0).working(std::chrono::seconds(1));
  fires(Timer::kRetry);
  registered(2);
  EXPECT_EQ(happened(), "handler 7; connect; > Register zccache 1.0.0");
}

TEST_F(BackendCoreOperationTest, ActivityIsSentAtOnceAndThenAtMostOnceASecond) {
  started_and_registered();
  const auto active = [&] {
    if (activity_.raise()) core_.deliver(ActivitySeen{});
  };
  active();
  EXPECT_EQ(happened(), "> Activity") << "the first after a pause";
  passes(milliseconds(300));
  for (int i = 0; i < 100; ++i) active();
  EXPECT_EQ(happened(), "");
  EXPECT_EQ(armed(Timer::kActivity), milliseconds(700));
  fires(Timer::kActivity);
  EXPECT_EQ(happened(), "> Activity") << "the last of a burst is not lost";
  EXPECT_FALSE(armed(Timer::kActivity).has_value());
  passes(milliseconds(1000));
  active();
  EXPECT_EQ(happened(), "> Activity");
}

TEST_F(BackendCoreOperationTest, ActivityWhileDisconnectedIsToldOnceThereIsARegistration) {
  started_and_registered();
  connection_ends();
  for (int i = 0; i < 3; ++i) {
    if (activity_.raise()) core_.deliver(ActivitySeen{});
  }
  fires(Timer::kRetry);
  EXPECT_EQ(happened(), "connect; > Register zccache 1.0.0");
  registered(2);
  EXPECT_EQ(happened(), "> Activity");
}

TEST_F(BackendCoreOperationTest, ActivityThatWaitedWhenTheConnectionEndedIsNotLost) {
  started_and_registered();
  for (int i = 0; i < 2; ++i) {
    if (activity_.raise()) core_.deliver(ActivitySeen{});
  }
  reconnects();
  EXPECT_FALSE(armed(Timer::kActivity).has_value());
  registered(2);
  EXPECT_EQ(happened(), "> Activity; connect; > Register zccache 1.0.0");
  fires(Timer::kActivity);
  EXPECT_EQ(happened(), "> Activity");
}

}  // namespace
}  // namespace muster::test
