// Backends whose connection or process ends, or whose key another one wants.
//
// Through the core alone: times are virtual, and the oracle of the simulator checks each step, too.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulator/scenario_test.h"

namespace muster::simulator {
namespace {

class CoreReconnectTest : public ScenarioTest {};

TEST_F(CoreReconnectTest, NobodyWaitsForAProcessThatExited) {
  auto& s = with_two();
  s.release(1);
  s.acks(2, 1);
  s.exits(1, 1);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: acked beta 1.0.0; failed alpha 1.0.0 (backend error)"
            "\nalpha 1.0.0, process exited");
  EXPECT_EQ(s.backends(), "alpha 1.0.0 dead (process exited), beta 1.0.0 live");
}

TEST_F(CoreReconnectTest, WhatAProcessSaidBeforeItExitedCounts) {
  auto& s = with_two();
  s.release(1);
  s.acks(2, 1);
  s.step(StepKind::kAck, 1, 1);
  s.step(StepKind::kExit, 1);
  s.step(StepKind::kDeliver, 1);
  s.step(StepKind::kGone, 1);
  EXPECT_EQ(s.report(1), "finished: release-handles /mnt/a: acked alpha 1.0.0, beta 1.0.0");
}

TEST_F(CoreReconnectTest, AConnectionThatEndsWithItsProcessIsAnExit) {
  auto& s = with_two();
  s.release(1);
  s.acks(2, 1);
  s.step(StepKind::kExit, 1);
  s.step(StepKind::kDeliver, 1);  // the end of its connection comes first
  EXPECT_EQ(s.report(1), "running: release-handles /mnt/a: acked beta 1.0.0");
  s.step(StepKind::kGone, 1);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: acked beta 1.0.0; failed alpha 1.0.0 (backend error)"
            "\nalpha 1.0.0, process exited");
}

TEST_F(CoreReconnectTest, WhoComesBackWithinTheGraceIsAskedAgainAndItsAnswerCounts) {
  auto& s = with_two();
  s.release(1);
  s.release(2);
  s.hangs_up(1);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 reconnecting (connection closed), beta 1.0.0 live");
  s.pass_ms(900);
  s.join(11, 1, kAlpha);
  EXPECT_EQ(s.reads(11), "registered, operation 1, operation 2");
  s.acks(11, 2);
  s.acks(11, 1);
  s.acks(2, 1);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: acked alpha 1.0.0, beta 1.0.0"
            "\nalpha 1.0.0, sent again 1");
}

TEST_F(CoreReconnectTest, ALivingProcessThatDoesNotComeBackIsLostAndNeverSkipped) {
  auto& s = with_two();
  s.release(1);
  s.acks(2, 1);
  s.hangs_up(1);
  s.pass_ms(999);
  EXPECT_EQ(s.fire_due(), 0);
  s.pass_ms(1);
  EXPECT_EQ(s.fire_due(), 1);
  const char* const failed =
      "finished: release-handles /mnt/a: acked beta 1.0.0; failed alpha 1.0.0 (backend error)"
      "\nalpha 1.0.0, disconnected; process 100 is still running";
  EXPECT_EQ(s.report(1), failed);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 lost (connection closed), beta 1.0.0 live");
  // Asked again while it is lost: failed at once, and never "all acked".
  s.release(2);
  s.acks(2, 2);
  EXPECT_EQ(s.report(2), failed);
  s.join(11, 1, kAlpha);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 live, beta 1.0.0 live");
}

TEST_F(CoreReconnectTest, ALostProcessThatExitsIsDead) {
  auto& s = with_two();
  s.hangs_up(1);
  s.pass_ms(1000);
  EXPECT_EQ(s.fire_due(), 1);
  s.exits(1, 1);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 dead (process exited), beta 1.0.0 live");
}

// Each way in which a connection ends while its process lives.
TEST_F(CoreReconnectTest, HoweverTheConnectionEndsALivingProcessIsLost) {
  {
    auto& s = with_two();
    s.says(StepKind::kGarbage, 1);
    s.pass_ms(1000);
    EXPECT_EQ(s.fire_due(), 1);
    s.release(1);
    s.acks(2, 1);
    EXPECT_EQ(
        s.report(1),
        "finished: release-handles /mnt/a: acked beta 1.0.0; failed alpha 1.0.0 (backend "
        "error)\nalpha 1.0.0, connection closed by the broker: protocol error; process 100 is "
        "still running");
  }
}

