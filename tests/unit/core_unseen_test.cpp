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

// --- a broker that starts in another pid namespace than the one before

constexpr std::int64_t kElsewhere = 1;
constexpr const char* kWhy =
    " (its process cannot be seen: the broker runs in another pid namespace than when it "
    "registered)";

class CoreElsewhereTest : public ScenarioTest {
 protected:
  static void move(Scenario& s, std::int64_t place = kElsewhere) {
    s.step(StepKind::kRestart, 0, 0, place);
  }
  static std::string unseen(const std::string& state, const std::string& key = "alpha 1.0.0") {
    return key + ' ' + state + kWhy;
  }
};

TEST_F(CoreElsewhereTest, WhoMayRunIsNeverPassedOverAlsoIfItHasExited) {
  auto& s = with_two();
  move(s);
  s.step(StepKind::kExit, 1, 0);
  s.pass_ms(5000);
  EXPECT_EQ(s.fire_due(), 2);
  EXPECT_EQ(s.backends(), unseen("lost") + ", " + unseen("lost", "beta 1.0.0"));
  s.release(1);
  EXPECT_THAT(s.report(1), ::testing::StartsWith("finished: release-handles /mnt/a: failed alpha "
                                                 "1.0.0 (backend error), beta 1.0.0 (backend"));
  // Where it can be seen it is known to be gone, and the other to run.
  move(s, 0);
  EXPECT_EQ(s.backends(), "beta 1.0.0 reconnecting (not reconnected since the broker restarted)");
}

// Whoever was one of two is not both of them, however often it comes.
TEST_F(CoreElsewhereTest, AProcessThatRegistersAgainTakesNoSecondPlace) {
  for (const bool is_saved : {false, true}) {
    auto& s = with();
    s.join(1, 1, kAlpha);
    s.join(2, 5, kAlpha);
    move(s);
    s.join(3, 9, kAlpha);
    const std::string left = unseen("reconnecting", "alpha 1.0.0 #~102");
    EXPECT_EQ(s.backends(), "alpha 1.0.0 live, " + left);
    if (is_saved) s.step(StepKind::kSave);
    s.says(StepKind::kDeregister, 3);
    s.join(4, 9, kAlpha);
    EXPECT_EQ(s.backends(), left + ", alpha 1.0.0 live");
    s.join(5, 13, kAlpha);
    EXPECT_EQ(s.backends(), "alpha 1.0.0 live, alpha 1.0.0 #~106 live") << "another process";
  }
}

// Started again by its service manager: what follows one that left is not another one beside it.
TEST_F(CoreElsewhereTest, WhoFollowsOneThatLeftTakesNoPlaceOfAnother) {
  for (const bool exits : {true, false}) {
    auto& s = with();
    s.join(1, 1, kAlpha);
    s.join(2, 5, kAlpha);
    move(s);
    s.join(3, 9, kAlpha);
    if (exits) {
      s.exits(9, 3);
    } else {
      s.says(StepKind::kDeregister, 3);
    }
    s.join(4, 13, kAlpha);
    const std::string left = unseen("reconnecting", "alpha 1.0.0 #~102");
    EXPECT_THAT(s.backends(), ::testing::HasSubstr(left)) << exits;
    s.release(1);
    EXPECT_THAT(s.report(1), ::testing::StartsWith("running")) << "it is waited for";
    s.join(5, 17, kAlpha);
    EXPECT_THAT(s.backends(), ::testing::Not(::testing::HasSubstr(left)))
        << "one more is beside it";
  }
}

TEST_F(CoreElsewhereTest, OneThatNothingTellsApartMayBeTheOneBefore) {
  auto& s = with();
  s.join(1, 0, kAlpha);
  s.join(2, 4, kAlpha);
  move(s);
  s.join(3, kUnknown, kAlpha);
  s.join(4, kUnknown, kAlpha);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 live, " + unseen("reconnecting", "alpha 1.0.0 #~102") +
                              ", alpha 1.0.0 #~n4 live");
}

// 3 is another user's process, and has the key that 8 wants.
TEST_F(CoreElsewhereTest, OneThatIsRefusedTakesOnePlaceHoweverOftenItTries) {
  for (const std::int64_t process : {kUnknown, kUnseen, std::int64_t{9}}) {
    auto& s = with();
    s.join(1, 3, kAlpha);
    s.join(2, process, kAlpha);
    s.join(3, 1, kAlpha);
    move(s);
    const auto count = [&] {
      const auto all = s.backends();
      std::size_t unseen_ones = 0;
      for (auto at = all.find(kWhy); at != std::string::npos; at = all.find(kWhy, at + 1)) {
        ++unseen_ones;
      }
      return unseen_ones;
    };
    EXPECT_EQ(count(), 3U) << s.backends();
    for (std::int64_t again = 4; again < 8; ++again) {
      s.join(again, process, kAlpha);
      EXPECT_EQ(count(), 2U) << process << ": " << s.backends();
    }
    EXPECT_EQ(s.simulation().oracle().list(0).size(), 3U) << s.backends();
  }
}

TEST_F(CoreElsewhereTest, ThatAllAreGoneIsSaidOfThoseToWhomABroadcastWaits) {
  auto& s = with_two();
  move(s);
  s.release(1);
  s.join(3, 4, kBeta);
  s.acks(3, 1);
  s.step(StepKind::kForgetUnseen);
  EXPECT_EQ(s.backends(), "beta 1.0.0 live");
  EXPECT_THAT(s.report(1), ::testing::StartsWith("finished: release-handles /mnt/a: acked beta "
                                                 "1.0.0; failed alpha 1.0.0 (backend error)"));
}

}  // namespace
}  // namespace muster::simulator
