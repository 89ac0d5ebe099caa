// Quiesces as a backend has them: from the handler, or the registration, to their end.
#include <string>

#include <gtest/gtest.h>

#include "unit/sdk_backend_holds_fixture.h"

namespace muster::test {
namespace {

TEST_F(BackendHoldTest, AQuiesceEndsByItsIdAndCoversNoPath) {
  joined();
  quiesces(7);
  EXPECT_EQ(happened(), "handler 7; > Ack 7") << "on_quiesce said that it begins";
  EXPECT_FALSE(held("/"));
  EXPECT_TRUE(core_.is_quiesced());
  ends(8, HoldEnd::kResumed);
  EXPECT_EQ(happened(), "");
  EXPECT_TRUE(core_.is_quiesced());
  ends(7, HoldEnd::kResumed);
  EXPECT_EQ(happened(), "on_hold_ended 7 (resumed)");
  EXPECT_FALSE(core_.is_quiesced());
  ends(7, HoldEnd::kResumed);
  EXPECT_EQ(happened(), "");
}

// What a daemon asks when the hold of a path ends: may it take up work again?
TEST_F(BackendHoldTest, ItIsQuiescedFromTheHandlerUntilTheEnd) {
  defer_all();
  started_and_registered();
  EXPECT_FALSE(core_.is_quiesced());
  handlers_are_busy();
  quiesces(7);
  asks_to_hold(8);
  EXPECT_FALSE(core_.is_quiesced()) << "it has not begun";
  handlers_go_on();
  EXPECT_TRUE(core_.is_quiesced()) << "it drains";
  acks(1);
  ends(8);
  EXPECT_TRUE(core_.is_quiesced());
  acks(0);
  EXPECT_TRUE(core_.is_quiesced());
  (void)comes_back({}, kEpochAfterHold);
  EXPECT_TRUE(core_.is_quiesced());
  ends(7, HoldEnd::kResumed);
  EXPECT_FALSE(core_.is_quiesced());
  quiesces(9);
  pending_.at(2).reject("busy");
  EXPECT_FALSE(core_.is_quiesced());
}

TEST_F(BackendHoldTest, AnIdleQuiesceIsOverWithTheNextWork) {
  joined();
  quiesces(7, QuiesceReason::kIdleTimeout);
  EXPECT_FALSE(core_.is_quiesced());
  quiesces(8);
  quiesces(9, QuiesceReason::kIdleTimeout);
  EXPECT_TRUE(core_.is_quiesced());
}

TEST_F(BackendHoldTest, ABrokerThatGoesDownQuiescesUntilTheNextIsThere) {
  joined();
  quiesces(7, QuiesceReason::kBrokerShutdown);
  EXPECT_TRUE(core_.is_quiesced());
  (void)comes_back({});
  EXPECT_TRUE(core_.is_quiesced());
  (void)comes_back({}, kEpochAfterHold);
  EXPECT_FALSE(core_.is_quiesced());
  quiesces(8, QuiesceReason::kBrokerShutdown);
  stop(0);
  EXPECT_FALSE(core_.is_quiesced());
}

TEST_F(BackendHoldTest, WhoIsToldOfAQuiesceIsQuiesced) {
  joined();
  (void)comes_back({hold_on(7, {}), hold_on(8, "/cache")});
  EXPECT_TRUE(core_.is_quiesced());
  ends(7);
  EXPECT_FALSE(core_.is_quiesced());
  EXPECT_TRUE(held());
}

TEST_F(BackendHoldTest, OneMessageEndsAllQuiescesThatItAcked) {
  for (const HoldId named : {7U, 8U, 9U}) {
    joined();
    quiesces(7);
    quiesces(8);
    quiesces(9);
    (void)happened();
    ends(named, HoldEnd::kExpired);
    EXPECT_EQ(happened(), "on_hold_ended " + std::to_string(named) + " (expired)");
    for (const HoldId id : {7U, 8U, 9U}) ends(id);
    EXPECT_EQ(happened(), "");
    (void)comes_back({}, "epoch " + std::to_string(named));
    reconnects();
  }
}

TEST_F(BackendHoldTest, NoListEndsAQuiesceThatItAcked) {
  joined();
  quiesces(7);
  (void)happened();
  EXPECT_EQ(comes_back({hold_on(7, {})}), "on_active_holds ; on_state registered 2")
      << "it knows that it is quiesced";
  for (const char* epoch : {kEpoch, kEpochAfterHold}) {
    EXPECT_EQ(comes_back({}, epoch), "on_active_holds; on_state registered 2") << epoch;
  }
  ends(7, HoldEnd::kResumed);
  EXPECT_EQ(happened(), "on_hold_ended 7 (resumed)");
}

TEST_F(BackendHoldTest, AQuiesceThatItWasOnlyToldOfEndsWithTheList) {
  joined();
  EXPECT_EQ(comes_back({hold_on(7, {})}),
            "on_active_holds ; on_hold_started 7; on_state registered 2");
  EXPECT_EQ(comes_back({}),
            "on_active_holds; on_hold_ended 7 (unseen); "
            "on_state registered 2");
}

TEST_F(BackendHoldTest, AQuiesceThatItWasToldOfAndThenAckedEndsOnce) {
  joined();
  (void)comes_back({hold_on(7, {})});
  quiesces(7);
  EXPECT_EQ(happened(), "handler 7; > Ack 7");
  ends(7, HoldEnd::kResumed);
  EXPECT_EQ(happened(), "on_hold_ended 7 (resumed)");
  ends(7, HoldEnd::kResumed);
  EXPECT_EQ(happened(), "");
}

// It drained, and would never hear that it may work again.
TEST_F(BackendHoldTest, AQuiesceThatEndedBeforeTheAckEndsWithIt) {
  defer_all();
  started_and_registered();
  quiesces(7);
  ends(7, HoldEnd::kAbandoned);
  EXPECT_EQ(happened(), "handler 7");
  acks(0);
  EXPECT_EQ(happened(), "> Ack 7; on_hold_ended 7 (abandoned)");
  ends(7, HoldEnd::kAbandoned);
  EXPECT_EQ(happened(), "");
}

TEST_F(BackendHoldTest, AnIdleQuiesceThatAnOperatorResumesEnds) {
  joined();
  for (HoldId id = 1; id <= 500; ++id) quiesces(id, QuiesceReason::kIdleTimeout);
  (void)happened();
  ends(3, HoldEnd::kResumed);
  EXPECT_EQ(happened(), "") << "over long ago";
  ends(500, HoldEnd::kResumed);
  EXPECT_EQ(happened(), "on_hold_ended 500 (resumed)");
}

// Nobody ends them one by one: the end must be heard by whichever name it comes.
TEST_F(BackendHoldTest, OfHoweverManyQuiescesTheEndIsHeard) {
  for (const HoldId named : {HoldId{1}, HoldId{250}, HoldId{500}}) {
    joined();
    for (HoldId id = 1; id <= 500; ++id) quiesces(id);
    (void)happened();
    ends(named, HoldEnd::kResumed);
    EXPECT_EQ(happened(), "on_hold_ended " + std::to_string(named) + " (resumed)");
    ends(500, HoldEnd::kResumed);
    EXPECT_EQ(happened(), "");
    (void)comes_back({}, "epoch " + std::to_string(named));
    reconnects();
  }
}

TEST_F(BackendHoldTest, TheEndOfAQuiesceWaitsForABusyHandlerAcrossAReconnect) {
  joined();
  quiesces(3);
  (void)happened();
  handlers_are_busy();
  ends(3, HoldEnd::kResumed);
  EXPECT_EQ(comes_back({}, kEpochAfterHold), "");
  handlers_go_on();
  EXPECT_EQ(happened(),
            "on_hold_ended 3 (resumed); on_state connecting (the connection to the broker ended: "
            "gone); on_active_holds; on_state registered 2");
}

}  // namespace
}  // namespace muster::test
