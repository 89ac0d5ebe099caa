// What becomes of a backend that is asked: answers, deadlines, extensions.
//
// Through the core alone: times are virtual, and the oracle of the simulator checks each step, too.
#include <gtest/gtest.h>

#include "simulator/scenario_test.h"

namespace muster::simulator {
namespace {

class CoreOutcomesTest : public ScenarioTest {};

TEST_F(CoreOutcomesTest, WhoAcksInTimeIsInTheAcks) {
  auto& s = with_two();
  s.release(7);
  EXPECT_EQ(s.reads(1), "operation 7");
  EXPECT_EQ(s.reads(2), "operation 7");
  s.acks(2, 7);
  EXPECT_EQ(s.report(7), "running: release-handles /mnt/a: acked beta 1.0.0");
  s.acks(1, 7);
  EXPECT_EQ(s.report(7), "finished: release-handles /mnt/a: acked alpha 1.0.0, beta 1.0.0");
}

TEST_F(CoreOutcomesTest, AFailureHasItsReasonAndItsDetail) {
  auto& s = with_two();
  s.release(1);
  s.fails(1, 1, BroadcastFailureReason::kUnsupportedOperation);
  s.fails(2, 1, BroadcastFailureReason::kRejected);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: failed alpha 1.0.0 (unsupported operation), "
            "beta 1.0.0 (rejected)\nalpha 1.0.0, says 1 of 1");
}

TEST_F(CoreOutcomesTest, WhoIsSilentTimesOutAndIsToldThatNobodyWaits) {
  auto& s = with_two();
  s.release(1, 200);
  s.acks(1, 1);
  s.pass_ms(200);
  EXPECT_EQ(s.fire_due(), 1);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: acked alpha 1.0.0; timed out beta 1.0.0 (200 ms)");
  EXPECT_EQ(s.reads(1), "operation 1");
  EXPECT_EQ(s.reads(2), "operation 1, cancel 1");
}

TEST_F(CoreOutcomesTest, TheBudgetIsTheOperatorsElseTheBackendsElseTheBrokersAndNeverAboveTheMost) {
  Knobs knobs;
  knobs.ack_timeout = 100;
  knobs.max_ack_timeout = 1000;
  auto& s = with(knobs);
  s.join(1, 1, 0);
  s.join(2, 2, 1, 250);
  s.join(4, 4, 2, 4000);
  s.join(5, 5, 3, 0);
  s.release(1);
  s.release(2, 30);
  s.release(3, 9000);
  s.pass_ms(1000);
  EXPECT_EQ(s.fire_due(), 12);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: timed out alpha 1.0.0 (100 ms), alpha 1.1.0 "
            "(250 ms), alpha 1.0.0 #two (1000 ms), beta 1.0.0 (1 ms)");
  EXPECT_EQ(s.report(2),
            "finished: release-handles /mnt/a: timed out alpha 1.0.0 (30 ms), alpha 1.1.0 (30 ms), "
            "alpha 1.0.0 #two (30 ms), beta 1.0.0 (30 ms)");
  EXPECT_EQ(s.report(3),
            "finished: release-handles /mnt/a: timed out alpha 1.0.0 (1000 ms), alpha 1.1.0 "
            "(1000 ms), alpha 1.0.0 #two (1000 ms), beta 1.0.0 (1000 ms)");
}

TEST_F(CoreOutcomesTest, WorkingMovesTheDeadlineToNowAndTheExtension) {
  auto& s = with_two();
  s.release(1, 100);
  s.acks(2, 1);
  s.pass_ms(80);
  s.works(1, 1, 300);
  s.pass_ms(299);
  EXPECT_EQ(s.fire_due(), 0);
  s.pass_ms(1);
  EXPECT_EQ(s.fire_due(), 1);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: acked beta 1.0.0; timed out alpha 1.0.0 (380 ms)"
            "\nalpha 1.0.0, extended 1");
}

TEST_F(CoreOutcomesTest, NoExtensionGoesBeyondTheMostOrShortensADeadline) {
  Knobs knobs;
  knobs.max_ack_timeout = 500;
  auto& s = with_two(knobs);
  s.release(1, 100);
  s.works(2, 1, 20);
  s.works(1, 1, 0xffff'ffff);
  s.pass_ms(450);
  EXPECT_EQ(s.fire_due(), 1);  // beta's, still after 100 ms
  s.works(1, 1, 200);
  s.pass_ms(50);
  EXPECT_EQ(s.fire_due(), 1);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: timed out alpha 1.0.0 (500 ms), beta 1.0.0 (100 ms)"
            "\nalpha 1.0.0, extended 1");
}

TEST_F(CoreOutcomesTest, ALateAnswerChangesNothingAndIsWrittenDownOnce) {
  auto& s = with_two();
  s.release(1, 100);
  s.pass_ms(100);
  EXPECT_EQ(s.fire_due(), 2);
  s.pass_ms(30);
  s.acks(1, 1);
  s.acks(1, 1);
  s.fails(2, 1, BroadcastFailureReason::kRejected);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: timed out alpha 1.0.0 (100 ms), beta 1.0.0 (100 ms)"
            "\nlate ack of alpha 1.0.0: 30000 us\nlate failure of beta 1.0.0: 30000 us");
  EXPECT_EQ(s.simulation().oracle().counters.late_answers, 2u);
  EXPECT_EQ(s.simulation().oracle().counters.duplicate_answers, 1u);
}

TEST_F(CoreOutcomesTest, AnAnswerThatComesBeforeItsDeadlineIsSeenIsInTime) {
  auto& s = with_two();
  s.release(1, 100);
  s.acks(2, 1);
  s.pass_ms(140);  // the loop was busy: both are due, and the answer is read first
  s.acks(1, 1);
  EXPECT_EQ(s.fire_due(), 0);
  s.step(StepKind::kStale, 0);  // the deadlines were on their way already
  EXPECT_EQ(s.report(1), "finished: release-handles /mnt/a: acked alpha 1.0.0, beta 1.0.0");
}

TEST_F(CoreOutcomesTest, ASecondAnswerIsCountedAndIgnored) {
  auto& s = with_two();
  s.release(1);
  s.acks(1, 1);
  s.fails(1, 1, BroadcastFailureReason::kRejected);
  s.acks(2, 1);
  EXPECT_EQ(s.report(1), "finished: release-handles /mnt/a: acked alpha 1.0.0, beta 1.0.0");
  EXPECT_EQ(s.simulation().oracle().counters.duplicate_answers, 1u);
}

}  // namespace
}  // namespace muster::simulator
