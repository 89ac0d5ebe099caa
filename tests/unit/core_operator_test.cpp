// What operators ask for, idle backends, going down, and who breaks the protocol.
//
// Through the core alone: times are virtual, and the oracle of the simulator checks each step, too.
#include <gtest/gtest.h>

#include "simulator/scenario_test.h"

namespace muster::simulator {
namespace {

class CoreOperatorTest : public ScenarioTest {};

TEST_F(CoreOperatorTest, ACancelledBroadcastEndsAtOnce) {
  auto& s = with_two();
  s.release(1);
  s.acks(2, 1);
  s.step(StepKind::kCancel, 1);
  EXPECT_EQ(s.reads(1), "operation 1, cancel 1");
  EXPECT_EQ(s.report(1),
            "cancelled: release-handles /mnt/a: acked beta 1.0.0; failed alpha 1.0.0 (rejected)"
            "\nalpha 1.0.0, cancelled");
  s.acks(1, 1);
  EXPECT_EQ(s.simulation().oracle().counters.late_answers, 1u);
}

TEST_F(CoreOperatorTest, OverlappingBroadcastsReachEachBackendInTheOrderOfAcceptance) {
  auto& s = with_two();
  s.release(1);
  s.release(2);
  s.release(3);
  EXPECT_EQ(s.reads(1), "operation 1, operation 2, operation 3");
  EXPECT_EQ(s.reads(2), "operation 1, operation 2, operation 3");
  s.acks(1, 3);
  s.acks(2, 3);
  EXPECT_EQ(s.report(3), "finished: release-handles /mnt/a: acked alpha 1.0.0, beta 1.0.0");
  EXPECT_EQ(s.report(1), "running: release-handles /mnt/a: nobody");
}

TEST_F(CoreOperatorTest, TheSameOperationKeyJoinsAndSendsNothingTwice) {
  auto& s = with_two();
  s.release(1, -1, 1);
  s.release(2, -1, 1);  // while it runs
  s.acks(1, 1);
  s.acks(2, 1);
  s.release(3, -1, 1);  // when it ended
  EXPECT_EQ(s.reads(1), "operation 1");
  EXPECT_EQ(s.report(2), "no such broadcast");
  EXPECT_EQ(s.report(3), "no such broadcast");
  s.release(4, -1, 2);
  EXPECT_EQ(s.reads(1), "operation 4");
}

TEST_F(CoreOperatorTest, WithNobodyThereTheResultIsEmptyAtOnce) {
  auto& s = with();
  s.release(1);
  EXPECT_EQ(s.report(1), "finished: release-handles /mnt/a: nobody");
}

TEST_F(CoreOperatorTest, ABackendThatGoesIdleIsQuiescedAlone) {
  auto& s = with();
  s.join(1, 1, kAlpha, -1, 4000);
  s.join(2, 2, kBeta);
  EXPECT_EQ(s.reads(1), "registered");
  s.pass_ms(3000);
  s.says(StepKind::kActivity, 1);
  s.pass_ms(1000);
  EXPECT_EQ(s.fire_due(), 1);  // looks, and waits for the rest
  EXPECT_EQ(s.reads(1), "");
  s.pass_ms(3000);
  EXPECT_EQ(s.fire_due(), 1);
  EXPECT_EQ(s.reads(1), "operation 1");
  EXPECT_EQ(s.reads(2), "registered");
  s.acks(1, 1);
  EXPECT_EQ(s.report(1), "finished: quiesce (idle-timeout): acked alpha 1.0.0");
  s.step(StepKind::kReport, 0);  // the oracle says: an idle quiesce is never the last report
  s.pass_ms(10'000);
  EXPECT_EQ(s.fire_due(), 0) << "it is quiesced once, until it is active again";
}

TEST_F(CoreOperatorTest, AnIdleTimeoutIsASecondAtLeast) {
  auto& s = with();
  s.join(1, 1, kAlpha, -1, 1);
  s.pass_ms(999);
  EXPECT_EQ(s.fire_due(), 0);
  s.pass_ms(1);
  EXPECT_EQ(s.fire_due(), 1);
  EXPECT_EQ(s.reads(1), "registered, operation 1");
}

TEST_F(CoreOperatorTest, TheDeadlineOfTheWholeEndsItWhateverTimeABackendAsksFor) {
  auto& s = with_two();
  s.step(StepKind::kStart, 1, 3, -1, 0, 0, 0, 2000);
  s.works(1, 1, 60'000);
  s.acks(2, 1);
  s.pass_ms(1999);
  EXPECT_EQ(s.fire_due(), 0);
  s.pass_ms(1);
  EXPECT_EQ(s.fire_due(), 1);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: acked beta 1.0.0; timed out alpha 1.0.0 (2000 ms)"
            "\nalpha 1.0.0, no answer by the broadcast's deadline");
}

TEST_F(CoreOperatorTest, GoingDownQuiescesEverybodyAndRefusesWhoComes) {
  auto& s = with_two();
  s.step(StepKind::kConnect, 4, 4);
  s.step(StepKind::kShutDown);
  EXPECT_EQ(s.reads(1), "operation 1");
  EXPECT_EQ(s.reads(4), "refused (shutting down)");
  s.step(StepKind::kConnect, 5, 5);
  EXPECT_EQ(s.reads(5), "refused (shutting down)");
  s.acks(1, 1);
  s.step(StepKind::kShutDown);  // in a hurry
  EXPECT_EQ(s.reads(2), "operation 1, cancel 1");
  EXPECT_EQ(s.report(1),
            "cancelled: quiesce (broker-shutdown): acked alpha 1.0.0; failed beta 1.0.0 (rejected)"
            "\nbeta 1.0.0, cancelled");
}

TEST_F(CoreOperatorTest, WhoDoesNotRegisterInTimeIsRefused) {
  auto& s = with();
  s.step(StepKind::kConnect, 1, 1);
  s.pass_ms(5000);
  EXPECT_EQ(s.fire_due(), 1);
  EXPECT_EQ(s.reads(1), "refused (too slow)");
}

TEST_F(CoreOperatorTest, WhatComesBeforeRegisterOrTwiceIsNoProtocol) {
  auto& s = with_two();
  s.step(StepKind::kConnect, 4, 4);
  s.acks(4, 1);
  EXPECT_EQ(s.reads(4), "refused (protocol)");
  s.says(StepKind::kRegister, 1, kAlpha, -1, -1);
  EXPECT_EQ(s.reads(1), "refused (protocol)");
  EXPECT_EQ(s.backends(),
            "alpha 1.0.0 reconnecting (connection closed by the broker: protocol error), beta "
            "1.0.0 live");
}

}  // namespace
}  // namespace muster::simulator
