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
