// Holds: who is told of the beginning and of the end, what ends one, who may have one.
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/holds_fixture.h"

namespace muster::core {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class CoreHoldsTest : public HoldsFixture {};

TEST_F(CoreHoldsTest, WhoeverAckedIsTold) {
  join(kFirst);
  join(kSecond);
  join(kThird);
  const HoldId id = start(held());
  ASSERT_EQ(shell.operations.size(), 3u);
  EXPECT_EQ(shell.operations[0].hold_id, id);
  broker.acked(kFirst, id, {}, now);
  broker.failed(kSecond, id, {BroadcastFailureReason::kRejected, "busy"}, now);
  EXPECT_EQ(broker.holds().at(0).state.since_unix_ms, 0u) << "one has not answered";
  broker.acked(kThird, id, {}, now);
  const HoldInfo hold = broker.holds().at(0);
  EXPECT_EQ(hold.id, id);
  EXPECT_EQ(hold.acked, 2u);
  EXPECT_EQ(hold.state.since_unix_ms, now.unix_ms);
  EXPECT_TRUE(hold.state.leased);
  EXPECT_EQ(hold.asked_by, (Operator{5, 50, "rm"}));
  EXPECT_EQ(report(id).hold, hold.state);
  EXPECT_THAT(told(id), IsEmpty());
  EXPECT_FALSE(broker.end_hold(id, now));
  EXPECT_THAT(told(id), UnorderedElementsAre("1 completed", "3 completed"));
  EXPECT_THAT(shell.answered_holds, ElementsAre(id));
  EXPECT_THAT(active(), IsEmpty());
  EXPECT_EQ(report(id).hold->ended, HoldEnd::kCompleted);
  EXPECT_EQ(broker.hold(id)->acked, 2u);
}

TEST_F(CoreHoldsTest, APlainReleaseHasNone) {
  join(kFirst);
  BroadcastRequest request = held();
  request.hold.reset();
  const BroadcastId id = start(std::move(request));
  broker.acked(kFirst, id, {}, now);
  EXPECT_FALSE(shell.operations[0].hold_id);
  EXPECT_FALSE(report(id).hold);
  EXPECT_EQ(broker.end_hold(id, now)->code, ControlError::Code::kNotFound);
}

TEST_F(CoreHoldsTest, TheConnectionsEndAbandonsALease) {
  join(kFirst);
  const HoldId id = start(held());
  broker.acked(kFirst, id, {}, now);
  broker.hold_left(id, now);
  EXPECT_THAT(told(id), ElementsAre("1 abandoned"));
  broker.hold_left(id, now);
  EXPECT_EQ(broker.end_hold(id, now)->code, ControlError::Code::kNotFound);
  EXPECT_THAT(told(id), ElementsAre("1 abandoned")) << "once";
}

TEST_F(CoreHoldsTest, ALeaseThatEndsWhileBackendsAreAskedIsToldToThoseThatAckLater) {
  join(kFirst);
  join(kSecond);
  const HoldId id = start(held());
  broker.acked(kFirst, id, {}, now);
  broker.hold_left(id, now);
  EXPECT_THAT(told(id), ElementsAre("1 abandoned"));
  EXPECT_EQ(report(id).state, BroadcastState::kRunning) << "the broadcast goes on";
  broker.acked(kSecond, id, {}, now);
  EXPECT_THAT(told(id), ElementsAre("1 abandoned", "2 abandoned"));
  EXPECT_EQ(report(id).state, BroadcastState::kFinished);
  EXPECT_EQ(report(id).hold->ended, HoldEnd::kAbandoned);
}

TEST_F(CoreHoldsTest, ALateAckIsHeldUntilTheEndAndToldAtOnceAfterIt) {
  join(kFirst);
  join(kSecond);
  BroadcastRequest request = held();
  request.ack_timeout = milliseconds(100);
  const HoldId id = start(std::move(request));
  later(milliseconds(100));
  let_pass();
  ASSERT_EQ(report(id).result.timeouts.size(), 2u);
  broker.acked(kFirst, id, {}, now);
  EXPECT_EQ(broker.holds().at(0).acked, 1u);
  (void)broker.end_hold(id, now);
  EXPECT_THAT(told(id), ElementsAre("1 completed"));
  broker.acked(kSecond, id, {}, now);
  EXPECT_THAT(told(id), ElementsAre("1 completed", "2 completed"));
  EXPECT_EQ(broker.hold(id)->acked, 2u);
}

TEST_F(CoreHoldsTest, TheTimeCountsFromTheLastOutcome) {
  join(kFirst);
  const HoldId id = start(held(seconds(60)));
  later(seconds(3));
  now.unix_ms += 3'000;
  broker.acked(kFirst, id, {}, now);
  EXPECT_EQ(broker.holds().at(0).state.expires_unix_ms, now.unix_ms + 60'000);
  later(milliseconds(59'999));
  let_pass();
  EXPECT_THAT(active(), ElementsAre(id));
  later(milliseconds(1));
  let_pass();
  EXPECT_THAT(told(id), ElementsAre("1 expired"));
  broker.hold_left(id, now);
}

TEST_F(CoreHoldsTest, OneWithATimeAloneOutlivesTheConnection) {
  join(kFirst);
  const HoldId id = start(held(seconds(60)));
  broker.acked(kFirst, id, {}, now);
  broker.hold_left(id, now);
  EXPECT_THAT(active(), ElementsAre(id));
}

TEST_F(CoreHoldsTest, LeasedAndWithATimeEndsWithTheFirst) {
  BroadcastRequest request = held(seconds(60));
  request.hold->leased = true;
  const HoldId first = start(request);
  broker.hold_left(first, now);
  EXPECT_EQ(broker.hold(first)->state.ended, HoldEnd::kAbandoned);
  const HoldId second = start(request);
  later(seconds(60));
  let_pass();
  EXPECT_EQ(broker.hold(second)->state.ended, HoldEnd::kExpired);
}

TEST_F(CoreHoldsTest, WhoeverRegistersMeanwhileIsToldOfItAndOfItsEnd) {
  join(kFirst);
  const HoldId id = start(held());
  join(kSecond);
  EXPECT_THAT(told_at_registration(), ElementsAre(id)) << "backends are still being asked";
  broker.acked(kFirst, id, {}, now);
  join(kThird);
  EXPECT_THAT(shell.registered.active_holds, ElementsAre(ActiveHold{id, "/cache", 0, ""}));
  (void)broker.end_hold(id, now);
  EXPECT_THAT(told(id), UnorderedElementsAre("1 completed", "2 completed", "3 completed"));
  join({4, 1});
  EXPECT_THAT(told_at_registration(), IsEmpty());
}

TEST_F(CoreHoldsTest, WhoeverIsNotSelectedIsNotTold) {
  BroadcastRequest request = held();
  request.selection = {Selector::parse("service=s1").selector};
  join(kFirst);
  const HoldId id = start(std::move(request));
  broker.acked(kFirst, id, {}, now);
  join(kSecond);
  EXPECT_THAT(told_at_registration(), IsEmpty());
  (void)broker.end_hold(id, now);
  EXPECT_THAT(told(id), ElementsAre("1 completed"));
}

TEST_F(CoreHoldsTest, ABackendThatComesBackIsToldOnceOfTheEnd) {
  join(kFirst);
  const HoldId id = start(held());
  broker.acked(kFirst, id, {}, now);
  broker.connection_lost(kFirst, LossCause::kClosed, now);
  ASSERT_TRUE(broker.connection_opened(kSecond, {{1, 1}, 0, 0}, now));
  Registration again;
  again.key = {Instance::shared(), "s1", "1.0.0", ""};
  broker.registration(kSecond, 1, std::move(again), now);
  EXPECT_THAT(told_at_registration(), ElementsAre(id));
  (void)broker.end_hold(id, now);
  EXPECT_THAT(told(id), ElementsAre("2 completed"));
}

TEST_F(CoreHoldsTest, SeveralGoOnBesideEachOther) {
  join(kFirst);
  const HoldId one = start(held({}, "/a"));
  const HoldId other = start(held({}, "/a/b"));
  broker.acked(kFirst, one, {}, now);
  broker.acked(kFirst, other, {}, now);
  (void)broker.end_hold(one, now);
  EXPECT_THAT(active(), ElementsAre(other));
  join(kSecond);
  EXPECT_THAT(told_at_registration(), ElementsAre(other));
  (void)broker.end_hold(other, now);
  EXPECT_THAT(told(one), ElementsAre("1 completed"));
  EXPECT_THAT(told(other), UnorderedElementsAre("1 completed", "2 completed"));
}

TEST_F(CoreHoldsTest, CancellingTheBroadcastEndsIt) {
  join(kFirst);
  join(kSecond);
  const HoldId id = start(held());
  broker.acked(kFirst, id, {}, now);
  (void)broker.cancel_broadcast(id, now);
  EXPECT_THAT(told(id), ElementsAre("1 abandoned"));
  EXPECT_EQ(report(id).hold->ended, HoldEnd::kAbandoned);
  EXPECT_THAT(active(), IsEmpty());
}

// --- of a quiesce

TEST_F(CoreHoldsTest, OfAQuiesceResumesWhoeverAckedAndTellsWhoeverCameMeanwhile) {
  join(kFirst);
  const HoldId id = start(quiesced());
  broker.acked(kFirst, id, {}, now);
  join(kSecond);
  EXPECT_THAT(shell.registered.active_holds, ElementsAre(ActiveHold{id, "", 0, ""}));
  EXPECT_TRUE(broker.backends({})[0].quiesced);
  (void)broker.end_hold(id, now);
  EXPECT_THAT(told(id), UnorderedElementsAre("1 completed", "2 completed"));
  EXPECT_FALSE(broker.backends({})[0].quiesced);
}

TEST_F(CoreHoldsTest, OfAQuiesceLeavesWhatAnotherQuiesceHolds) {
  join(kFirst);
  BroadcastRequest plain = quiesced();
  plain.hold.reset();
  const BroadcastId first = start(std::move(plain));
  broker.acked(kFirst, first, {}, now);
  const HoldId id = start(quiesced());
  broker.acked(kFirst, id, {}, now);
  (void)broker.end_hold(id, now);
  EXPECT_THAT(told(id), IsEmpty()) << "it goes on being quiesced";
  EXPECT_EQ(broker.backends({})[0].quiesced->broadcast, first);
  (void)broker.resume(first, {}, now);
  EXPECT_THAT(told(first), ElementsAre("1 resumed"));
}

TEST_F(CoreHoldsTest, AResumeOfEverybodyEndsTheHoldsOfQuiesces) {
  join(kFirst);
  const HoldId id = start(quiesced());
  broker.acked(kFirst, id, {}, now);
  const HoldId release = start(held());
  broker.acked(kFirst, release, {}, now);
  (void)broker.resume(0, {}, now);
  EXPECT_THAT(active(), ElementsAre(release));
  EXPECT_THAT(told(id), ElementsAre("1 resumed"));
  EXPECT_EQ(broker.hold(id)->state.ended, HoldEnd::kResumed);
}

TEST_F(CoreHoldsTest, OfAQuiesceThatIsAckedLateEndsAtOnce) {
  join(kFirst);
  BroadcastRequest request = quiesced();
  request.ack_timeout = milliseconds(100);
  const HoldId id = start(std::move(request));
  later(milliseconds(100));
  let_pass();
  broker.hold_left(id, now);
  broker.acked(kFirst, id, {}, now);
  EXPECT_THAT(told(id), ElementsAre("1 abandoned"));
  EXPECT_FALSE(broker.backends({})[0].quiesced);
}

// --- who may have one

TEST_F(CoreHoldsTest, OneWithoutAnEndIsRefused) {
  BroadcastRequest request = held();
  request.hold = HoldRequest{};
  EXPECT_EQ(refused(request).code, ControlError::Code::kInvalid);
  request.hold->ttl = milliseconds(0);
  EXPECT_EQ(refused(request).code, ControlError::Code::kInvalid);
  request.hold->ttl = hours(24);
  EXPECT_EQ(refused(request).message, "");
  request.hold->ttl = hours(24) + milliseconds(1);
  EXPECT_EQ(refused(request).code, ControlError::Code::kInvalid);
}

TEST_F(CoreHoldsTest, AUserHasAsManyAsItsQuotaAllows) {
  for (int i = 0; i < 64; ++i) ASSERT_EQ(refused(held()).message, "");
  const ControlError over = refused(held());
  EXPECT_EQ(over.code, ControlError::Code::kBusy);
  EXPECT_EQ(over.message, "uid 5 has 64 holds, and its quota is 64; end one first");
  EXPECT_EQ(refused(held(), 6).message, "") << "another user's";
  (void)broker.end_hold(active().front(), now);
  EXPECT_EQ(refused(held()).message, "");
}

TEST_F(CoreHoldsTest, AllTogetherFitIntoOneRegistration) {
  const auto long_path = [](int i) { return "/" + std::string(4'000, 'x') + std::to_string(i); };
  int taken = 0;
  while (refused(held({}, long_path(taken))).message.empty()) ++taken;
  EXPECT_EQ(taken, 6) << "24 KiB for users";
  EXPECT_EQ(refused(held({}, long_path(9)), 0).message, "") << "root has a reserve";
  EXPECT_EQ(refused(held({}, long_path(9)), 0).message, "");
  EXPECT_THAT(refused(held({}, long_path(9)), 0).message, HasSubstr("try again"));
}

}  // namespace
}  // namespace muster::core
