// Holds of releases that were verified: looked at while they go on, and at their end.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/holds_fixture.h"

namespace muster::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Holder process(pid_t pid, std::uint64_t started = 1) {
  Holder holder;
  holder.pid = pid;
  holder.started = started;
  holder.command = "tail";
  holder.example = "/cache/log";
  return holder;
}

class CoreHoldScansTest : public HoldsFixture {
 protected:
  // A hold whose release was verified with that result.
  HoldId verified(const HolderScan& scan = scan_of(HolderVerdict::kClear)) {
    BroadcastRequest request = held();
    request.verify = true;
    const HoldId id = start(std::move(request));
    broker.scanned(id, scan, now);
    return id;
  }
  // The next scan, which is due.
  void scans(HoldId id, const HolderScan& scan) {
    const std::size_t before = shell.scans.size();
    later(seconds(10));
    let_pass();
    ASSERT_EQ(shell.scans.size(), before + 1);
    broker.scanned(id, scan, now);
  }
  [[nodiscard]] std::vector<pid_t> violations(HoldId id) const {
    std::vector<pid_t> pids;
    const HoldInfo hold = *broker.hold(id);
    for (const HoldViolation& one : hold.state.violations) {
      pids.push_back(one.holder.pid);
    }
    return pids;
  }
};

