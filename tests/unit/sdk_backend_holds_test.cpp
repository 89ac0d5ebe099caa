// Holds as a backend has them: from the ack to their end, and how many it keeps to.
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "unit/sdk_backend_holds_fixture.h"

namespace muster::test {
namespace {

using namespace std::chrono_literals;

TEST_F(BackendHoldTest, BeginsWithTheAckAndEndsOnce) {
  joined();
  EXPECT_FALSE(held());
  asks_to_hold(7);
  EXPECT_EQ(happened(), "handler 7; > Ack 7; on_hold_started 7 /cache");
  EXPECT_TRUE(held());
  ends(7);
  EXPECT_EQ(happened(), "on_hold_ended 7 (completed)");
  EXPECT_FALSE(held());
  ends(7);
  ends(7, HoldEnd::kExpired);
  EXPECT_EQ(happened(), "") << "once";
}

TEST_F(BackendHoldTest, EndsWithWhateverTheBrokerSays) {
  joined();
  for (const HoldEnd why :
       {HoldEnd::kCompleted, HoldEnd::kAbandoned, HoldEnd::kExpired, HoldEnd::kResumed}) {
    asks_to_hold(7);
    (void)happened();
    ends(7, why);
    EXPECT_EQ(happened(), "on_hold_ended 7 (" + std::string(to_string(why)) + ")");
    EXPECT_FALSE(held());
    (void)comes_back({}, std::string(to_string(why)));  // another broker: ids come again
  }
}

TEST_F(BackendHoldTest, CoversWholeComponentsOfThePathAndOfItsAlias) {
  joined();
  asks_to_hold(7, "/srv/cache", "/cache");
  EXPECT_EQ(happened(), "handler 7; > Ack 7; on_hold_started 7 /srv/cache = /cache");
  for (const char* path : {"/srv/cache", "/srv/cache/a/b", "/cache", "/cache/x"}) {
    EXPECT_TRUE(held(path)) << path;
  }
  for (const char* path : {"/srv", "/srv/cached", "/cached", "/", "cache/x", ""}) {
    EXPECT_FALSE(held(path)) << path;
  }
  asks_to_hold(8, "/");
  EXPECT_TRUE(held("/srv/cached")) << "the root covers everything";
}

TEST_F(BackendHoldTest, AReleaseWithoutAHoldHoldsNothing) {
  joined();
  operation(7);
  EXPECT_EQ(happened(), "handler 7; > Ack 7");
  EXPECT_FALSE(held());
}

TEST_F(BackendHoldTest, ARequestSaysWhatItAsksToBeKept) {
  std::vector<std::optional<ActiveHold>> said;
  handle_with([&](Request& request) { said.push_back(request.hold()); });
  started_and_registered();
  operation(6);
  asks(BroadcastOperation::release_handles("/srv/cache", "/cache"), 7, 1'700'000'600'000);
  quiesces(8);
  const std::vector<std::optional<ActiveHold>> wanted = {
      std::nullopt, ActiveHold{7, "/srv/cache", 1'700'000'600'000, "/cache"},
      ActiveHold{8, {}, 0, {}}};
  EXPECT_EQ(said, wanted);
}

TEST_F(BackendHoldTest, WhoDoesNotAcknowledgeIsNotHeld) {
  handle_with([&](Request& request) {
    if (request.broadcast_id() == 7) request.reject("busy");
    if (request.broadcast_id() == 8) throw std::runtime_error("disk on fire");
    if (request.broadcast_id() == 9) (void)request.defer();
  });
  started_and_registered();
  for (const HoldId id : {7U, 8U, 9U}) {
    asks_to_hold(id);
    EXPECT_FALSE(held()) << id;
    EXPECT_EQ(happened().find("on_hold"), std::string::npos) << id;
    ends(id);
    EXPECT_EQ(happened(), "") << id;
  }
}

// What the handler closed must not be opened again by another thread before the ack is out.
TEST_F(BackendHoldTest, ThePathIsHeldWhileTheHandlerIsAtIt) {
  defer_all();
  started_and_registered();
  handlers_are_busy();
  asks_to_hold(7);
  EXPECT_FALSE(held()) << "it has not begun";
  handlers_go_on();
  EXPECT_TRUE(held());
  EXPECT_FALSE(held("/other"));
  pending_.at(0).reject("busy");
  EXPECT_FALSE(held());
  asks_to_hold(8);
  acks(1);
  EXPECT_TRUE(held());
  EXPECT_EQ(happened(),
            "handler 7; > Failure 7 Rejected: busy; handler 8; > Ack 8; on_hold_started 8 /cache");
}

TEST_F(BackendHoldTest, ARequestThatNobodyIsHandedHoldsNothing) {
  joined();
  handlers_are_busy();
  asks_to_hold(7);
  cancel(7);
  asks_to_hold(8, "/b");
  passes(6s);  // its time is over
  asks_to_hold(9, "/c");
  connection_ends();
  handlers_go_on();
  for (const char* path : {"/cache", "/b", "/c"}) EXPECT_FALSE(held(path)) << path;
}

TEST_F(BackendHoldTest, ACancelledRequestHoldsOnlyIfItIsAckedAllTheSame) {
  defer_all();
  started_and_registered();
  asks_to_hold(7);
  asks_to_hold(8, "/b");
  cancel(7);
  cancel(8);
  acks(0);
  pending_.at(1).fail("gave up");
  EXPECT_TRUE(held()) << "a late ack is told the end of the hold, too";
  EXPECT_FALSE(held("/b"));
  ends(7);
  EXPECT_FALSE(held());
}

TEST_F(BackendHoldTest, OverlappingHoldsHoldUntilTheLastEnds) {
  joined();
  asks_to_hold(7, "/cache");
  asks_to_hold(8, "/cache/x");
  asks_to_hold(9, "/cache");
  (void)happened();
  ends(7);
  EXPECT_TRUE(held("/cache/x"));
  EXPECT_TRUE(held("/cache/y"));
  ends(9);
  EXPECT_TRUE(held("/cache/x"));
  EXPECT_FALSE(held("/cache/y"));
  ends(8);
  EXPECT_FALSE(held("/cache/x"));
  EXPECT_EQ(happened(),
            "on_hold_ended 7 (completed); on_hold_ended 9 (completed); on_hold_ended 8 "
            "(completed)");
}

TEST_F(BackendHoldTest, TheEndOfAHoldThatItDoesNotKnowCallsNoHandler) {
  joined();
  ends(7);
  ends(0, HoldEnd::kResumed);
  operation(8);
  ends(8);
  asks_to_hold(9);
  ends(7);
  EXPECT_EQ(happened(), "handler 8; > Ack 8; handler 9; > Ack 9; on_hold_started 9 /cache");
  EXPECT_TRUE(held());
}

// --- an end that comes before the answer

TEST_F(BackendHoldTest, AHoldThatEndedBeforeTheAckIsNotKept) {
  defer_all();
  started_and_registered();
  asks_to_hold(7);
  ends(7, HoldEnd::kAbandoned);
  EXPECT_FALSE(held());
  EXPECT_EQ(happened(), "handler 7");
  acks(0);
  EXPECT_EQ(happened(), "> Ack 7; on_hold_started 7 /cache; on_hold_ended 7 (abandoned)")
      << "who notes in its handler that it is held hears that it is not";
  EXPECT_FALSE(held());
  ends(7, HoldEnd::kAbandoned);  // the broker's answer to the late ack
  EXPECT_EQ(happened(), "");
  EXPECT_FALSE(held());
}

TEST_F(BackendHoldTest, AHoldThatEndsWithTheLateAckIsNotKept) {
  defer_all();
  started_and_registered();
  asks_to_hold(7);
  acks(0);
  EXPECT_TRUE(held());
  ends(7, HoldEnd::kAbandoned);
  EXPECT_EQ(happened(),
            "handler 7; > Ack 7; on_hold_started 7 /cache; on_hold_ended 7 (abandoned)");
  EXPECT_FALSE(held());
}

TEST_F(BackendHoldTest, AHoldThatEndedBeforeAnotherAnswerIsForgotten) {
  defer_all();
  started_and_registered();
  asks_to_hold(7);
  ends(7);
  pending_.at(0).reject("busy");
  EXPECT_EQ(happened(), "handler 7; > Failure 7 Rejected: busy");
  EXPECT_EQ(comes_back({}), "on_active_holds; on_state registered 2");
}

// --- bounds

TEST_F(BackendHoldTest, HoldsAreBoundedAndOneMoreIsNotAcknowledged) {
  joined();
  for (HoldId id = 1; id <= HoldMemory::kMost; ++id) asks_to_hold(id, "/" + std::to_string(id));
  (void)happened();
  asks_to_hold(5000, "/one-more");
  EXPECT_EQ(happened(), "> Failure 5000 BackendError: this backend keeps to 1024 holds already");
  EXPECT_FALSE(held("/one-more"));
  operation(5001);
  EXPECT_EQ(happened(), "handler 5001; > Ack 5001") << "it keeps nothing";
  ends(1);
  (void)happened();
  asks_to_hold(5002, "/one-more");
  EXPECT_TRUE(held("/one-more"));
}

TEST_F(BackendHoldTest, WhatABusyHandlerHasNotHeardIsToldOnceItIsNot) {
  joined();
  asks_to_hold(7);
  (void)happened();
  handlers_are_busy();
  ends(7);
  EXPECT_FALSE(held()) << "at once";
  EXPECT_EQ(comes_back({hold_on(8, "/b")}), "");
  ends(8, HoldEnd::kExpired);
  handlers_go_on();
  EXPECT_EQ(happened(),
            "on_hold_ended 7 (completed); on_state connecting (the connection to the broker ended: "
            "gone); on_active_holds /b; on_hold_started 8 /b; on_state registered 2; "
            "on_hold_ended 8 (expired)");
}

// Each that began ends, whatever is left out of what else waits.
TEST_F(BackendHoldTest, AHandlerThatIsTooFarBehindIsToldWithALaterRegistration) {
  joined();
  handlers_are_busy();
  HoldId id = 1;
  while (comes_back({hold_on(id, "/" + std::to_string(id))}).empty()) ++id;
  EXPECT_GT(id, HandlerQueue::kMaxOfHolds / 4);
  EXPECT_LE(id, HandlerQueue::kMaxOfHolds / 2 + 1) << "each ends the one before";
  handlers_go_on();
  const std::string told = happened();
  fires(BackendPort::Timer::kRetry);
  registered(2, kEpoch, {hold_on(id, "/last")});
  const std::string last = happened();
  std::size_t begun = 0;
  std::size_t ended = 0;
  for (const std::string& text : {told, last}) {
    for (auto at = text.find("on_hold_started"); at != std::string::npos;
         at = text.find("on_hold_started", at + 1)) {
      ++begun;
    }
    for (auto at = text.find("on_hold_ended"); at != std::string::npos;
         at = text.find("on_hold_ended", at + 1)) {
      ++ended;
    }
  }
  EXPECT_GT(begun, HandlerQueue::kMaxOfHolds / 4);
  EXPECT_EQ(begun, ended + 1);
  EXPECT_NE(last.find("on_hold_started " + std::to_string(id)), std::string::npos) << last;
}

}  // namespace
}  // namespace muster::test