TEST_F(CoreReconnectTest, ALostBackendIsForgottenOnRequestAndALiveOneIsNot) {
  auto& s = with_two();
  s.hangs_up(1);
  s.step(StepKind::kForget, kAlpha);  // the oracle says: refused, it is reconnecting
  EXPECT_EQ(s.backends(), "alpha 1.0.0 reconnecting (connection closed), beta 1.0.0 live");
  s.pass_ms(1000);
  EXPECT_EQ(s.fire_due(), 1);
  s.step(StepKind::kForget, kAlpha);
  s.step(StepKind::kForget, kBeta);
  EXPECT_EQ(s.backends(), "beta 1.0.0 live");
}

TEST_F(CoreReconnectTest, TheGraceNeverGoesPastTheDeadline) {
  auto& s = with_two();
  s.release(1, 300);
  s.acks(2, 1);
  s.hangs_up(1);
  s.pass_ms(300);
  EXPECT_EQ(s.fire_due(), 1);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: acked beta 1.0.0; failed alpha 1.0.0 (backend error)"
            "\nalpha 1.0.0, disconnected; process 100 is still running");
  EXPECT_EQ(s.backends(), "alpha 1.0.0 reconnecting (connection closed), beta 1.0.0 live");
}

TEST_F(CoreReconnectTest, ASecondConnectionOfTheSameProcessReplacesTheFirst) {
  auto& s = with_two();
  s.release(1);
  s.acks(2, 1);
  s.join(11, 1, kAlpha);
  EXPECT_EQ(s.reads(1), "operation 1, refused (replaced)");
  EXPECT_EQ(s.reads(11), "registered, operation 1");
  s.acks(11, 1);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: acked alpha 1.0.0, beta 1.0.0"
            "\nalpha 1.0.0, sent again 1");
}

TEST_F(CoreReconnectTest, ASecondProcessOfTheSameUserGetsAReplicaOfItsOwnAndBothAreAsked) {
  auto& s = with_two();
  s.join(4, 4, kAlpha);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 live, beta 1.0.0 live, alpha 1.0.0 #~102 live");
  s.release(1);
  EXPECT_EQ(s.reads(1), "operation 1");
  EXPECT_EQ(s.reads(4), "registered, operation 1");
  s.acks(1, 1);
  s.acks(2, 1);
  s.acks(4, 1);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: acked alpha 1.0.0, beta 1.0.0, alpha 1.0.0 #~102");
  // The second is killed: the first is asked as before.
  s.exits(4, 4);
  s.release(2);
  EXPECT_EQ(s.reads(1), "operation 2");
}

TEST_F(CoreReconnectTest, AProcessThatSharesItsKeyComesBackToItsReplica) {
  auto& s = with_two();
  s.join(4, 4, kAlpha);
  s.exits(1, 1);
  s.hangs_up(4);
  s.join(14, 4, kAlpha);
  EXPECT_EQ(s.backends(),
            "alpha 1.0.0 dead (process exited), beta 1.0.0 live, alpha 1.0.0 #~102 live");
}

TEST_F(CoreReconnectTest, AnotherUserDoesNotGetALiveKeyAndGetsADeadOne) {
  auto& s = with_two();
  s.join(3, 3, kAlpha);
  EXPECT_EQ(s.reads(3), "refused (denied)");
  s.exits(1, 1);
  s.join(13, 3, kAlpha);
  EXPECT_EQ(s.reads(13), "registered");
  EXPECT_EQ(s.backends(), "alpha 1.0.0 live, beta 1.0.0 live");
}

TEST_F(CoreReconnectTest, ANewProcessWithTheKeyOfOneThatDiedIsANewBackend) {
  auto& s = with_two();
  s.release(1);
  s.exits(1, 1);
  s.join(4, 4, kAlpha);
  EXPECT_EQ(s.reads(4), "registered");
  s.acks(2, 1);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: acked beta 1.0.0; failed alpha 1.0.0 (backend error)"
            "\nalpha 1.0.0, process exited");
  s.release(2);
  s.acks(4, 2);
  s.acks(2, 2);
  EXPECT_EQ(s.report(2), "finished: release-handles /mnt/a: acked alpha 1.0.0, beta 1.0.0");
}

TEST_F(CoreReconnectTest, WhoWasDeadIsSkippedAndWhoWasReconnectingIsWaitedFor) {
  auto& s = with_two();
  s.join(4, 4, 7);
  s.exits(1, 1);
  s.hangs_up(2);
  s.release(1);
  s.acks(4, 1);
  EXPECT_EQ(s.report(1),
            "running: release-handles /mnt/a: acked delta 0.1.0 #b; skipped dead alpha 1.0.0"
            "\nalpha 1.0.0, process exited");
  s.join(12, 2, kBeta);
  EXPECT_EQ(s.reads(12), "registered, operation 1");
  s.acks(12, 1);
  EXPECT_EQ(
      s.report(1),
      "finished: release-handles /mnt/a: acked beta 1.0.0, delta 0.1.0 #b; skipped dead alpha "
      "1.0.0\nalpha 1.0.0, process exited");
}

