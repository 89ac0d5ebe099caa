// Holds of operators, through real sockets: who a hold belongs to, and when its end is told.
#include <deque>
#include <functional>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "component/control_holds_fixture.h"

namespace muster::test {
namespace {

using testing::HasSubstr;

TEST_F(ControlHoldsTest, ALeasedHoldEndsWithItsConnection) {
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  op.asks(1, leased("/cache"));
  released(op, backend, 1);
  ASSERT_TRUE(report_of(op).hold);
  EXPECT_TRUE(report_of(op).hold->leased);
  EXPECT_NE(report_of(op).hold->since_unix_ms, 0U);
  EXPECT_FALSE(report_of(op).hold->ended);
  op.asks(2, wire::ListHolds{});
  EXPECT_EQ(op.hears(), "2 holds 100");
  op.closes();
  EXPECT_EQ(backend.hears(), "hold 100 ended");
  EXPECT_EQ(std::get<HoldEnded>(backend.last().message).why, HoldEnd::kAbandoned);
  EXPECT_TRUE(was_logged("operator of a hold disconnected hold=100")) << logged();
  TestOperator& other = connect();
  other.asks(1, wire::ListHolds{});
  EXPECT_EQ(other.hears(), "1 holds");
}

TEST_F(ControlHoldsTest, AnOperatorThatGoesWhileBackendsAreAskedLeavesNoHold) {
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  op.asks(1, leased("/cache"));
  EXPECT_EQ(backend.hears(), "operation 100: release-handles /cache");
  op.closes();
  while (!was_logged("operator of a hold disconnected")) ASSERT_TRUE(run_one());
  backend.acks(100);
  EXPECT_EQ(backend.hears(), "hold 100 ended");
}

TEST_F(ControlHoldsTest, AHoldWithATimeOutlivesItsConnection) {
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  auto detached = timed("/cache");
  detached.detach = true;
  op.asks(1, detached);
  EXPECT_EQ(op.hears(), "1 accepted 100: 1 asked, 0 dead");
  op.closes();
  EXPECT_EQ(backend.hears(), "operation 100: release-handles /cache");
  backend.acks(100);
  TestOperator& other = connect();
  other.asks(1, wire::GetReport{100, true});
  EXPECT_THAT(other.hears(), HasSubstr("1 report 100 finished"));
  other.asks(2, wire::ListHolds{});
  EXPECT_EQ(other.hears(), "2 holds 100");
  EXPECT_EQ(backend.has_heard(), "nothing");
  other.asks(3, wire::EndHold{100});
  EXPECT_EQ(other.hears(), "3 hold 100 completed");
  EXPECT_EQ(backend.hears(), "hold 100 ended");
  other.asks(4, wire::EndHold{100});
  EXPECT_THAT(other.hears(), HasSubstr("4 error (not found): hold 100 ended at "));
  EXPECT_TRUE(was_logged("operator ended a hold hold=100")) << logged();
}

TEST_F(ControlHoldsTest, AHoldThatWouldEndAtOnceOrNeverIsRefused) {
  start();
  TestOperator& op = connect();
  auto detached = leased("/cache");
  detached.detach = true;
  op.asks(1, detached);
  EXPECT_EQ(op.hears(),
            "1 error (invalid): a hold that ends with its connection cannot be detached from it: "
            "wait for the result, or give the hold a time instead");
  auto endless = release("/cache");
  endless.request.hold = HoldRequest{};
  op.asks(2, endless);
  EXPECT_THAT(op.hears(), HasSubstr("2 error (invalid): a hold without an end"));
  op.asks(3, wire::ListHolds{});
  EXPECT_EQ(op.hears(), "3 holds");
}

TEST_F(ControlHoldsTest, WhoJoinsABroadcastDoesNotTakeItsHold) {
  start();
  TestBackend& backend = join("a");
  TestOperator& first = connect();
  auto with_key = leased("/cache");
  with_key.request.operation_key = "k";
  first.asks(1, with_key);
  EXPECT_EQ(backend.hears(), "operation 100: release-handles /cache");
  TestOperator& second = connect();
  second.asks(1, with_key);
  settle();
  backend.acks(100);
  EXPECT_THAT(first.hears(), HasSubstr("1 report 100"));
  EXPECT_THAT(second.hears(), HasSubstr("1 report 100"));
  second.closes();
  expect_it_answers();
  EXPECT_EQ(backend.has_heard(), "nothing");
  first.closes();
  EXPECT_EQ(backend.hears(), "hold 100 ended");
}

TEST_F(ControlHoldsTest, WhoTakesUpAHoldHasItFromThenOn) {
  start();
  TestBackend& backend = join("a");
  TestOperator& first = connect();
  first.asks(1, leased("/cache"));
  released(first, backend, 1);
  TestOperator& second = connect();
  second.asks(1, wire::KeepHold{100, false, {}});
  EXPECT_EQ(second.hears(), "1 hold 100 goes on");
  first.closes();
  expect_it_answers();
  EXPECT_EQ(backend.has_heard(), "nothing");
  second.asks(2, wire::KeepHold{77, false, {}});
  EXPECT_THAT(second.hears(), HasSubstr("2 error (not found)"));
  second.closes();
  EXPECT_EQ(backend.hears(), "hold 100 ended");
}

TEST_F(ControlHoldsTest, AHoldThatWasDetachedEndsWithNoConnection) {
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  wire::StartBroadcast ask = leased("/cache");
  ask.request.hold->ttl = std::chrono::hours(1);
  op.asks(1, ask);
  released(op, backend, 1);
  op.asks(2, wire::KeepHold{100, true, {}});
  EXPECT_EQ(op.hears(), "2 hold 100 goes on");
  op.closes();
  expect_it_answers();
  EXPECT_EQ(backend.has_heard(), "nothing");
  TestOperator& other = connect();
  other.asks(1, wire::EndHold{100});
  EXPECT_EQ(backend.hears(), "hold 100 ended");
}

TEST_F(ControlHoldsTest, AnAnswerWithAHoldWaitsUntilTheHoldIsOnDisk) {
  std::deque<std::function<void()>> waiting;
  when_holds_kept_ = [&](std::function<void()> done) { waiting.push_back(std::move(done)); };
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  op.asks(1, leased("/cache"));
  EXPECT_EQ(backend.hears(), "operation 100: release-handles /cache");
  backend.acks(100);
  op.asks(2, release("/other"));
  EXPECT_EQ(backend.hears(), "operation 101: release-handles /other");
  backend.acks(101);
  EXPECT_THAT(op.hears(), HasSubstr("2 report 101")) << "it has no hold";
  ASSERT_EQ(waiting.size(), 1U);
  EXPECT_EQ(op.has_heard(), "nothing");
  waiting.front()();
  EXPECT_THAT(op.hears(), HasSubstr("1 report 100 finished"));
  op.asks(3, wire::EndHold{100});
  EXPECT_EQ(backend.hears(), "hold 100 ended");
  EXPECT_EQ(op.has_heard(), "nothing");
  ASSERT_EQ(waiting.size(), 2U);
  waiting.back()();
  EXPECT_EQ(op.hears(), "3 hold 100 completed");
}

}  // namespace
}  // namespace muster::test
