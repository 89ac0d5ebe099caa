// Holds over a restart of the broker.
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
using ::testing::IsEmpty;

class CoreKeptHoldsTest : public HoldsFixture {
 protected:
  static constexpr HoldId kId = 7;
  [[nodiscard]] KeptHold kept(bool leased, std::uint64_t expires_unix_ms) const {
    KeptHold hold;
    hold.id = kId;
    hold.operation = BroadcastOperation::release_handles("/cache", "/link");
    hold.asked_by = Operator{5, 50, "rm"};
    hold.leased = leased;
    hold.since_unix_ms = now.unix_ms - 20'000;
    hold.expires_unix_ms = expires_unix_ms;
    return hold;
  }
};

TEST_F(CoreKeptHoldsTest, ItIsKeptFromTheLastOutcomeOn) {
  join(kFirst);
  const HoldId id = start(held(seconds(60)));
  EXPECT_THAT(broker.holds_to_keep(), IsEmpty());
  EXPECT_EQ(shell.changes_of_holds, 0);
  broker.acked(kFirst, id, {}, now);
  EXPECT_EQ(shell.changes_of_holds, 1);
  ASSERT_EQ(broker.holds_to_keep().size(), 1u);
  const KeptHold kept = broker.holds_to_keep()[0];
  EXPECT_EQ(kept.id, id);
  EXPECT_EQ(kept.expires_unix_ms, now.unix_ms + 60'000);
  (void)broker.end_hold(id, now);
  EXPECT_EQ(shell.changes_of_holds, 2);
  EXPECT_THAT(broker.holds_to_keep(), IsEmpty());
}

TEST_F(CoreKeptHoldsTest, GoesOnWithWhatIsLeftOfItsTime) {
  broker.expect_hold(kept(false, now.unix_ms + 40'000), now);
  EXPECT_EQ(broker.holds_to_keep(), std::vector{kept(false, now.unix_ms + 40'000)});
  join(kFirst);
  EXPECT_THAT(shell.registered.active_holds,
              ElementsAre(ActiveHold{kId, "/cache", now.unix_ms + 40'000, "/link"}));
  later(milliseconds(39'999));
  let_pass();
  EXPECT_THAT(active(), ElementsAre(kId));
  later(milliseconds(1));
  let_pass();
  EXPECT_THAT(told(kId), ElementsAre("1 expired"));
}

TEST_F(CoreKeptHoldsTest, WhoseTimeIsOverHasEnded) {
  broker.expect_hold(kept(false, now.unix_ms), now);
  EXPECT_THAT(active(), IsEmpty());
  EXPECT_EQ(shell.changes_of_holds, 1);
  join(kFirst);
  EXPECT_THAT(told_at_registration(), IsEmpty());
}

TEST_F(CoreKeptHoldsTest, WasViolatedAlsoAfterARestart) {
  BroadcastRequest request = held(seconds(60));
  request.verify = true;
  const HoldId id = start(std::move(request));
  broker.scanned(id, scan_of(HolderVerdict::kClear), now);
  const int changes = shell.changes_of_holds;
  later(seconds(10));
  let_pass();
  Holder holder;
  holder.pid = 10;
  broker.scanned(id, scan_of(HolderVerdict::kHeld, {holder}), now);
  EXPECT_GT(shell.changes_of_holds, changes) << "it is written";
  ASSERT_EQ(broker.holds_to_keep().size(), 1u);
  EXPECT_EQ(broker.holds_to_keep()[0].violations, 1u);

  test::KeepingShell next_shell;
  Broker next({}, next_shell);
  next.expect_hold(broker.holds_to_keep()[0], now);
  ASSERT_EQ(next.holds().size(), 1u);
  EXPECT_EQ(next.holds()[0].state.more_violations, 1u);
  EXPECT_EQ(next.holds_to_keep(), broker.holds_to_keep());
}

TEST_F(CoreKeptHoldsTest, ALeaseWaitsForItsOperatorAsLongAsTheGrace) {
  broker.expect_hold(kept(true, 0), now);
  EXPECT_TRUE(broker.holds()[0].state.owner_away);
  join(kFirst);
  later(milliseconds(4'999));
  let_pass();
  EXPECT_THAT(active(), ElementsAre(kId));
  later(milliseconds(1));
  let_pass();
  EXPECT_THAT(told(kId), ElementsAre("1 abandoned"));
}

TEST_F(CoreKeptHoldsTest, ALeaseIsTakenUpAgainByTheSameUserAlone) {
  broker.expect_hold(kept(true, 0), now);
  EXPECT_EQ(broker.keep_hold(kId, 6, now)->code, ControlError::Code::kDenied);
  EXPECT_EQ(broker.keep_hold(kId + 1, 5, now)->code, ControlError::Code::kNotFound);
  EXPECT_FALSE(broker.keep_hold(kId, 5, now));
  EXPECT_FALSE(broker.holds()[0].state.owner_away);
  later(hours(1));
  let_pass();
  EXPECT_THAT(active(), ElementsAre(kId));
  broker.hold_left(kId, now);
  EXPECT_THAT(active(), IsEmpty());
}

TEST_F(CoreKeptHoldsTest, WhoeverDetachesAHoldLeavesItToItsTime) {
  broker.expect_hold(kept(true, now.unix_ms + 40'000), now);
  EXPECT_EQ(broker.detach_hold(kId, 6, now)->code, ControlError::Code::kDenied);
  EXPECT_EQ(broker.detach_hold(kId + 1, 5, now)->code, ControlError::Code::kNotFound);
  EXPECT_FALSE(broker.detach_hold(kId, 5, now));
  EXPECT_FALSE(broker.holds_to_keep().at(0).leased) << "so it is on disk";
  broker.hold_left(kId, now);
  later(milliseconds(39'999));
  let_pass();
  EXPECT_THAT(active(), ElementsAre(kId));
  later(milliseconds(1));
  let_pass();
  EXPECT_THAT(active(), IsEmpty());
  EXPECT_EQ(broker.detach_hold(kId, 5, now)->code, ControlError::Code::kNotFound);
}

// Nothing would end it any more: such a hold is not begun either.
TEST_F(CoreKeptHoldsTest, AHoldWithoutATimeIsNotDetached) {
  broker.expect_hold(kept(true, 0), now);
  EXPECT_EQ(broker.detach_hold(kId, 5, now)->code, ControlError::Code::kInvalid);
  EXPECT_TRUE(broker.holds()[0].state.owner_away) << "nothing has changed";
  join(kFirst);
  const HoldId id = start(held());
  broker.acked(kFirst, id, {}, now);
  EXPECT_EQ(broker.detach_hold(id, 5, now)->code, ControlError::Code::kInvalid);
  broker.hold_left(id, now);
  EXPECT_THAT(active(), ElementsAre(kId));
}

TEST_F(CoreKeptHoldsTest, OneWithATimeCannotBeTakenUp) {
  broker.expect_hold(kept(false, now.unix_ms + 40'000), now);
  EXPECT_EQ(broker.keep_hold(kId, 5, now)->code, ControlError::Code::kInvalid);
}

TEST_F(CoreKeptHoldsTest, AConnectionThatEndsWithTheBrokerEndsNoHold) {
  join(kFirst);
  const HoldId id = start(held());
  broker.acked(kFirst, id, {}, now);
  broker.shut_down(now, false);
  broker.hold_left(id, now);
  EXPECT_EQ(broker.holds_to_keep().size(), 1u);
}

}  // namespace
}  // namespace muster::core
