// Holds and verifications where something else happens beside them: what the simulator found.
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/operation_keys.h"
#include "support/holds_fixture.h"

namespace muster::core {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CoreHoldCornersTest : public HoldsFixture {
 protected:
  // The same process, on another connection.
  void come_back(ConnectionId before, ConnectionId now_on) {
    broker.connection_lost(before, LossCause::kClosed, now);
    const Peer peer{{static_cast<pid_t>(before.slot), 1}, 0, 0};
    ASSERT_TRUE(broker.connection_opened(now_on, peer, now));
    Registration registration;
    registration.key = {Instance::shared(), "s" + std::to_string(before.slot), "1.0.0", ""};
    broker.registration(now_on, 1, std::move(registration), now);
  }
};

// --- a quiesce

TEST_F(CoreHoldCornersTest, WhoeverAckedAQuiesceAndCameBackIsToldOnceThatItIsResumed) {
  for (const bool by_id : {true, false}) {
    shell.holds_ended.clear();
    join(by_id ? kFirst : kSecond);
    const ConnectionId connection = by_id ? kFirst : kSecond;
    const HoldId id = start(quiesced());
    broker.acked(connection, id, {}, now);
    const ConnectionId again{connection.slot + 10, 1};
    come_back(connection, again);
    EXPECT_THAT(told_at_registration(), ElementsAre(id));
    (void)broker.resume(by_id ? id : 0, {}, now);
    EXPECT_THAT(told(id), ElementsAre(std::to_string(again.slot) + " resumed"));
    broker.deregister(again, 2, now);
  }
}

TEST_F(CoreHoldCornersTest, WhomAnOperatorResumedAloneIsNotToldOfTheEndAgain) {
  join(kFirst);
  const HoldId id = start(quiesced(seconds(5)));
  broker.acked(kFirst, id, {}, now);
  const ConnectionId again{11, 1};
  come_back(kFirst, again);
  (void)broker.resume(id, {Selector::parse("service=s1").selector}, now);
  EXPECT_THAT(told(id), ElementsAre("11 resumed"));
  EXPECT_THAT(active(), ElementsAre(id)) << "others may still be quiesced";
  later(seconds(5));
  let_pass();
  EXPECT_THAT(active(), ElementsAre());
  EXPECT_THAT(told(id), ElementsAre("11 resumed"));
}

TEST_F(CoreHoldCornersTest, WhomAnOperatorResumedWhileItWasAwayIsToldOnce) {
  join(kFirst);
  const HoldId id = start(quiesced(seconds(5)));
  broker.acked(kFirst, id, {}, now);
  broker.connection_lost(kFirst, LossCause::kClosed, now);
  (void)broker.resume(id, {Selector::parse("service=s1").selector}, now);
  const ConnectionId again{11, 1};
  come_back(kFirst, again);
  EXPECT_THAT(told(id), ElementsAre("11 resumed"));
  later(seconds(5));
  let_pass();
  EXPECT_THAT(told(id), ElementsAre("11 resumed"));
}

TEST_F(CoreHoldCornersTest, WhoeverWasToldOfAQuiesceAndAckedItIsToldOnceOfTheEnd) {
  join(kFirst);
  BroadcastRequest request = quiesced(seconds(5));
  const HoldId id = start(std::move(request));
  const ConnectionId again{11, 1};
  come_back(kFirst, again);  // it is asked there again
  broker.acked(again, id, {}, now);
  later(seconds(5));
  let_pass();
  EXPECT_THAT(told(id), ElementsAre("11 expired"));
}

// --- the report

TEST_F(CoreHoldCornersTest, AReportStaysWhileItsHoldGoesOn) {
  Config config;
  config.max_reports = 1;
  Broker small(config, shell);
  const auto begin = [&](BroadcastRequest request) {
    return std::get<Started>(small.start_broadcast(std::move(request), now, Operator{5, 50, "rm"}))
        .id;
  };
  const auto is_there = [&](BroadcastId id) {
    return std::holds_alternative<BroadcastRows>(small.report(id, now));
  };
  BroadcastRequest plain = held();
  plain.hold.reset();
  const HoldId first = begin(held());
  const BroadcastId second = begin(plain);
  const HoldId third = begin(held(seconds(7200)));
  const BroadcastId fourth = begin(plain);
  EXPECT_TRUE(is_there(first));
  EXPECT_FALSE(is_there(second));
  EXPECT_TRUE(is_there(third));
  EXPECT_TRUE(is_there(fourth)) << "the newest";
  later(hours(1));
  let_pass_in(small);
  EXPECT_TRUE(is_there(first)) << "however old it is";
  EXPECT_FALSE(is_there(fourth));
  EXPECT_FALSE(small.end_hold(first, now));
  EXPECT_FALSE(is_there(first));
  EXPECT_TRUE(is_there(third));
  later(hours(1));
  let_pass_in(small);
  EXPECT_FALSE(is_there(third)) << "with the hold the reason to keep it has gone";
  for (const auto& [id, at] : shell.deadlines) EXPECT_GT(at, now.steady);
}

TEST_F(CoreHoldCornersTest, AReportIsChargedTheSameAfterItWasSavedAndRestored) {
  BroadcastRequest request = release();
  request.hold = HoldRequest{true, {}};
  request.verify_wait = seconds(5);
  const BroadcastId id = start(std::move(request));
  HolderScan scan = scan_of(HolderVerdict::kHeld);
  scan.holders.reserve(50);
  scan.holders.resize(3);
  scan.unseen.reserve(50);
  broker.scanned(id, std::move(scan), now);
  const auto charged = [&](Broker& of) {
    BrokerStatus status;
    of.fill_status(status);
    return status.users.at(0).report_bytes.used;
  };
  test::KeepingShell other_shell;
  Broker other({}, other_shell);
  other.restore(broker.save());
  for (Broker* const one : {&broker, &other}) {
    EXPECT_FALSE(one->end_hold(id, now));
    EXPECT_EQ(std::get<std::uint32_t>(one->cancel_broadcast(id, now)), 0u);
  }
  EXPECT_EQ(charged(broker), charged(other));
  EXPECT_EQ(broker.save(), other.save());
}

// --- going down

TEST_F(CoreHoldCornersTest, BackendsAreQuiescedBeforeABrokerThatVerifiesHasDrained) {
  class Drains final : public test::KeepingShell {
   public:
    void drained() override { operations_when_drained = operations.size(); }
    std::size_t operations_when_drained = 0;
  };
  Drains drains;
  Broker one({}, drains);
  const auto id = std::get<Started>(one.start_broadcast(release(), now)).id;
  ASSERT_TRUE(one.connection_opened(kFirst, {{1, 1}, 0, 0}, now));
  Registration registration;
  registration.key = {Instance::shared(), "s1", "1.0.0", ""};
  one.registration(kFirst, 1, std::move(registration), now);
  ASSERT_THAT(drains.ended_broadcasts, ElementsAre()) << "it is verified";
  one.shut_down(now);
  EXPECT_THAT(drains.ended_broadcasts, ElementsAre(id));
  EXPECT_EQ(drains.operations_when_drained, 0u) << "one has not answered";
  one.acked(kFirst, drains.operations.back().broadcast_id, {}, now);
  EXPECT_EQ(drains.operations_when_drained, 1u);
}

// --- what an operator asks for

TEST_F(CoreHoldCornersTest, AnOperationKeyIsOfARequestWithItsProofAndItsHold) {
  BroadcastRequest plain = held();
  plain.hold.reset();
  plain.operation_key = "nightly";
  const BroadcastId id = start(plain);
  BroadcastRequest verified = plain;
  verified.verify = true;
  BroadcastRequest leased = plain;
  leased.hold = HoldRequest{true, {}};
  for (const BroadcastRequest& other : {verified, leased}) {
    const ControlError error = refused(other);
    EXPECT_EQ(error.code, ControlError::Code::kKeyConflict);
    EXPECT_THAT(error.message, HasSubstr("with other options"));
  }
  EXPECT_EQ(start(plain), id);

  leased.operation_key = "weekly";
  const BroadcastId second = start(leased);
  BroadcastRequest longer = leased;
  longer.hold->ttl = seconds(5);
  EXPECT_EQ(refused(longer).code, ControlError::Code::kKeyConflict);
  EXPECT_EQ(start(leased), second);

  verified.operation_key = "hourly";
  const BroadcastId third = start(verified);
  verified.verify_wait = seconds(5);
  EXPECT_EQ(start(verified), third) << "how long it waits makes no other request";
}

TEST_F(CoreHoldCornersTest, PathsOfHoldsThatNobodyIsChargedForAreBoundedToo) {
  std::uint32_t held_ones = 0;
  for (int i = 0; i < 12; ++i) {
    const auto answer =
        broker.start_broadcast(held({}, '/' + std::string(4000, 'p') + std::to_string(i)), now);
    held_ones += std::holds_alternative<Started>(answer) ? 1 : 0;
  }
  EXPECT_EQ(held_ones, 8u) << "32 KiB of them";
}

TEST_F(CoreHoldCornersTest, AFileThatWasBusyWithoutAHolderBeforeIsNoViolation) {
  BroadcastRequest request = release();
  request.hold = HoldRequest{true, {}};
  const BroadcastId id = start(std::move(request));
  HolderScan scan = scan_of(HolderVerdict::kHeld);
  scan.leases.busy = 1;
  ASSERT_TRUE(scan.held_by_unknown());
  broker.scanned(id, scan, now);
  later(seconds(10));
  let_pass();
  ASSERT_EQ(shell.scans.size(), 2u);
  broker.scanned(id, scan, now);
  EXPECT_EQ(report(id).hold->violations.size(), 0u);
  EXPECT_EQ(report(id).hold->scans, 1u);
}

}  // namespace
}  // namespace muster::core
