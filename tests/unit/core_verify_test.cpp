// A release that is verified: the phase after the last outcome, and what ends it.
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/proof_fixture.h"

namespace muster::core {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CoreVerifyTest : public ProofFixture {};

TEST_F(CoreVerifyTest, EndsWithTheScanThatComesAfterTheLastOutcome) {
  join(kFirst);
  join(kSecond);
  const BroadcastId id = start(release());
  later(milliseconds(10));
  broker.acked(kFirst, id, {}, now);
  EXPECT_THAT(shell.scans, IsEmpty()) << "one has not answered";
  EXPECT_EQ(report(id).state, BroadcastState::kRunning);
  later(milliseconds(10));
  broker.acked(kSecond, id, {}, now);
  EXPECT_EQ(report(id).state, BroadcastState::kVerifying);
  EXPECT_EQ(report(id).result.acks.size(), 2u);
  EXPECT_FALSE(report(id).verification);
  EXPECT_THAT(shell.ended_broadcasts, IsEmpty()) << "nobody is answered yet";
  ASSERT_EQ(shell.scans.size(), 1u);
  EXPECT_EQ(shell.scans[0], (ScanOrder{id, "/cache", 77, Operator{5, 50, "rm"}}));
  later(milliseconds(30));
  broker.scanned(id, scan_of(HolderVerdict::kClear), now);
  EXPECT_THAT(shell.ended_broadcasts, ElementsAre(id));
  const BroadcastReport ended = report(id);
  EXPECT_EQ(ended.state, BroadcastState::kFinished);
  EXPECT_TRUE(ended.verify);
  ASSERT_TRUE(ended.verification);
  EXPECT_EQ(ended.verification->scan.verdict, HolderVerdict::kClear);
  EXPECT_EQ(ended.verification->scans, 1u);
  EXPECT_EQ(ended.verification->took, milliseconds(30));
  EXPECT_EQ(ended.duration, milliseconds(20)) << "until the last outcome";
  EXPECT_EQ(shell.events[shell.events.size() - 2].kind, Event::Kind::kVerifying);
  EXPECT_EQ(shell.events.back().kind, Event::Kind::kBroadcastFinished);
}

TEST_F(CoreVerifyTest, NobodyToAskIsVerifiedAllTheSame) {
  const BroadcastId id = start(release());
  EXPECT_EQ(report(id).state, BroadcastState::kVerifying);
  broker.scanned(id, scan_of(HolderVerdict::kHeld, {Holder{}}), now);
  EXPECT_EQ(report(id).state, BroadcastState::kFinished);
  EXPECT_EQ(report(id).verification->scan.verdict, HolderVerdict::kHeld);
}

TEST_F(CoreVerifyTest, IsMadeAlsoWhereABackendFailed) {
  join(kFirst);
  const BroadcastId id = start(release());
  broker.failed(kFirst, id, {BroadcastFailureReason::kRejected, "busy"}, now);
  EXPECT_EQ(shell.scans.size(), 1u);
  EXPECT_EQ(report(id).state, BroadcastState::kVerifying);
}

TEST_F(CoreVerifyTest, LooksAgainUntilNobodyHoldsThePath) {
  BroadcastRequest request = release();
  request.verify_wait = milliseconds(2'000);
  const BroadcastId id = start(std::move(request));
  for (const HolderVerdict verdict : {HolderVerdict::kHeld, HolderVerdict::kUnknown}) {
    broker.scanned(id, scan_of(verdict), now);
    EXPECT_EQ(report(id).state, BroadcastState::kVerifying) << to_string(verdict);
    const std::size_t scans = shell.scans.size();
    later(milliseconds(499));
    let_pass();
    EXPECT_EQ(shell.scans.size(), scans) << "not before half a second is over";
    later(milliseconds(1));
    let_pass();
    EXPECT_EQ(shell.scans.size(), scans + 1);
  }
  broker.scanned(id, scan_of(HolderVerdict::kClear), now);
  EXPECT_EQ(report(id).state, BroadcastState::kFinished);
  EXPECT_EQ(report(id).verification->scans, 3u);
}

TEST_F(CoreVerifyTest, WaitsNoLongerThanItWasAskedTo) {
  BroadcastRequest request = release();
  request.verify_wait = milliseconds(1'200);
  const BroadcastId id = start(std::move(request));
  int scans = 0;
  while (report(id).state == BroadcastState::kVerifying) {
    broker.scanned(id, scan_of(HolderVerdict::kHeld), now);
    ++scans;
    later(milliseconds(500));
    let_pass();
  }
  EXPECT_EQ(scans, 3) << "at 0, 500 and 1,000 ms";
  EXPECT_EQ(report(id).verification->scan.verdict, HolderVerdict::kHeld);
}

TEST_F(CoreVerifyTest, TheDeadlineOfTheWholeEndsTheWaiting) {
  BroadcastRequest request = release();
  request.verify_wait = std::chrono::hours(1);
  request.deadline = milliseconds(700);
  const BroadcastId id = start(std::move(request));
  broker.scanned(id, scan_of(HolderVerdict::kHeld), now);
  later(milliseconds(500));
  let_pass();
  EXPECT_EQ(report(id).state, BroadcastState::kVerifying);
  broker.scanned(id, scan_of(HolderVerdict::kHeld), now);
  EXPECT_EQ(report(id).state, BroadcastState::kFinished);
}

TEST_F(CoreVerifyTest, CancelledItHasNoVerification) {
  const BroadcastId id = start(release());
  EXPECT_EQ(std::get<std::uint32_t>(broker.cancel_broadcast(id, now)), 0u);
  EXPECT_EQ(report(id).state, BroadcastState::kCancelled);
  EXPECT_TRUE(report(id).verify);
  EXPECT_FALSE(report(id).verification);
  broker.scanned(id, scan_of(HolderVerdict::kClear), now);
  EXPECT_FALSE(report(id).verification) << "it comes too late";
  EXPECT_THAT(shell.ended_broadcasts, ElementsAre(id));
}

TEST_F(CoreVerifyTest, WhatWasFoundBeforeItWasCancelledDoesNotCount) {
  BroadcastRequest request = release();
  request.verify_wait = milliseconds(2'000);
  const BroadcastId id = start(std::move(request));
  broker.scanned(id, scan_of(HolderVerdict::kHeld), now);
  (void)broker.cancel_broadcast(id, now);
  EXPECT_FALSE(report(id).verification);
  later(milliseconds(5'000));
  let_pass();
  EXPECT_EQ(shell.scans.size(), 1u) << "nothing is looked at any more";
}

TEST_F(CoreVerifyTest, ABrokerThatGoesDownDoesNotWaitForTheKernel) {
  const BroadcastId id = start(release());
  broker.shut_down(now);
  EXPECT_EQ(report(id).state, BroadcastState::kFinished);
  EXPECT_FALSE(report(id).verification);
}

TEST_F(CoreVerifyTest, ARunningOneCountsForItsUserUntilItIsVerified) {
  const BroadcastId id = start(release());
  const auto in_flight = [&] {
    BrokerStatus status;
    broker.fill_status(status);
    return status.users.empty() ? 0 : status.users[0].broadcasts.used;
  };
  EXPECT_EQ(in_flight(), 1u);
  broker.scanned(id, scan_of(HolderVerdict::kClear), now);
  EXPECT_EQ(in_flight(), 0u);
}

TEST_F(CoreVerifyTest, OnlyAReleaseCanBe) {
  BroadcastRequest request = release();
  request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  const auto answer = broker.start_broadcast(std::move(request), now);
  ASSERT_TRUE(std::holds_alternative<ControlError>(answer));
  EXPECT_EQ(std::get<ControlError>(answer).code, ControlError::Code::kInvalid);
}

TEST_F(CoreVerifyTest, AScanThatNobodyOrderedIsIgnored) {
  BroadcastRequest request = release();
  request.verify = false;
  join(kFirst);
  const BroadcastId plain = start(std::move(request));
  broker.scanned(plain, scan_of(HolderVerdict::kClear), now);
  broker.scanned(9'999, scan_of(HolderVerdict::kClear), now);
  broker.acked(kFirst, plain, {}, now);
  EXPECT_EQ(report(plain).state, BroadcastState::kFinished);
  EXPECT_FALSE(report(plain).verification);
  EXPECT_THAT(shell.scans, IsEmpty());
}

TEST_F(CoreVerifyTest, GoesOnInABrokerThatTakesOver) {
  BroadcastRequest request = release();
  request.verify_wait = milliseconds(2'000);
  const BroadcastId id = start(std::move(request));
  broker.scanned(id, scan_of(HolderVerdict::kHeld), now);
  test::KeepingShell other_shell;
  Broker other({}, other_shell);
  other.restore(broker.save());
  EXPECT_EQ(other.save(), broker.save());
  later(milliseconds(500));
  ASSERT_EQ(other_shell.deadlines.size(), shell.deadlines.size());
  for (const auto& [deadline, at] : std::vector(other_shell.deadlines)) {
    if (at <= now.steady) other.deadline_passed(deadline, now);
  }
  ASSERT_EQ(other_shell.scans.size(), 1u);
  other.scanned(id, scan_of(HolderVerdict::kClear), now);
  EXPECT_THAT(other_shell.ended_broadcasts, ElementsAre(id));
}

}  // namespace
}  // namespace muster::core
