// Which operations a handler gets to see, and for which broker an answer is: time, cancels, epochs,
// and what is bounded.
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "support/backend_core_fixture.h"

namespace muster::test {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;
using Timer = BackendPort::Timer;

constexpr char kOtherEpoch[] = "fedcba9876543210";

class BackendRequestTest : public BackendCoreTest {
 protected:
  BackendRequestTest() {
    handle_with([](Request&) {});
    started_and_registered();
  }
  void operation_with(BroadcastId id, milliseconds budget, std::uint64_t deadline_unix_ms) {
    OutgoingOperation message;
    message.broadcast_id = id;
    message.operation = BroadcastOperation::release_handles("/cache");
    message.ack_timeout = budget;
    message.deadline_unix_ms = deadline_unix_ms;
    says(id, std::move(message));
  }
};

// --- time

TEST_F(BackendRequestTest, ARequestWhoseTimeIsOverBeforeItsTurnIsNeverRun) {
  handlers_are_busy();
  operation(7);
  passes(4'999ms);
  operation(8);
  passes(1ms);
  handlers_go_on();
  EXPECT_EQ(happened(), "handler 8; > Ack 8");
}

TEST_F(BackendRequestTest, ARequestThatWasCancelledBeforeItsTurnIsNeverRun) {
  listen();
  handlers_are_busy();
  operation(7);
  operation(8);
  cancel(7);
  handlers_go_on();
  EXPECT_EQ(happened(), "handler 8; > Ack 8") << "and nobody is told, for nobody knew of it";
}

TEST_F(BackendRequestTest, ARequestThatLayInTheSocketUntilItsTimeWasOverIsNotRun) {
  const auto deadline = port_.now_unix_ms() + 5000;
  passes(6s);  // this process was stopped
  operation_with(7, 5s, deadline);
  EXPECT_EQ(happened(), "");
}

TEST_F(BackendRequestTest, ARequestThatIsSentAgainHasWhatIsLeftOfItsTime) {
  const auto deadline = port_.now_unix_ms() + 5000;
  passes(3s);
  handlers_are_busy();
  operation_with(7, 5s, deadline);
  passes(1'999ms);
  operation_with(8, 5s, deadline);
  passes(1ms);
  handlers_go_on();
  EXPECT_EQ(happened(), "");
}

TEST_F(BackendRequestTest, AWallClockThatWasSetDropsNoFreshRequest) {
  BroadcastId id = 7;
  for (const milliseconds step :
       {milliseconds(-1h), milliseconds(1h), milliseconds(-19'675 * 24h),
        milliseconds(19'675 * 24h), milliseconds(-6s), milliseconds(6s)}) {
    passes(2h);  // long enough that anything could have waited
    const auto sent_before = port_.now_unix_ms() + 5000;
    port_.wall_clock_set_by += step;
    operation_with(++id, 5s, sent_before);
    const std::string handled = "handler " + std::to_string(id) + "; > Ack " + std::to_string(id);
    EXPECT_EQ(happened(), handled) << "set by " << step.count() << " ms";
    operation_with(++id, 5s, port_.now_unix_ms() + 5000);
    EXPECT_NE(happened(), "") << "sent after it, by " << step.count() << " ms";
  }
}

TEST_F(BackendRequestTest, AWallClockThatWasSetRunsNoDeadRequest) {
  for (const milliseconds step : {milliseconds(-1h), milliseconds(1h), milliseconds(-3s)}) {
    handlers_are_busy();
    operation(7);
    port_.wall_clock_set_by += step;
    passes(5s);
    handlers_go_on();
    EXPECT_EQ(happened(), "") << "set by " << step.count() << " ms";
  }
}

TEST_F(BackendRequestTest, ABrokerWithAnotherClockIsBelievedAsFarAsItCanBeTrue) {
  for (const auto behind : {3'600'000LL, 1'699'920'000'000LL}) {  // an hour, or nearly since 1970
    passes(1s);
    operation_with(7, 5s, port_.now_unix_ms() + 5000 - static_cast<std::uint64_t>(behind));
    EXPECT_EQ(happened(), "handler 7; > Ack 7");
    reconnects();
    registered(2, "another epoch...");
    (void)happened();
  }
}

TEST_F(BackendRequestTest, CancelledTellsAHandlerThatNobodyWaitsAnyMore) {
  std::string seen;
  handle_with([&](Request& request) {
    seen += request.cancelled() ? "over " : "waited for ";
    passes(4'999ms);
    seen += request.cancelled() ? "over " : "waited for ";
    request.working(2s);
    passes(1'999ms);
    seen += request.cancelled() ? "over " : "waited for ";
    passes(1ms);
    seen += request.cancelled() ? "over " : "waited for ";
  });
  operation(7);
  EXPECT_EQ(seen, "waited for waited for waited for over ");
  seen.clear();
  handle_with([&](Request& request) {
    cancel(8);
    seen += request.cancelled() ? "over" : "waited for";
  });
  operation(8);
  EXPECT_EQ(seen, "over");
}

TEST_F(BackendRequestTest, AHandlerThatGaveUpDoesNotAcknowledge) {
  handle_with([&](Request& request) {
    passes(5s);
    if (request.cancelled()) return;
    ADD_FAILURE() << "its time is over";
  });
  operation(7);
  EXPECT_EQ(happened(),
            "handler 7; > Failure 7 BackendError: the handler gave up: it saw that nobody waited "
            "for its answer any more");
  handle_with([&](Request&) { passes(5s); });
  operation(8);
  EXPECT_EQ(happened(), "handler 8; > Ack 8") << "done, though late";
}

// --- the end of a connection

TEST_F(BackendRequestTest, WhatWaitsWhenTheConnectionEndsIsRunOnlyIfItIsSentAgain) {
  handlers_are_busy();
  operation(7);
  operation(8);
  reconnects();
  registered(2);
  operation(8);
  handlers_go_on();
  EXPECT_EQ(happened(), "connect; > Register zccache 1.0.0; handler 8; > Ack 8");
}

// --- epochs

TEST_F(BackendRequestTest, ABrokerThatLostItsStateGetsNoAckThatNoHandlerGave) {
  operation(1);
  EXPECT_EQ(happened(), "handler 1; > Ack 1");
  for (int restart = 0; restart < 3; ++restart) {
    reconnects();
    registered(1, std::string(16, static_cast<char>('a' + restart)));
    (void)happened();
    operation(1);
    EXPECT_EQ(happened(), "handler 1; > Ack 1") << "each broadcast is run by its handler";
  }
}

TEST_F(BackendRequestTest, AnAnswerForABrokerThatIsGoneIsNotSentToTheNext) {
  listen();
  defer_all();
  operation(1);
  operation(2);
  (void)happened();
  connection_ends();
  pending_.at(0).ack();  // could not be sent
  fires(Timer::kRetry);
  registered(1, kOtherEpoch);
  EXPECT_EQ(happened(),
            "on_state connecting (the connection to the broker ended: gone); connect; > Register "
            "zccache 1.0.0; on_cancel 2; on_active_holds; on_state registered 1");
  operation(2);
  EXPECT_EQ(happened(), "handler 2");
  EXPECT_TRUE(pending_.at(1).cancelled());
  pending_.at(1).ack();  // of the old broker's broadcast 2
  EXPECT_EQ(happened(), "");
  EXPECT_FALSE(pending_.at(2).cancelled());
  pending_.at(2).reject("mine");
  EXPECT_EQ(happened(), "> Failure 2 Rejected: mine");
}

TEST_F(BackendRequestTest, AHandlerThatRunsAcrossARestartAnswersNobody) {
  handle_with([&](Request& request) {
    if (request.broadcast_id() != 1) return;
    core_.disconnected("gone");
    port_.armed[static_cast<std::size_t>(Timer::kRetry)].reset();
    core_.timer_fired(Timer::kRetry);
    Registered message;
    message.epoch = kOtherEpoch;
    wire::BrokerFrame frame{1, message};
    core_.received(frame);
    EXPECT_TRUE(request.cancelled());
    request.reject("for the old one");
  });
  operation(1);
  EXPECT_EQ(happened(), "handler 1; connect; > Register zccache 1.0.0");
  operation(2);
  EXPECT_EQ(happened(), "handler 2; > Ack 2");
}

TEST_F(BackendRequestTest, TheSameEpochOnAnotherConnectionIsTheSameBroker) {
  operation(7);
  (void)happened();
  reconnects();
  registered(2);
  (void)happened();
  operation(7);
  EXPECT_EQ(happened(), "> Ack 7") << "handed over once";
}

TEST_F(BackendRequestTest, OfABrokerWithoutAnEpochNothingIsKnownAfterItsConnection) {
  reconnects();
  registered(1, "");
  (void)happened();
  operation(7);
  EXPECT_EQ(happened(), "handler 7; > Ack 7");
  operation(7);
  EXPECT_EQ(happened(), "") << "once on one connection";
  reconnects();
  registered(2, "");
  (void)happened();
  operation(7);
  EXPECT_EQ(happened(), "handler 7; > Ack 7") << "it may be another broker's";
}

// --- an operation of tomorrow

TEST_F(BackendRequestTest, AnOperationThatIsNotKnownIsUnsupportedAndNeverAQuiesce) {
  OutgoingOperation message;
  message.broadcast_id = 7;
  message.operation = BroadcastOperation::unknown();
  message.ack_timeout = 5s;
  for (int delivery = 0; delivery < 2; ++delivery) {
    says(7, message);
    const std::string answer = happened();
    EXPECT_TRUE(
        answer.starts_with("> Failure 7 UnsupportedOperation: this version of the SDK does "
                           "not know the operation"))
        << answer;
    EXPECT_EQ(port_.state, ConnectionState::kRegistered);
    reconnects();
    registered(2);
    (void)happened();
  }
  operation(8);
  EXPECT_EQ(happened(), "handler 8; > Ack 8");
}

// --- what is bounded

TEST_F(BackendRequestTest, OfWorkingsThatCannotBeSentTheNewestIsKept) {
  handle_with([&](Request& request) {
    request.working(1s, "first");
    port_.broker_reads_not = true;
    request.working(20s, "longest");
    for (int i = 0; i < 100'000; ++i) request.working(1s, "note " + std::to_string(i));
    request.working(1s, "last", 99);
    pending_.push_back(request.defer());
  });
  operation(7);
  EXPECT_EQ(happened(), "handler 7; > Working 7 +1000 ms first");
  port_.broker_reads_not = false;
  core_.drained();
  EXPECT_EQ(happened(), "> Working 7 +20000 ms 99% last");
  core_.drained();
  EXPECT_EQ(happened(), "");
}

TEST_F(BackendRequestTest, TheLastNoteComesBeforeTheAnswer) {
  handle_with([&](Request& request) {
    port_.broker_reads_not = true;
    request.working(1s, "last");
  });
  operation(7);
  EXPECT_EQ(happened(), "handler 7; > Working 7 +1000 ms last; > Ack 7");
  core_.drained();
  EXPECT_EQ(happened(), "");
}

TEST_F(BackendRequestTest, OperationsInHandAreBounded) {
  defer_all();
  BroadcastId id = 1;
  std::string last;
  while (id < 100'000) {
    operation(id++);
    last = happened();
    if (last.starts_with(">")) break;
  }
  EXPECT_EQ(id - 1, 2049u);
  EXPECT_EQ(last, "> Failure 2049 BackendError: this backend has 2048 operations in hand already");
  passes(5s);  // nobody waits for those any more
  operation(id);
  EXPECT_EQ(happened(), "handler " + std::to_string(id));
}

TEST_F(BackendRequestTest, WhatAHandlerSaysIsCutToWhatTheWireTakes) {
  handle_with([](Request& request) { request.fail(std::string(5'000'000, 'x')); });
  operation(7);
  EXPECT_LE(happened().size(), 1100u);
}

// --- the path that was meant

TEST_F(BackendRequestTest, WhatIsBelowEitherSpellingIsCovered) {
  handle_with([](Request& request) {
    EXPECT_EQ(request.path_prefix(), "/mnt/disk/cache");
    EXPECT_EQ(request.path_alias(), "/var/cache");
    EXPECT_TRUE(request.covers("/mnt/disk/cache/x"));
    EXPECT_TRUE(request.covers("/var/cache/x"));
    EXPECT_FALSE(request.covers("/var/cached"));
    EXPECT_FALSE(request.covers("/mnt"));
  });
  OutgoingOperation message;
  message.broadcast_id = 7;
  message.operation = BroadcastOperation::release_handles("/mnt/disk/cache", "/var/cache");
  says(7, message);
  EXPECT_EQ(happened(), "handler 7; > Ack 7");
}

TEST_F(BackendRequestTest, AnAckMaySayHowManyHandlesWereReleased) {
  handle_with([](Request& request) { request.released(3); });
  operation(7);
  EXPECT_EQ(happened(), "handler 7; > Ack 7 released 3");
  defer_all();
  operation(8);
  pending_.at(0).ack(0);
  EXPECT_EQ(happened(), "handler 8; > Ack 8 released 0");
}

// --- leaving

TEST_F(BackendRequestTest, StoppingLetsTheHandlerThatRunsAnswerFirst) {
  handle_with([&](Request&) {
    core_.deliver(StopAsked{1s});
    EXPECT_EQ(happened(), "handler 7");
  });
  operation(7);
  EXPECT_EQ(happened(), "> Ack 7; > Deregister");
  says(2, wire::Deregistered{});
  EXPECT_EQ(port_.state, ConnectionState::kStopped);
}

TEST_F(BackendRequestTest, StoppingWaitsForAHandlerNoLongerThanItsPatience) {
  handle_with([&](Request&) {
    core_.deliver(StopAsked{1s});
    core_.timer_fired(Timer::kDeregister);
    EXPECT_EQ(port_.state, ConnectionState::kStopped);
  });
  operation(7);
  EXPECT_EQ(happened(), "handler 7; > Deregister; disconnect");
}

TEST_F(BackendRequestTest, StoppingRunsNothingThatStillWaits) {
  handlers_are_busy();
  operation(7);
  stop(1000);
  handlers_go_on();
  EXPECT_EQ(happened(), "> Deregister");
}

}  // namespace
}  // namespace muster::test
