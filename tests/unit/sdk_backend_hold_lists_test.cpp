// Holds that a backend is told of when it registers, and what it kept from before.
#include <string>

#include <gtest/gtest.h>

#include "unit/sdk_backend_holds_fixture.h"

namespace muster::test {
namespace {

TEST_F(BackendHoldTest, AHoldThatItIsToldOfBeginsWithTheRegistration) {
  handle_with([](Request&) {});
  start();
  registered(1, kEpoch, {hold_on(5, "/mnt/a"), hold_on(6, {})});
  EXPECT_EQ(happened(),
            "connect; > Register zccache 1.0.0; on_active_holds /mnt/a ; "
            "on_hold_started 5 /mnt/a; on_hold_started 6; on_state registered 1");
  EXPECT_TRUE(held("/mnt/a/b"));
  EXPECT_FALSE(held("/"));
  ends(6, HoldEnd::kResumed);
  ends(5);
  EXPECT_EQ(happened(), "on_hold_ended 6 (resumed); on_hold_ended 5 (completed)");
  EXPECT_FALSE(held("/mnt/a/b"));
}

TEST_F(BackendHoldTest, AHoldThatIsListedTwiceBeginsOnce) {
  joined();
  EXPECT_EQ(comes_back({hold_on(7, "/cache"), hold_on(7, "/cache")}),
            "on_active_holds /cache /cache; on_hold_started 7 /cache; on_state registered 2");
  ends(7);
  EXPECT_EQ(happened(), "on_hold_ended 7 (completed)");
  EXPECT_FALSE(held());
}

TEST_F(BackendHoldTest, AHoldThatIsStillListedGoesOn) {
  joined();
  asks_to_hold(7);
  (void)happened();
  for (const char* epoch : {kEpoch, kEpochAfterHold, "one more epoch.."}) {
    reconnects();
    EXPECT_TRUE(held()) << "while there is no broker";
    (void)happened();
    registered(2, epoch, {hold_on(7, "/cache")});
    EXPECT_EQ(happened(), "on_active_holds /cache; on_state registered 2") << epoch;
    EXPECT_TRUE(held());
  }
  ends(7);
  EXPECT_EQ(happened(), "on_hold_ended 7 (completed)");
}

TEST_F(BackendHoldTest, AHoldThatIsNotListedAnyMoreEndedMeanwhile) {
  const std::string end = "on_hold_ended 7 (" + std::string(to_string(HoldEnd::kUnseen)) + ")";
  for (const char* epoch : {kEpoch, kEpochAfterHold, ""}) {
    handle_with([](Request&) {});
    if (port_.state != ConnectionState::kRegistered) start();
    registered(1, kEpoch, {hold_on(6, "/mnt/a")});
    asks_to_hold(7);
    (void)happened();
    EXPECT_EQ(comes_back({hold_on(6, "/mnt/a"), hold_on(9, "/mnt/b")}, epoch),
              "on_active_holds /mnt/a /mnt/b; " + end +
                  "; on_hold_started 9 /mnt/b; on_state registered 2");
    EXPECT_FALSE(held());
    EXPECT_TRUE(held("/mnt/a"));
    EXPECT_TRUE(held("/mnt/b"));
    ends(7);
    EXPECT_EQ(happened(), "");
    (void)comes_back({}, "an epoch between");
    reconnects();
  }
}

TEST_F(BackendHoldTest, AnAckThatWasGivenWhileAwayHolds) {
  defer_all();
  started_and_registered();
  asks_to_hold(7);
  asks_to_hold(8, "/b");
  connection_ends();
  (void)happened();
  acks(0);
  acks(1);
  EXPECT_EQ(happened(), "on_hold_started 7 /cache; on_hold_started 8 /b");
  fires(BackendPort::Timer::kRetry);
  (void)happened();
  registered(2, kEpoch, {hold_on(7, "/cache")});
  EXPECT_EQ(happened(),
            "> Ack 7; > Ack 8; on_active_holds /cache; on_hold_ended 8 (unseen); "
            "on_state registered 2");
  EXPECT_TRUE(held());
  EXPECT_FALSE(held("/b"));
}

TEST_F(BackendHoldTest, AHoldThatEndedWhileItWasAwayAndWorkedIsNotKept) {
  defer_all();
  started_and_registered();
  asks_to_hold(7);
  EXPECT_EQ(comes_back({}), "on_active_holds; on_state registered 2");
  EXPECT_FALSE(held());
  acks(0);
  EXPECT_EQ(happened(), "> Ack 7; on_hold_started 7 /cache; on_hold_ended 7 (unseen)");
  EXPECT_FALSE(held());
}

TEST_F(BackendHoldTest, WhatAnEarlierBrokerAskedIsNotHeldForTheNext) {
  defer_all();
  started_and_registered();
  asks_to_hold(7);
  EXPECT_TRUE(held());
  EXPECT_EQ(comes_back({}, kEpochAfterHold), "on_cancel 7; on_active_holds; on_state registered 2");
  EXPECT_FALSE(held());
  acks(0);
  EXPECT_EQ(happened(), "") << "the next broker did not ask";
  EXPECT_FALSE(held());
}

// A hold is listed from the moment at which it is asked for.
TEST_F(BackendHoldTest, AHoldWhoseRequestIsStillInHandBeginsOnce) {
  defer_all();
  started_and_registered();
  asks_to_hold(7);
  EXPECT_EQ(comes_back({hold_on(7, "/cache")}),
            "on_active_holds /cache; on_hold_started 7 /cache; on_state registered 2");
  asks_to_hold(7);  // sent again
  acks(0);
  EXPECT_EQ(happened(), "> Ack 7");
  EXPECT_TRUE(held());
  ends(7);
  EXPECT_EQ(happened(), "on_hold_ended 7 (completed)");
  EXPECT_FALSE(held());
}

TEST_F(BackendHoldTest, WhoIsToldOfAHoldAndRejectsItsRequestKeepsToItAllTheSame) {
  handle_with([](Request& request) { request.reject("busy"); });
  start();
  registered(1, kEpoch, {hold_on(7, "/cache")});
  asks_to_hold(7);
  EXPECT_TRUE(held());
  ends(7);
  EXPECT_TRUE(happened().ends_with("> Failure 7 Rejected: busy; on_hold_ended 7 (completed)"));
}

TEST_F(BackendHoldTest, ABackendWhosePlaceAnotherTookIsToldNothingAnyMore) {
  joined();
  asks_to_hold(7);
  (void)happened();
  refused(RefusalCode::kReplaced, "another connection registered this key");
  EXPECT_FALSE(held()) << "the other one is told when it ends";
  EXPECT_TRUE(happened().ends_with("; on_hold_ended 7 (unseen)"));
}

TEST_F(BackendHoldTest, NothingIsHeldOnceItHasStopped) {
  joined();
  asks_to_hold(7);
  stop(1000);
  EXPECT_TRUE(held());
  (void)happened();
  says(2, wire::Deregistered{});
  EXPECT_FALSE(held());
  EXPECT_EQ(happened(), "disconnect; on_state stopped");
}

}  // namespace
}  // namespace muster::test