TEST_F(CoreHoldScansTest, BeginsWhenItIsVerified) {
  join(kFirst);
  BroadcastRequest request = held();
  request.verify = true;
  const HoldId id = start(std::move(request));
  broker.acked(kFirst, id, {}, now);
  EXPECT_EQ(broker.hold(id)->state.since_unix_ms, now.unix_ms) << "with the last outcome";
  later(seconds(20));
  let_pass();
  EXPECT_EQ(shell.scans.size(), 1u) << "that of the verification";
  broker.scanned(id, scan_of(HolderVerdict::kClear), now);
  later(milliseconds(9'999));
  let_pass();
  EXPECT_EQ(shell.scans.size(), 1u);
  later(milliseconds(1));
  let_pass();
  EXPECT_EQ(shell.scans.size(), 2u);
  EXPECT_EQ(shell.scans[1], shell.scans[0]);
}

TEST_F(CoreHoldScansTest, WhoAppearsIsAViolationOnce) {
  const HoldId id = verified();
  scans(id, scan_of(HolderVerdict::kHeld, {process(10)}));
  now.unix_ms += 10'000;
  scans(id, scan_of(HolderVerdict::kHeld, {process(10), process(11)}));
  EXPECT_THAT(violations(id), ElementsAre(10, 11));
  EXPECT_EQ(broker.hold(id)->state.violations[1].at_unix_ms, now.unix_ms);
  EXPECT_EQ(broker.hold(id)->state.scans, 2u);
  std::vector<std::string> told;
  for (const Event& event : shell.events) {
    if (event.kind == Event::Kind::kHoldViolated) told.push_back(event.detail);
  }
  EXPECT_THAT(told, ElementsAre("process 10 (tail) has /cache/log in use",
                                "process 11 (tail) has /cache/log in use"));
}

TEST_F(CoreHoldScansTest, WhoHeldItBeforeIsNone) {
  const HoldId id = verified(scan_of(HolderVerdict::kHeld, {process(10)}));
  scans(id, scan_of(HolderVerdict::kHeld, {process(10)}));
  EXPECT_THAT(violations(id), IsEmpty());
  scans(id, scan_of(HolderVerdict::kHeld, {process(10, 2)}));
  EXPECT_THAT(violations(id), ElementsAre(10)) << "another process with that pid";
}

TEST_F(CoreHoldScansTest, WhoOnlyMayHaveItIsNone) {
  const HoldId id = verified();
  Holder maybe = process(10);
  maybe.possibly = true;
  scans(id, scan_of(HolderVerdict::kUnknown, {maybe}));
  EXPECT_THAT(violations(id), IsEmpty());
  EXPECT_EQ(broker.hold(id)->state.last_verdict, HolderVerdict::kUnknown);
}

TEST_F(CoreHoldScansTest, AFileThatIsOpenWithoutAHolderIsOne) {
  const HoldId id = verified();
  HolderScan scan = scan_of(HolderVerdict::kHeld);
  scan.leases.files = 1;
  scan.leases.busy = 1;
  scan.leases.busy_example = "/cache/log";
  ASSERT_TRUE(scan.held_by_unknown());
  scans(id, scan);
  scans(id, scan);
  EXPECT_THAT(violations(id), ElementsAre(0));
  EXPECT_EQ(broker.hold(id)->state.violations[0].holder.example, "/cache/log");
}

TEST_F(CoreHoldScansTest, ManyAreCounted) {
  const HoldId id = verified();
  std::vector<Holder> many;
  for (pid_t pid = 1; pid <= 100; ++pid) many.push_back(process(pid));
  scans(id, scan_of(HolderVerdict::kHeld, many));
  EXPECT_EQ(violations(id).size(), HoldState::kMostViolations);
  EXPECT_EQ(broker.hold(id)->state.more_violations, 36u);
  scans(id, scan_of(HolderVerdict::kHeld, many));
  EXPECT_EQ(broker.hold(id)->state.more_violations, 36u) << "the same again are no more";
}

TEST_F(CoreHoldScansTest, TheEndComesAfterALastScan) {
  const HoldId id = verified();
  EXPECT_FALSE(broker.end_hold(id, now));
  EXPECT_FALSE(broker.end_hold(id, now)) << "twice is no more";
  EXPECT_THAT(shell.answered_holds, IsEmpty());
  EXPECT_EQ(shell.scans.size(), 2u);
  broker.scanned(id, scan_of(HolderVerdict::kHeld, {process(10)}), now);
  EXPECT_THAT(shell.answered_holds, ElementsAre(id));
  EXPECT_THAT(violations(id), ElementsAre(10));
  EXPECT_EQ(report(id).hold->violations.size(), 1u);
}

TEST_F(CoreHoldScansTest, AnOperatorThatLeavesDuringTheLastScanKeepsNobodyHeld) {
  join(kFirst);
  BroadcastRequest request = held();
  request.verify = true;
  const HoldId id = start(std::move(request));
  broker.acked(kFirst, id, {}, now);
  broker.scanned(id, scan_of(HolderVerdict::kClear), now);
  (void)broker.end_hold(id, now);
  broker.hold_left(id, now);
  EXPECT_THAT(told(id), ElementsAre("1 completed"));
  EXPECT_EQ(broker.hold(id)->state.last_verdict, HolderVerdict::kUnknown);
}

TEST_F(CoreHoldScansTest, ATimeThatEndsDuringTheLastScanLeavesItUnknown) {
  BroadcastRequest request = held(seconds(5));
  request.verify = true;
  const HoldId id = start(std::move(request));
  broker.scanned(id, scan_of(HolderVerdict::kClear), now);
  (void)broker.end_hold(id, now);
  later(seconds(5));
  let_pass();
  EXPECT_THAT(shell.answered_holds, ElementsAre(id));
  EXPECT_EQ(broker.hold(id)->state.ended, HoldEnd::kExpired);
  EXPECT_EQ(broker.hold(id)->state.scans, 1u) << "one was owed";
  EXPECT_EQ(broker.hold(id)->state.last_verdict, HolderVerdict::kUnknown);
}

TEST_F(CoreHoldScansTest, AScanThatRanWhenTheEndWasAskedForIsNotTheLast) {
  const HoldId id = verified();
  later(seconds(10));
  let_pass();
  ASSERT_EQ(shell.scans.size(), 2u);
  (void)broker.end_hold(id, now);
  broker.scanned(id, scan_of(HolderVerdict::kClear), now);
  EXPECT_THAT(shell.answered_holds, IsEmpty());
  ASSERT_EQ(shell.scans.size(), 3u);
  broker.scanned(id, scan_of(HolderVerdict::kClear), now);
  EXPECT_THAT(shell.answered_holds, ElementsAre(id));
}

TEST_F(CoreHoldScansTest, TheLastScanIsTriedAgainWhereItCouldNotSeeEverything) {
  const HoldId id = verified();
  (void)broker.end_hold(id, now);
  broker.scanned(id, scan_of(HolderVerdict::kUnknown), now);
  EXPECT_THAT(shell.answered_holds, IsEmpty());
  later(milliseconds(500));
  let_pass();
  broker.scanned(id, scan_of(HolderVerdict::kClear), now);
  EXPECT_THAT(shell.answered_holds, ElementsAre(id));
  EXPECT_EQ(broker.hold(id)->state.last_verdict, HolderVerdict::kClear);
}

TEST_F(CoreHoldScansTest, TheLastScanIsTriedFourTimesAtMost) {
  const HoldId id = verified();
  (void)broker.end_hold(id, now);
  int scans = 0;
  while (shell.answered_holds.empty()) {
    broker.scanned(id, scan_of(HolderVerdict::kUnknown), now);
    ++scans;
    later(milliseconds(500));
    let_pass();
  }
  EXPECT_EQ(scans, 4);
  EXPECT_EQ(broker.hold(id)->state.last_verdict, HolderVerdict::kUnknown);
}

TEST_F(CoreHoldScansTest, ABrokerThatGoesDownAnswersWhoeverWaitsForTheEnd) {
  const HoldId id = verified();
  (void)broker.end_hold(id, now);
  broker.shut_down(now, false);
  EXPECT_THAT(shell.answered_holds, ElementsAre(id));
  EXPECT_EQ(broker.hold(id)->state.ended, HoldEnd::kCompleted);
  EXPECT_EQ(broker.hold(id)->state.last_verdict, HolderVerdict::kUnknown);
  EXPECT_THAT(broker.holds_to_keep(), IsEmpty());
}

TEST_F(CoreHoldScansTest, AnAbandonedOneWaitsForNoScan) {
  const HoldId id = verified();
  broker.hold_left(id, now);
  EXPECT_EQ(broker.hold(id)->state.ended, HoldEnd::kAbandoned);
  later(seconds(60));
  let_pass();
  EXPECT_EQ(shell.scans.size(), 1u);
}

TEST_F(CoreHoldScansTest, OneThatIsNotVerifiedIsNotLookedAt) {
  const HoldId id = start(held());
  later(seconds(60));
  let_pass();
  EXPECT_THAT(shell.scans, IsEmpty());
  (void)broker.end_hold(id, now);
  EXPECT_THAT(shell.answered_holds, ElementsAre(id));
}

}  // namespace
}  // namespace muster::core
