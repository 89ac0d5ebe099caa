// Processes that were refused and live: no broadcast asks them, so each of them is a "no".
//
// Through the core alone: times are virtual, and the oracle of the simulator checks each step, too.
#include <string>

#include <gtest/gtest.h>

#include "simulator/scenario_test.h"
#include "simulator/universe.h"

namespace muster::simulator {
namespace {

// Process 7 is pid 103 of the second user, 15 is pid 107 of the same; 1, 2 and 4 are of the first.
constexpr int kOfSecond = 7;
constexpr int kAlsoOfSecond = 15;
constexpr const char* kBoth = "alpha 1.0.0 live, beta 1.0.0 live";
constexpr const char* kBothAcked =
    "finished: release-handles /mnt/a: acked alpha 1.0.0, beta 1.0.0";
constexpr const char* kTakenLost =
    ", alpha 1.0.0 #~103 lost (not registered: another user's process has its key)";
constexpr const char* kTakenFailed =
    "; failed alpha 1.0.0 #~103 (backend error)\nalpha 1.0.0 #~103, not registered: another user's "
    "process has its key; process 103 is running and was not asked";

class CoreRefusedTest : public ScenarioTest {
 protected:
  // alpha and beta of the first user, and a process of the second that was refused as alpha.
  Scenario& with_refused(const Knobs& knobs = {}) {
    auto& s = with_two(knobs);
    s.join(3, kOfSecond, kAlpha);
    EXPECT_EQ(s.reads(3), "refused (denied)");
    return s;
  }
  static void ask_both(Scenario& s, std::int64_t id) {
    s.release(id);
    s.acks(1, id);
    s.acks(2, id);
  }
};

TEST_F(CoreRefusedTest, OneWhoseKeyAnotherUserHasIsListedBesideItAndFailsEveryBroadcast) {
  auto& s = with_refused();
  EXPECT_EQ(s.backends(), std::string(kBoth) + kTakenLost);
  for (const std::int64_t id : {1, 2}) {
    ask_both(s, id);
    EXPECT_EQ(s.report(static_cast<BroadcastId>(id)), std::string(kBothAcked) + kTakenFailed);
  }
  EXPECT_EQ(s.reads(1), "operation 1, operation 2") << "the owner of the key is asked";
}

TEST_F(CoreRefusedTest, OneOverTheQuotaIsListedByItsKeyAndMark) {
  Knobs knobs;
  knobs.registrations_each = 2;
  auto& s = with_two(knobs);
  s.join(3, 4, 5);  // "gamma 2.0.0-rc.1", pid 102
  EXPECT_EQ(s.reads(3), "refused (quota)");
  ask_both(s, 1);
  EXPECT_EQ(s.report(1),
            std::string(kBothAcked) +
                "; failed gamma 2.0.0-rc.1 [explicit:X] #~102 (backend error)"
                "\ngamma 2.0.0-rc.1 [explicit:X] #~102, not registered: its user has as many "
                "backends as its quota allows; process 102 is running and was not asked");
}

TEST_F(CoreRefusedTest, IsGoneWhenItsProcessExitsAndNeverSkippedAsDead) {
  auto& s = with_refused();
  s.exits(kOfSecond, 3);
  EXPECT_EQ(s.backends(), kBoth);
  ask_both(s, 1);
  EXPECT_EQ(s.report(1), kBothAcked);
}

TEST_F(CoreRefusedTest, IsListedOnceHoweverOftenItTries) {
  auto& s = with_refused();
  for (int connection = 4; connection < 8; ++connection) {
    s.join(connection, kOfSecond, kAlpha);
    EXPECT_EQ(s.reads(connection), "refused (denied)");
  }
  EXPECT_EQ(s.backends(), std::string(kBoth) + kTakenLost);
  s.exits(kOfSecond, 3);
  EXPECT_EQ(s.backends(), kBoth);
}

TEST_F(CoreRefusedTest, IsListedAsItWantedToBeTheLastTime) {
  auto& s = with_refused();
  constexpr std::int64_t kByLabel = 4;  // label.tier=hot
  s.step(StepKind::kStart, 1, 3, -1, kByLabel);
  EXPECT_EQ(s.report(1), "finished: release-handles /mnt/a: nobody");
  s.step(StepKind::kConnect, 4, kOfSecond);
  s.says(StepKind::kRegister, 4, kAlpha, -1, -1);
  s.step(StepKind::kConnect, 5, kOfSecond);
  s.step(StepKind::kRegister, 5, kAlpha, -1, -1, kHot);
  s.step(StepKind::kDeliver, 5);
  s.step(StepKind::kStart, 2, 3, -1, kByLabel);
  EXPECT_EQ(s.report(2), std::string("finished: release-handles /mnt/a: ") + (kTakenFailed + 2));
  EXPECT_EQ(s.backends(), std::string(kBoth) + kTakenLost);
}

TEST_F(CoreRefusedTest, IsSelectedByItsKey) {
  auto& s = with_refused();
  constexpr std::int64_t kAlphas = 1;  // service=alpha
  constexpr std::int64_t kOthers = 5;  // service=gamma, or a delta
  s.step(StepKind::kStart, 1, 3, -1, kAlphas);
  s.acks(1, 1);
  EXPECT_EQ(s.report(1),
            std::string("finished: release-handles /mnt/a: acked alpha 1.0.0") + kTakenFailed);
  s.step(StepKind::kStart, 2, 3, -1, kOthers);
  EXPECT_EQ(s.report(2), "finished: release-handles /mnt/a: nobody");
}

TEST_F(CoreRefusedTest, IsNamedUntilItRegistersEvenWhenTheReasonIsGone) {
  auto& s = with_refused();
  s.says(StepKind::kDeregister, 1);
  s.release(1);
  s.acks(2, 1);
  EXPECT_EQ(s.report(1),
            std::string("finished: release-handles /mnt/a: acked beta 1.0.0") + kTakenFailed);
  s.join(4, kOfSecond, kAlpha);
  EXPECT_EQ(s.reads(4), "registered");
  EXPECT_EQ(s.backends(), "beta 1.0.0 live, alpha 1.0.0 live");
  s.release(2);
  s.acks(2, 2);
  s.acks(4, 2);
  EXPECT_EQ(s.report(2), "finished: release-handles /mnt/a: acked beta 1.0.0, alpha 1.0.0");
}

TEST_F(CoreRefusedTest, RegistersInItsPlaceWhereItSharesTheKeyWithItsUsersProcess) {
  Knobs knobs;
  knobs.registrations_each = 2;
  auto& s = with_two(knobs);
  s.join(3, 4, kAlpha);
  EXPECT_EQ(s.backends(), std::string(kBoth) +
                              ", alpha 1.0.0 #~102 lost (not registered: its user has as many "
                              "backends as its quota allows)");
  s.says(StepKind::kDeregister, 2);
  s.join(4, 4, kAlpha);
  EXPECT_EQ(s.reads(4), "registered");
  EXPECT_EQ(s.backends(), "alpha 1.0.0 live, alpha 1.0.0 #~102 live");
}

TEST_F(CoreRefusedTest, IsForgottenUntilItTriesAgain) {
  auto& s = with_refused();
  s.step(StepKind::kForget, shared_key(kAlpha, peer_of(kOfSecond).process));
  EXPECT_EQ(s.backends(), kBoth);
  ask_both(s, 1);
  EXPECT_EQ(s.report(1), kBothAcked);
  s.join(4, kOfSecond, kAlpha);
  EXPECT_EQ(s.backends(), std::string(kBoth) + kTakenLost);
}

TEST_F(CoreRefusedTest, CountsInNoQuota) {
  Knobs knobs;
  knobs.registrations_each = 2;
  auto& s = with_refused(knobs);
  s.join(4, kAlsoOfSecond, 6);
  s.join(5, kAlsoOfSecond, 7);
  EXPECT_EQ(s.reads(4) + ", " + s.reads(5), "registered, registered");
}

TEST_F(CoreRefusedTest, AStrangerIsNotListed) {
  Knobs knobs;
  knobs.policy = 1;  // the second user may not register this one
  constexpr std::int64_t kPrivateBeta = 4;
  auto& s = with_two(knobs);
  s.join(3, kOfSecond, kPrivateBeta);
  EXPECT_EQ(s.reads(3), "refused (denied)");
  EXPECT_EQ(s.backends(), kBoth);
  ask_both(s, 1);
  EXPECT_EQ(s.report(1), kBothAcked);
}

TEST_F(CoreRefusedTest, MoreThanCanBeListedMakeEveryAnswerIncompleteUntilAnOperatorSaysOtherwise) {
  Knobs knobs;
  knobs.max_refused = 1;
  auto& s = with_refused(knobs);
  ask_both(s, 1);
  EXPECT_EQ(s.report(1), std::string(kBothAcked) + kTakenFailed);
  s.join(4, kAlsoOfSecond, kBeta);
  EXPECT_EQ(s.backends(), std::string(kBoth) + kTakenLost);
  s.step(StepKind::kSave);
  s.exits(kOfSecond, 3);
  ask_both(s, 2);
  EXPECT_EQ(s.report(2), std::string(kBothAcked) + "\nnot all backends are known");
  s.step(StepKind::kForgetMissed);
  ask_both(s, 3);
  EXPECT_EQ(s.report(3), kBothAcked);
}

TEST_F(CoreRefusedTest, IsStillOneAfterARestartOfTheBroker) {
  auto& s = with_refused();
  s.step(StepKind::kRestart, 0, 0);
  s.join(4, 1, kAlpha);
  s.join(5, 2, kBeta);
  EXPECT_EQ(s.backends(), std::string(kBoth) + kTakenLost);
  s.release(1);
  s.acks(4, 1);
  s.acks(5, 1);
  EXPECT_EQ(s.report(1), std::string(kBothAcked) + kTakenFailed);
  s.says(StepKind::kDeregister, 4);
  s.join(6, kOfSecond, kAlpha);
  EXPECT_EQ(s.backends(), "beta 1.0.0 live, alpha 1.0.0 live");
}

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
  EXPECT_EQ(s.backends(), kBoth);
  EXPECT_EQ(asked(s, 1), std::string(kBothAcked) + kSomebodyIsMissing);
  s.step(StepKind::kConnect, 4, 4);
  s.step(StepKind::kSave);
  EXPECT_EQ(asked(s, 2), std::string(kBothAcked) + kSomebodyIsMissing);
  s.exits(4, 3);
  EXPECT_EQ(asked(s, 3), kBothAcked);
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
  s.join(5, kOfSecond, 5);
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
  EXPECT_EQ(asked(s, 1), std::string(kBothAcked) + kSomebodyIsMissing);
  joins_after(s, 4, 4, 5, 1);
  s.says(StepKind::kDeregister, 4);
  EXPECT_EQ(asked(s, 2), kBothAcked);
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
  EXPECT_EQ(asked(s, 1), std::string(kBothAcked) + kSomebodyIsMissing);
  joins_after(s, 6, 4, kGamma, 1);
  s.step(StepKind::kSave);
  s.says(StepKind::kDeregister, 6);
  EXPECT_EQ(asked(s, 2), std::string(kBothAcked) + kSomebodyIsMissing) << "one was another's";
  joins_after(s, 7, 4, kGamma, 1);
  s.says(StepKind::kDeregister, 7);
  EXPECT_EQ(asked(s, 3), kBothAcked) << "and it is known now";
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
  EXPECT_EQ(asked(s, 1), std::string(kBothAcked) + kSomebodyIsMissing)
      << "it may be another backend of that process";
  s.exits(4, 3);
  EXPECT_EQ(asked(s, 2), kBothAcked);
}

TEST_F(CoreTurnedAwayTest, OneWhoseKeyPolicyDeniesIsNotInTheWayAndTakesAwayItsOwn) {
  Knobs knobs;
  knobs.policy = 1;  // the second user may not register this one
  constexpr int kPrivateBeta = 4;
  auto& s = with_two(knobs);
  s.step(StepKind::kConnect, 3, kOfSecond);
  s.says(StepKind::kGarbage, 3);
  s.join(4, kOfSecond, kPrivateBeta);
  EXPECT_EQ(s.reads(4), "refused (denied)");
  EXPECT_EQ(asked(s, 1), std::string(kBothAcked) + kSomebodyIsMissing) << "it does not say";
  joins_after(s, 5, kOfSecond, kPrivateBeta, 1);
  EXPECT_EQ(s.reads(5), "refused (denied)");
  EXPECT_EQ(asked(s, 2), kBothAcked);
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
  EXPECT_EQ(s.backends(), kBoth);
  EXPECT_EQ(asked(s, 1), std::string(kBothAcked) + kSomebodyIsMissing);
  s.step(StepKind::kSave);
  EXPECT_EQ(asked(s, 2), std::string(kBothAcked) + kSomebodyIsMissing);
  s.exits(4, 3);
  EXPECT_EQ(asked(s, 3), kBothAcked);
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
  EXPECT_EQ(asked(s, 1), kBothAcked) << "it may be a probe";
  s.pass_ms(500);
  EXPECT_EQ(s.fire_due(), 1);
  EXPECT_EQ(s.reads(3), "refused (too slow)");
  EXPECT_EQ(asked(s, 2), std::string(kBothAcked) + kSomebodyIsMissing);
  s.exits(4, 3);
  EXPECT_EQ(asked(s, 3), kBothAcked);
}

TEST_F(CoreTurnedAwayTest, OneThatEndsItsConnectionBeforeItIsRefusedIsAProbe) {
  auto& s = with_two();
  s.step(StepKind::kConnect, 3, 4);
  s.hangs_up(3);
  EXPECT_EQ(asked(s, 1), kBothAcked);
}

TEST_F(CoreTurnedAwayTest, ABackendThatBreaksTheProtocolIsStillKnown) {
  auto& s = with_two();
  s.says(StepKind::kGarbage, 2);
  s.release(1);
  s.acks(1, 1);
  s.join(4, 2, kBeta);
  s.acks(4, 1);
  EXPECT_EQ(s.report(1), kBothAcked);
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
  EXPECT_EQ(asked(s, 1), std::string(kBothAcked) + kSomebodyIsMissing) << "process 12 is there";
  s.step(StepKind::kConnect, 5, 16);
  s.step(StepKind::kForgetMissed);
  EXPECT_EQ(asked(s, 2), kBothAcked);
}

TEST_F(CoreRefusedTest, OneThatNothingTellsApartStandsForAllOfItsUser) {
  constexpr int kUnknown = 8;  // of the first user: no pid, and no pidfd that says which it is
  auto& s = with();
  s.join(1, kOfSecond, kAlpha);
  s.join(2, kUnknown, kAlpha);
  s.join(3, kUnknown, kAlpha);
  const std::string refused =
      "alpha 1.0.0 #~u54000 lost (not registered: another user's process has its key)";
  EXPECT_EQ(s.backends(), "alpha 1.0.0 live, " + refused);
  s.release(1);
  s.acks(1, 1);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: acked alpha 1.0.0; failed alpha 1.0.0 #~u54000 "
            "(backend error)\nalpha 1.0.0 #~u54000, not registered: another user's process has its "
            "key; its process, in another pid namespace, may run and was not asked");
  s.says(StepKind::kDeregister, 1);
  s.join(4, kUnknown, kAlpha);
  EXPECT_EQ(s.backends(), refused + ", alpha 1.0.0 live") << "it may be another one";
}

}  // namespace
}  // namespace muster::simulator
