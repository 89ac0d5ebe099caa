// Holds as a backend has them: from the ack, or the registration, to their end.
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/backend_core_fixture.h"

namespace muster::test {
namespace {

using namespace std::chrono_literals;
using Timer = BackendPort::Timer;

constexpr char kEpochAfterHold[] = "the next broker.";

ActiveHold hold_on(HoldId id, std::string path, std::string alias = {}) {
  return {id, std::move(path), 0, std::move(alias)};
}

class BackendHoldTest : public BackendCoreTest {
 protected:
  BackendHoldTest() { listen(); }

  // Its handlers acknowledge, and what happened until then is forgotten.
  void joined() {
    handle_with([](Request&) {});
    started_and_registered();
  }
  void asks(BroadcastOperation operation, HoldId id, std::uint64_t expires_unix_ms = 0) {
    OutgoingOperation message;
    message.broadcast_id = id;
    message.operation = std::move(operation);
    message.ack_timeout = 5s;
    message.deadline_unix_ms = port_.now_unix_ms() + 5000;
    message.hold_id = id;
    message.hold_expires_unix_ms = expires_unix_ms;
    says(id, std::move(message));
  }
  void asks_to_hold(HoldId id, std::string path = "/cache", std::string alias = {}) {
    asks(BroadcastOperation::release_handles(std::move(path), std::move(alias)), id);
  }
  void quiesces(HoldId id, QuiesceReason reason = QuiesceReason::kMaintenance) {
    asks(BroadcastOperation::quiesce(reason), id);
  }
  void acks(std::size_t request) {
    pending_.at(request).ack();
    run_handlers();
  }
  void ends(HoldId id, HoldEnd why = HoldEnd::kCompleted) { says(0, HoldEnded{id, why}); }
  // What handlers hear from the registration on.
  std::string comes_back(std::vector<ActiveHold> holds, std::string epoch = kEpoch) {
    reconnects();
    (void)happened();
    registered(2, std::move(epoch), std::move(holds));
    return happened();
  }
  [[nodiscard]] bool held(const char* path = "/cache/x") const { return core_.is_held(path); }
};

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

// --- registrations

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
  const std::string end = "on_hold_ended 7 (" + std::string(to_string(HoldEnd::kWhileAway)) + ")";
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
  fires(Timer::kRetry);
  (void)happened();
  registered(2, kEpoch, {hold_on(7, "/cache")});
  EXPECT_EQ(happened(),
            "> Ack 7; > Ack 8; on_active_holds /cache; on_hold_ended 8 (ended while this backend "
            "was not connected); on_state registered 2");
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
  EXPECT_EQ(happened(),
            "> Ack 7; on_hold_started 7 /cache; on_hold_ended 7 (ended while this backend was not "
            "connected)");
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
  EXPECT_TRUE(
      happened().ends_with("; on_hold_ended 7 (ended while this backend was not "
                           "connected)"));
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
  fires(Timer::kRetry);
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

// --- quiesces

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
            "on_active_holds; on_hold_ended 7 (ended while this backend was not connected); "
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
