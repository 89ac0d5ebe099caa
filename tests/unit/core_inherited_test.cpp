// Backends whose process exited while a child of it has the connection.
//
// Through the core alone: times are virtual, and the oracle of the simulator checks each step, too.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulator/scenario_test.h"

namespace muster::simulator {
namespace {

// --- a process that exited, and a child that has its connection

constexpr const char* kInheritedFailure =
    "\nalpha 1.0.0, process 100 has exited, but another process (a child?) still has its "
    "connection";

class CoreInheritedTest : public ScenarioTest {
 protected:
  // alpha's process exits, and a child has its connection.
  Scenario& with_child() {
    auto& s = with_two();
    s.step(StepKind::kExit, 1, 1);
    s.step(StepKind::kGone, 1);
    return s;
  }
  static constexpr const char* kLost =
      "alpha 1.0.0 lost (process exited, but another process has its connection), beta 1.0.0 live";
  static constexpr const char* kDead = "alpha 1.0.0 dead (process exited), beta 1.0.0 live";
};

TEST_F(CoreInheritedTest, FailsWhatIsOpenAndEveryBroadcastUntilItsConnectionEnds) {
  auto& s = with_two();
  s.release(1);
  s.step(StepKind::kExit, 1, 1);
  s.step(StepKind::kGone, 1);
  s.acks(2, 1);
  const std::string failed =
      "finished: release-handles /mnt/a: acked beta 1.0.0; failed alpha 1.0.0 (backend error)";
  EXPECT_EQ(s.report(1), failed + kInheritedFailure);
  EXPECT_EQ(s.backends(), kLost);
  s.release(2);
  s.acks(2, 2);
  EXPECT_EQ(s.report(2), failed + kInheritedFailure);
  EXPECT_EQ(s.reads(1), "operation 1") << "the child is not asked";
  s.hangs_up(1);
  EXPECT_EQ(s.backends(), kDead);
  s.release(3);
  s.acks(2, 3);
  EXPECT_EQ(s.report(3),
            "finished: release-handles /mnt/a: acked beta 1.0.0; skipped dead alpha 1.0.0"
            "\nalpha 1.0.0, process exited");
}

TEST_F(CoreInheritedTest, WhatTheChildSaysChangesNoResult) {
  auto& s = with_two();
  s.release(1);
  s.acks(2, 1);
  s.step(StepKind::kExit, 1, 1);
  s.step(StepKind::kGone, 1);
  s.acks(1, 1);
  EXPECT_EQ(s.report(1),
            std::string("finished: release-handles /mnt/a: acked beta 1.0.0; failed alpha 1.0.0 "
                        "(backend error)") +
                kInheritedFailure + "\nlate ack of alpha 1.0.0: 0 us");
  s.says(StepKind::kActivity, 1);
  EXPECT_EQ(s.backends(), kLost);
}

TEST_F(CoreInheritedTest, StaysLostWhenTheBrokerEndsTheConnectionOfTheChild) {
  auto& s = with_child();
  s.says(StepKind::kGarbage, 1);
  EXPECT_EQ(s.backends(), kLost);
  EXPECT_EQ(s.reads(1), "refused (protocol)");
  s.release(1);
  s.acks(2, 1);
  EXPECT_EQ(s.report(1),
            std::string("finished: release-handles /mnt/a: acked beta 1.0.0; failed alpha 1.0.0 "
                        "(backend error)") +
                kInheritedFailure);
  s.step(StepKind::kForget, kAlpha);
  EXPECT_EQ(s.backends(), "beta 1.0.0 live");
}

TEST_F(CoreInheritedTest, IsForgottenOnRequestAndItsConnectionIsClosed) {
  auto& s = with_child();
  s.step(StepKind::kForget, kAlpha);
  EXPECT_EQ(s.backends(), "beta 1.0.0 live");
  EXPECT_FALSE(s.simulation().apply({StepKind::kDeliver, {1}}));
}

TEST_F(CoreInheritedTest, DoesNotGiveItsKeyToTheNextProcess) {
  auto& s = with_child();
  s.join(4, 4, kAlpha);
  EXPECT_EQ(s.backends(), std::string(kLost) + ", alpha 1.0.0 #~102 live");
  s.hangs_up(1);
  s.join(6, 12, kAlpha);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 live, beta 1.0.0 live, alpha 1.0.0 #~102 live");
}

TEST_F(CoreInheritedTest, IsDeadWhenItsConnectionEndedBefore) {
  auto& s = with_two();
  s.hangs_up(1);
  s.step(StepKind::kExit, 1, 1);
  s.step(StepKind::kGone, 1);
  EXPECT_EQ(s.backends(), kDead);
}

TEST_F(CoreInheritedTest, ADeregisteringChildTakesTheBackendOff) {
  auto& s = with_child();
  s.says(StepKind::kDeregister, 1);
  EXPECT_EQ(s.backends(), "beta 1.0.0 live");
}

// --- a connection on which nothing more is sent

class CoreHalfClosedTest : public CoreInheritedTest {
 protected:
  Scenario& with_half() {
    auto& s = with_two();
    s.step(StepKind::kHalfClose, 1);
    s.step(StepKind::kDeliver, 1);
    EXPECT_EQ(s.backends(), "alpha 1.0.0 reconnecting (connection closed), beta 1.0.0 live");
    return s;
  }
};

TEST_F(CoreHalfClosedTest, IsNotDeadWhenItsProcessExitsWhileAnotherHasTheOtherEnd) {
  for (const bool is_saved : {false, true}) {
    auto& s = with_half();
    if (is_saved) s.step(StepKind::kSave);
    s.step(StepKind::kExit, 1, 1);
    s.step(StepKind::kGone, 1);
    EXPECT_EQ(s.backends(), kLost);
    if (is_saved) s.step(StepKind::kSave);
    s.release(1);
    s.acks(2, 1);
    EXPECT_EQ(s.report(1),
              std::string("finished: release-handles /mnt/a: acked beta 1.0.0; failed alpha 1.0.0 "
                          "(backend error)") +
                  kInheritedFailure);
    s.hangs_up(1);
    EXPECT_EQ(s.backends(), kDead);
  }
}

TEST_F(CoreHalfClosedTest, IsTheSameAfterTheGrace) {
  auto& s = with_half();
  s.pass_ms(1000);
  EXPECT_EQ(s.fire_due(), 1);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 lost (connection closed), beta 1.0.0 live");
  s.step(StepKind::kExit, 1, 1);
  s.step(StepKind::kGone, 1);
  EXPECT_EQ(s.backends(), kLost);
  s.hangs_up(1);
  EXPECT_EQ(s.backends(), kDead);
}

TEST_F(CoreHalfClosedTest, ItsEndIsNoDeathWhileItsProcessLives) {
  auto& s = with_half();
  s.hangs_up(1);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 reconnecting (connection closed), beta 1.0.0 live");
  s.exits(1, 1);
  EXPECT_EQ(s.backends(), kDead);
}

TEST_F(CoreHalfClosedTest, IsLetGoOfWhenItsProcessComesBack) {
  auto& s = with_half();
  s.release(1);
  s.join(3, 1, kAlpha);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 live, beta 1.0.0 live");
  EXPECT_FALSE(s.simulation().apply({StepKind::kDeliver, {1}}));
  EXPECT_EQ(s.reads(3), "registered, operation 1");
}

}  // namespace
}  // namespace muster::simulator
