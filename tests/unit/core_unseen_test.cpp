// Backends whose process the broker cannot see (another pid namespace).
//
// Through the core alone: times are virtual, and the oracle of the simulator checks each step, too.
#include <cstdint>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulator/scenario_test.h"

namespace muster::simulator {
namespace {

// Processes of another pid namespace: one that its pidfd tells apart, and one that nothing does.
constexpr std::int64_t kUnseen = 10;
constexpr std::int64_t kUnknown = 8;

class CoreUnseenTest : public ScenarioTest {};

TEST_F(CoreUnseenTest, AProcessThatCannotBeSeenIsLostAfterTheGraceAndNeverSkipped) {
  for (const std::int64_t process : {kUnseen, kUnknown}) {
    auto& s = with();
    s.join(1, process, kAlpha);
    s.hangs_up(1);
    s.pass_ms(1000);
    EXPECT_EQ(s.fire_due(), 1);
    EXPECT_EQ(s.backends(), "alpha 1.0.0 lost (connection closed)");
    s.release(1);
    EXPECT_EQ(s.report(1),
              "finished: release-handles /mnt/a: failed alpha 1.0.0 (backend error)"
              "\nalpha 1.0.0, disconnected; its process, in another pid namespace, may still run");
    s.step(StepKind::kForget, kAlpha);
    EXPECT_EQ(s.backends(), "");
  }
}

TEST_F(CoreUnseenTest, AProcessThatCannotBeSeenIsDeadWhenItsPidfdSaysSo) {
  auto& s = with();
  s.join(1, kUnseen, kAlpha);
  s.hangs_up(1);
  s.pass_ms(1000);
  EXPECT_EQ(s.fire_due(), 1);
  s.exits(kUnseen, 1);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 dead (process exited)");
}

TEST_F(CoreUnseenTest, AProcessThatItsPidfdTellsApartComesBackAndReplacesItself) {
  auto& s = with();
  s.join(1, kUnseen, kAlpha);
  s.hangs_up(1);
  s.join(2, kUnseen, kAlpha);
  s.join(3, kUnseen, kAlpha);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 live");
  EXPECT_EQ(s.reads(2), "registered, refused (replaced)");
}

// 32 and 10 are of one user, and neither can be seen.
TEST_F(CoreUnseenTest, TwoProcessesThatCannotBeSeenAreBothAsked) {
  auto& s = with();
  s.join(1, kUnseen, kAlpha);
  s.join(2, kUnseen + 22, kAlpha);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 live, alpha 1.0.0 #~i5032 live");
  s.release(1);
  EXPECT_EQ(s.reads(1), "registered, operation 1");
  EXPECT_EQ(s.reads(2), "registered, operation 1");
  // The second is known when it comes back.
  s.hangs_up(2);
  s.join(3, kUnseen + 22, kAlpha);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 live, alpha 1.0.0 #~i5032 live");
  EXPECT_EQ(s.reads(3), "registered, operation 1");
}

TEST_F(CoreUnseenTest, WhatNothingTellsApartIsNeverTheSameProcess) {
  auto& s = with();
  s.join(1, kUnknown, kAlpha);
  s.join(2, kUnknown, kAlpha);  // it may be another
  s.join(3, kUnknown, kAlpha);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 live, alpha 1.0.0 #~n2 live, alpha 1.0.0 #~n3 live");
  s.hangs_up(2);
  s.join(4, kUnknown, kAlpha);
  EXPECT_EQ(s.backends(),
            "alpha 1.0.0 live, alpha 1.0.0 #~n2 reconnecting (connection closed), "
            "alpha 1.0.0 #~n3 live, alpha 1.0.0 #~n4 live");
  s.release(1);
  EXPECT_EQ(s.reads(1), "registered, operation 1") << "nobody replaced it";
}

TEST_F(CoreUnseenTest, ALateAnswerOfAProcessThatNothingTellsApartIsItsOwn) {
  auto& s = with();
  s.join(1, kUnknown, kAlpha);
  s.release(1, 10);
  s.pass_ms(10);
  EXPECT_EQ(s.fire_due(), 1);
  s.acks(1, 1);
  EXPECT_THAT(s.report(1), ::testing::HasSubstr("late ack of alpha 1.0.0: 0 us"));
}

TEST_F(CoreUnseenTest, WhoCannotBeSeenIsExpectedAfterARestartAndLostWhenItDoesNotComeBack) {
  auto& s = with();
  s.join(1, kUnseen, kAlpha);
  s.join(2, kUnknown, kBeta);
  s.step(StepKind::kRestart);
  EXPECT_EQ(s.backends(),
            "alpha 1.0.0 reconnecting (not reconnected since the broker restarted), "
            "beta 1.0.0 reconnecting (not reconnected since the broker restarted)");
  s.join(3, kUnseen, kAlpha);
  s.pass_ms(5000);
  EXPECT_EQ(s.fire_due(), 1);
  EXPECT_EQ(s.backends(),
            "alpha 1.0.0 live, beta 1.0.0 lost (not reconnected since the broker restarted)");
  s.release(1);
  s.acks(3, 1);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: acked alpha 1.0.0; failed beta 1.0.0 (backend "
            "error)\nbeta 1.0.0, not reconnected since the broker restarted; its process, in "
            "another pid namespace, may still run");
}

}  // namespace
}  // namespace muster::simulator