TEST_F(CoreReconnectTest, WhoWasReconnectingAndDoesNotReturnFailed) {
  auto& s = with_two();
  s.hangs_up(1);
  s.release(1);
  s.acks(2, 1);
  s.pass_ms(1000);
  EXPECT_EQ(s.fire_due(), 1);
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: acked beta 1.0.0; failed alpha 1.0.0 (backend error)"
            "\nalpha 1.0.0, disconnected; process 100 is still running");
}

TEST_F(CoreReconnectTest, ABrokerThatStartsWaitsForThoseWhoWereRegistered) {
  auto& s = with_two();
  s.step(StepKind::kRestart);
  EXPECT_EQ(s.backends(),
            "alpha 1.0.0 reconnecting (not reconnected since the broker restarted), "
            "beta 1.0.0 reconnecting (not reconnected since the broker restarted)");
  s.release(1);
  s.join(11, 1, kAlpha);
  EXPECT_EQ(s.reads(11), "registered, operation 1");
  s.acks(11, 1);
  s.pass_ms(4999);
  EXPECT_EQ(s.fire_due(), 0);
  s.pass_ms(1);
  EXPECT_GE(s.fire_due(), 1);
  EXPECT_EQ(
      s.report(1),
      "finished: release-handles /mnt/a: acked alpha 1.0.0; failed beta 1.0.0 (backend error)"
      "\nbeta 1.0.0, not reconnected since the broker restarted; process 101 is still running");
}

TEST_F(CoreReconnectTest, WhoRegistersAfterTheBeginningIsNotInTheResult) {
  auto& s = with();
  s.join(1, 1, kAlpha);
  s.release(1);
  s.join(2, 2, kBeta);
  EXPECT_EQ(s.reads(2), "registered");
  s.acks(1, 1);
  EXPECT_EQ(s.report(1), "finished: release-handles /mnt/a: acked alpha 1.0.0");
}

TEST_F(CoreReconnectTest, WhoDoesNotReadLosesItsConnectionAndNobodyElseWaits) {
  Knobs knobs;
  knobs.queue = 2;
  auto& s = with_two(knobs);
  for (const int id : {1, 2, 3}) {
    s.release(id, 100);
    EXPECT_EQ(s.reads(2), "operation " + std::to_string(id));
    s.acks(2, id);
  }
  s.step(StepKind::kDeliver, 1);  // over the bound: the shell ends it and says so
  EXPECT_EQ(
      s.backends(),
      "alpha 1.0.0 reconnecting (connection closed by the broker: slow reader), beta 1.0.0 live");
  s.pass_ms(100);
  EXPECT_EQ(s.fire_due(), 3);
  for (const BroadcastId id : {1U, 2U, 3U}) {
    EXPECT_EQ(s.report(id),
              "finished: release-handles /mnt/a: acked beta 1.0.0; failed alpha 1.0.0 "
              "(backend error)\nalpha 1.0.0, connection closed by the broker: slow reader; process "
              "100 is "
              "still running");
  }
}

TEST_F(CoreReconnectTest, WhoLeavesIsGoneAndNotDead) {
  auto& s = with_two();
  s.release(1);
  s.acks(2, 1);
  s.says(StepKind::kDeregister, 1);
  EXPECT_EQ(s.reads(1), "operation 1, deregistered");
  EXPECT_EQ(s.backends(), "beta 1.0.0 live");
  EXPECT_EQ(s.report(1),
            "finished: release-handles /mnt/a: acked beta 1.0.0; failed alpha 1.0.0 (backend error)"
            "\nalpha 1.0.0, deregistered");
}

TEST_F(CoreReconnectTest, AKeyKeepsItsPlaceUntilItIsGone) {
  auto& s = with_two();
  s.join(11, 1, kAlpha);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 live, beta 1.0.0 live");
  s.exits(1, 11);
  s.join(5, 5, kAlpha);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 live, beta 1.0.0 live");
  s.says(StepKind::kDeregister, 5);
  s.join(6, 6, kAlpha);
  EXPECT_EQ(s.backends(), "beta 1.0.0 live, alpha 1.0.0 live");
}

TEST_F(CoreReconnectTest, AfterARestartOldIdsAreKnownAsSuch) {
  auto& s = with_two();
  s.release(5);
  s.step(StepKind::kRestart);
  s.step(StepKind::kReport, 5);  // the oracle says: interrupted
  s.join(11, 1, kAlpha);
  s.acks(11, 5);  // what the connection before lost is sent again by its SDK
  EXPECT_EQ(s.simulation().oracle().counters.unmatched_answers, 1u);
  s.release(1);  // ids go on
  EXPECT_EQ(s.reads(11), "registered, operation 6");
}

}  // namespace
}  // namespace muster::simulator
