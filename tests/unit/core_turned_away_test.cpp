// Processes that were refused before the broker knew which backends they are: while they run, no
// answer that may concern them is complete.
//
// Through the core alone: times are virtual, and the oracle of the simulator checks each step, too.
#include <string>

#include <gtest/gtest.h>

#include "simulator/scenario_test.h"
#include "simulator/universe.h"

namespace muster::simulator {
namespace {

constexpr int kOneOfSecond = 7;  // a process of the second user: pid 103
constexpr const char* kTwoLive = "alpha 1.0.0 live, beta 1.0.0 live";
constexpr const char* kTwoAcked = "finished: release-handles /mnt/a: acked alpha 1.0.0, beta 1.0.0";
constexpr const char* kSomebodyIsMissing = "\nnot all backends are known";

class CoreTurnedAwayTest : public ScenarioTest {
 protected:
  // The first user has two connections and may not have more: process 4 (pid 102) is turned away.
  Scenario& with_turned_away(std::int64_t max_refused = 64) {
    Knobs knobs;
    knobs.connections_each = 2;
    knobs.max_refused = max_refused;
    auto& s = with_two(knobs);
    s.step(StepKind::kConnect, 3, 4);
    EXPECT_EQ(s.reads(3), "refused (quota)");
    return s;
  }
  static constexpr int kGamma = 5;
  static constexpr int kOther = 12;  // a process of the first user
  // It says how many of its connections were refused before.
  static void joins_after(Scenario& s, int connection, int process, int key, int refused_before) {
    s.step(StepKind::kConnect, connection, process);
    s.step(StepKind::kRegister, connection, key, -1, -1,
           kSaysRefused + refused_before * kRefusedOnce);
    s.step(StepKind::kDeliver, connection);
  }
  // Of both, or of beta alone.
  static std::string asked(Scenario& s, BroadcastId id) {
    s.release(static_cast<std::int64_t>(id));
    for (const int connection : {1, 2}) {
      if (s.reads(connection).ends_with(std::to_string(id))) {
        s.acks(connection, static_cast<std::int64_t>(id));
      }
    }
    return s.report(id);
  }
};

TEST_F(CoreTurnedAwayTest, OneWhoseKeyIsNotKnownMakesNoAnswerCompleteUntilItExits) {
  auto& s = with_turned_away();
  EXPECT_EQ(s.backends(), kTwoLive);
  EXPECT_EQ(asked(s, 1), std::string(kTwoAcked) + kSomebodyIsMissing);
  s.step(StepKind::kConnect, 4, 4);
  s.step(StepKind::kSave);
  EXPECT_EQ(asked(s, 2), std::string(kTwoAcked) + kSomebodyIsMissing);
  s.exits(4, 3);
  EXPECT_EQ(asked(s, 3), kTwoAcked);
}

TEST_F(CoreTurnedAwayTest, OneThatIsRegisteredIsKnown) {
  auto& s = with_turned_away();
  s.hangs_up(1);
  s.join(4, 4, 5);
  s.fire_due();
  s.release(1);
  s.acks(2, 1);
  s.acks(4, 1);
  EXPECT_EQ(s.report(1).find(kSomebodyIsMissing), std::string::npos) << s.report(1);
}

TEST_F(CoreTurnedAwayTest, OneThatIsRefusedByItsKeyIsNamedByIt) {
  auto& s = with_turned_away();
  s.hangs_up(1);
  s.join(4, 4, kBeta);
  s.says(StepKind::kDeregister, 4);
  s.join(5, kOneOfSecond, 5);
  s.join(6, 4, 5);
  s.release(1);
  EXPECT_NE(s.report(1).find("gamma 2.0.0-rc.1 [explicit:X] #~102, not registered"),
            std::string::npos)
      << s.report(1);
  EXPECT_EQ(s.report(1).find(kSomebodyIsMissing), std::string::npos) << s.report(1);
}

TEST_F(CoreTurnedAwayTest, OneWhoseRegisterIsNotValidIsNotKnownEither) {
  auto& s = with_two();
  s.step(StepKind::kConnect, 3, 4);
  s.step(StepKind::kRegister, 3, 5, -1, -1, kBad);
  s.step(StepKind::kDeliver, 3);
  EXPECT_EQ(s.reads(3), "refused (invalid)");
  EXPECT_EQ(asked(s, 1), std::string(kTwoAcked) + kSomebodyIsMissing);
  joins_after(s, 4, 4, 5, 1);
  s.says(StepKind::kDeregister, 4);
  EXPECT_EQ(asked(s, 2), kTwoAcked);
}

// Two backends of one process, 4: one of them was turned away, and gamma registers.
TEST_F(CoreTurnedAwayTest, ABackendTakesAwayNoRefusalsButItsOwn) {
  auto& s = with_two();
  for (const int connection : {3, 4}) {
    s.step(StepKind::kConnect, connection, 4);
    s.says(StepKind::kGarbage, connection);
  }
  joins_after(s, 5, 4, kGamma, 0);
  EXPECT_TRUE(s.simulation().oracle().misses_somebody()) << "none was its own";
  s.says(StepKind::kDeregister, 5);
  EXPECT_EQ(asked(s, 1), std::string(kTwoAcked) + kSomebodyIsMissing);
  joins_after(s, 6, 4, kGamma, 1);
  s.step(StepKind::kSave);
  s.says(StepKind::kDeregister, 6);
  EXPECT_EQ(asked(s, 2), std::string(kTwoAcked) + kSomebodyIsMissing) << "one was another's";
  joins_after(s, 7, 4, kGamma, 1);
  s.says(StepKind::kDeregister, 7);
  EXPECT_EQ(asked(s, 3), kTwoAcked) << "and it is known now";
}

TEST_F(CoreTurnedAwayTest, ABackendThatComesBackTakesAwayItsOwnToo) {
  Knobs knobs;
  knobs.connections_each = 2;
  knobs.grace = 60'000;
  auto& s = with_two(knobs);
  s.hangs_up(1);
  s.step(StepKind::kConnect, 3, kOther);  // takes its place
  s.step(StepKind::kConnect, 4, 1);
  EXPECT_EQ(s.reads(4), "refused (quota)");
  s.hangs_up(3);
  EXPECT_TRUE(s.simulation().oracle().misses_somebody());
  joins_after(s, 5, 1, kAlpha, 1);
  EXPECT_EQ(s.reads(5), "registered");
  s.release(1);
  s.acks(2, 1);
  s.acks(5, 1);
  EXPECT_EQ(s.report(1).find(kSomebodyIsMissing), std::string::npos) << s.report(1);
}

TEST_F(CoreTurnedAwayTest, OneThatDoesNotSayHadEachRefusalByALimit) {
  auto& s = with_turned_away();
  s.step(StepKind::kConnect, 4, 4);
  s.hangs_up(1);
  s.join(5, 4, kGamma);
  EXPECT_EQ(s.reads(5), "registered");
  EXPECT_FALSE(s.simulation().oracle().misses_somebody());
}

TEST_F(CoreTurnedAwayTest, OneThatDoesNotSayHadNoneForWhatWasSaid) {
  auto& s = with_two();
  s.step(StepKind::kConnect, 3, 4);
  s.says(StepKind::kGarbage, 3);
  s.join(4, 4, kGamma);
  s.says(StepKind::kDeregister, 4);
  EXPECT_EQ(asked(s, 1), std::string(kTwoAcked) + kSomebodyIsMissing)
      << "it may be another backend of that process";
  s.exits(4, 3);
  EXPECT_EQ(asked(s, 2), kTwoAcked);
}

TEST_F(CoreTurnedAwayTest, OneWhoseKeyPolicyDeniesIsNotInTheWayAndTakesAwayItsOwn) {
  Knobs knobs;
  knobs.policy = 1;  // the second user may not register this one
  constexpr int kPrivateBeta = 4;
  auto& s = with_two(knobs);
  s.step(StepKind::kConnect, 3, kOneOfSecond);
  s.says(StepKind::kGarbage, 3);
  s.join(4, kOneOfSecond, kPrivateBeta);
  EXPECT_EQ(s.reads(4), "refused (denied)");
  EXPECT_EQ(asked(s, 1), std::string(kTwoAcked) + kSomebodyIsMissing) << "it does not say";
  joins_after(s, 5, kOneOfSecond, kPrivateBeta, 1);
  EXPECT_EQ(s.reads(5), "refused (denied)");
  EXPECT_EQ(asked(s, 2), kTwoAcked);
}

TEST_F(CoreTurnedAwayTest, OneWhoseUserMayRegisterNoneOfThoseThatAreSelectedIsNotInTheWay) {
  Knobs knobs;
  knobs.policy = 2;  // the first user may register alpha, shared, and nothing else
  constexpr int kSecondAlpha = 1;
  auto& s = with(knobs);
  s.join(1, 1, kAlpha);
  s.join(2, 2, kSecondAlpha);
  s.step(StepKind::kConnect, 3, 4);
  s.says(StepKind::kGarbage, 3);
  auto is_complete = [&, id = 0](std::int64_t selection) mutable {
    s.step(StepKind::kStart, ++id, 3, -1, selection);
    return s.report(static_cast<BroadcastId>(id)).find(kSomebodyIsMissing) == std::string::npos;
  };
  std::string complete;
  for (std::int64_t selection = 0; selection < kSelections; ++selection) {
    if (is_complete(selection)) complete += std::to_string(selection);
  }
  // Of a private instance; of delta or gamma; of nobody.
  EXPECT_EQ(complete, "356");
}

// Everything but Register, as the first message.
class CoreSpokeWronglyTest : public CoreTurnedAwayTest,
                             public ::testing::WithParamInterface<StepKind> {};

TEST_P(CoreSpokeWronglyTest, OneThatDidBeforeItRegisteredMakesNoAnswerCompleteUntilItExits) {
  auto& s = with_two();
  s.step(StepKind::kConnect, 3, 4);
  s.says(GetParam(), 3);
  EXPECT_EQ(s.reads(3), "refused (protocol)");
  EXPECT_EQ(s.backends(), kTwoLive);
  EXPECT_EQ(asked(s, 1), std::string(kTwoAcked) + kSomebodyIsMissing);
  s.step(StepKind::kSave);
  EXPECT_EQ(asked(s, 2), std::string(kTwoAcked) + kSomebodyIsMissing);
  s.exits(4, 3);
  EXPECT_EQ(asked(s, 3), kTwoAcked);
}

INSTANTIATE_TEST_SUITE_P(FirstMessages, CoreSpokeWronglyTest,
                         ::testing::Values(StepKind::kGarbage, StepKind::kAck, StepKind::kFail,
                                           StepKind::kWorking, StepKind::kActivity,
                                           StepKind::kDeregister));

TEST_F(CoreTurnedAwayTest, OneThatSaysNothingInTimeMakesNoAnswerCompleteUntilItExits) {
  Knobs knobs;
  knobs.register_timeout = 500;
  auto& s = with_two(knobs);
  s.step(StepKind::kConnect, 3, 4);
  EXPECT_EQ(asked(s, 1), kTwoAcked) << "it may be a probe";
  s.pass_ms(500);
  EXPECT_EQ(s.fire_due(), 1);
  EXPECT_EQ(s.reads(3), "refused (too slow)");
  EXPECT_EQ(asked(s, 2), std::string(kTwoAcked) + kSomebodyIsMissing);
  s.exits(4, 3);
  EXPECT_EQ(asked(s, 3), kTwoAcked);
}

TEST_F(CoreTurnedAwayTest, OneThatEndsItsConnectionBeforeItIsRefusedIsAProbe) {
  auto& s = with_two();
  s.step(StepKind::kConnect, 3, 4);
  s.hangs_up(3);
  EXPECT_EQ(asked(s, 1), kTwoAcked);
}

TEST_F(CoreTurnedAwayTest, ABackendThatBreaksTheProtocolIsStillKnown) {
  auto& s = with_two();
  s.says(StepKind::kGarbage, 2);
  s.release(1);
  s.acks(1, 1);
  s.join(4, 2, kBeta);
  s.acks(4, 1);
  EXPECT_EQ(s.report(1), kTwoAcked);
}

TEST_F(CoreTurnedAwayTest, OneThatIsRefusedAsTheBrokerGoesDownDoesNotCount) {
  auto& s = with_two();
  s.step(StepKind::kShutDown);
  s.step(StepKind::kConnect, 3, 4);
  EXPECT_EQ(s.reads(3), "refused (shutting down)");
  EXPECT_FALSE(s.simulation().oracle().misses_somebody());
}

TEST_F(CoreTurnedAwayTest, MoreThanAreWatchedAreMissedUntilAnOperatorSaysOtherwise) {
  auto& s = with_turned_away(1);
  s.step(StepKind::kConnect, 4, 12);
  s.exits(4, 3);
  EXPECT_EQ(asked(s, 1), std::string(kTwoAcked) + kSomebodyIsMissing) << "process 12 is there";
  s.step(StepKind::kConnect, 5, 16);
  s.step(StepKind::kForgetMissed);
  EXPECT_EQ(asked(s, 2), kTwoAcked);
}

}  // namespace
}  // namespace muster::simulator
