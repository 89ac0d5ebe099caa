// What operators of one user may take of the broker: others, root above all, keep their place.
#include <optional>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "component/control_plane_fixture.h"

namespace muster::test {
namespace {

constexpr uid_t kAlice = 54'321;
constexpr uid_t kBob = 54'322;

class ControlPlaneLedgerTest : public ControlPlaneTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can connect as somebody else";
    ControlPlaneTest::SetUp();
  }
  void TearDown() override {
    if (dir_) ControlPlaneTest::TearDown();
  }

  // The kernel names who connects by the effective user of that moment.
  TestOperator& connect_as(uid_t uid) {
    EXPECT_EQ(::chmod(dir_->path().c_str(), 0755), 0);
    EXPECT_EQ(::chmod((*dir_ / "control.sock").c_str(), 0666), 0);
    EXPECT_EQ(::seteuid(uid), 0);
    TestOperator& op = connect();
    EXPECT_EQ(::seteuid(0), 0);
    settle();
    return op;
  }
  [[nodiscard]] UserUsage usage_of(uid_t uid) {
    BrokerStatus status;
    server_->core().fill_status(status);
    for (const auto& user : status.users) {
      if (user.uid == uid) return user;
    }
    return {};
  }
};

TEST_F(ControlPlaneLedgerTest, AConnectionThatAHoldBelongsToIsNotClosedForAnother) {
  options_.core.quotas.each.operators = 2;
  settings_.idle = std::chrono::milliseconds(0);
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect_as(kAlice);
  auto held = release("/cache");
  held.request.hold = HoldRequest{true, std::nullopt};
  op.asks(1, held);
  EXPECT_EQ(backend.hears(), "operation 100: release-handles /cache");
  backend.acks(100);
  EXPECT_NE(op.hears().find("1 report 100 finished"), std::string::npos);
  for (int i = 0; i < 4; ++i) {
    TestOperator& other = connect_as(kAlice);
    other.asks(1, wire::Ping{});
    EXPECT_EQ(other.hears(), "1 pong") << "the idle one before it is closed";
  }
  EXPECT_EQ(backend.has_heard(), "nothing");
  op.asks(2, wire::ListHolds{});
  EXPECT_EQ(op.hears(), "2 holds 100");
}

TEST_F(ControlPlaneLedgerTest, AUserHasAQuotaOfConnectionsAndOthersGetIn) {
  options_.core.quotas.each.operators = 3;
  start();
  for (int i = 0; i < 3; ++i) connect_as(kAlice);
  EXPECT_EQ(connect_as(kAlice).hears(),
            "0 error (busy): uid 54321 has 3 connected operators, and its quota is 3; try again "
            "when one is done");
  EXPECT_EQ(usage_of(kAlice).operators, (Share{3, 3}));
  TestOperator& bob = connect_as(kBob);
  bob.asks(1, wire::Ping{});
  EXPECT_EQ(bob.hears(), "1 pong");
  for (int i = 0; i < 5; ++i) expect_it_answers();

  for (auto& op : operators_) op.closes();
  settle();
  EXPECT_EQ(usage_of(kAlice).operators.used, 0u);
  TestOperator& again = connect_as(kAlice);
  again.asks(1, wire::Ping{});
  EXPECT_EQ(again.hears(), "1 pong");
}

TEST_F(ControlPlaneLedgerTest, APartOfAllConnectionsIsKeptForRoot) {
  settings_.connections = 8;
  start();
  for (uid_t i = 0; i < 6; ++i) connect_as(kAlice + i);
  EXPECT_EQ(connect_as(kAlice + 6).hears(),
            "0 error (busy): 6 operators are connected, which is the most that the configuration "
            "allows: try again when one is done");
  TestOperator& first = connect();
  TestOperator& second = connect();
  for (auto* op : {&first, &second}) {
    op->asks(1, wire::Ping{});
    EXPECT_EQ(op->hears(), "1 pong");
  }
  EXPECT_NE(connect().hears().find("error (busy): 8 operators"), std::string::npos);
}

TEST_F(ControlPlaneLedgerTest, AnIdleConnectionGivesItsPlaceToOneThatComes) {
  settings_.idle = std::chrono::milliseconds(0);
  options_.core.quotas.each.operators = 2;
  start();
  join("a");
  TestOperator& waiting = connect_as(kAlice);
  waiting.asks(1, release("/cache"));
  settle();
  TestOperator& idle = connect_as(kAlice);
  TestOperator& newcomer = connect_as(kAlice);
  EXPECT_EQ(idle.hears(), "end of stream");
  newcomer.asks(1, wire::Watch{});
  EXPECT_EQ(newcomer.hears(), "1 watching");
  EXPECT_NE(connect_as(kAlice).hears().find("error (busy)"), std::string::npos)
      << "one waits, one watches: neither is idle";
}

TEST_F(ControlPlaneLedgerTest, WhoFollowsEventsIsCounted) {
  options_.core.quotas.each.followers = 2;
  start();
  TestOperator& first = connect_as(kAlice);
  TestOperator& second = connect_as(kAlice);
  first.asks(1, wire::Watch{});
  EXPECT_EQ(first.hears(), "1 watching");
  second.asks(1, wire::Watch{});
  EXPECT_EQ(second.hears(), "1 watching");
  auto followed = release("/cache");
  followed.events = true;
  second.asks(2, followed);
  EXPECT_EQ(second.hears(),
            "2 error (busy): uid 54321 has 2 requests that follow events, and its quota is 2; try "
            "again when one is done, or without following events");
  EXPECT_EQ(usage_of(kAlice).followers, (Share{2, 2}));
  first.asks(1, wire::Cancel{});
  settle();
  followed.events = false;
  second.asks(3, wire::Watch{});
  EXPECT_EQ(second.hears(), "3 watching");
  connect_as(kBob).asks(1, wire::Watch{});
  settle();
  EXPECT_EQ(operators_.back().hears(), "1 watching");
}

TEST_F(ControlPlaneLedgerTest, WhatIsNotReadIsInTheUsersAccountAndBounded) {
  constexpr std::uint64_t kQuota = 1 << 20;
  options_.core.quotas.each.answer_bytes = kQuota;
  start();
  Registration registration = registration_of("a");
  for (int i = 0; i < 16; ++i) {
    registration.labels["label-" + std::to_string(i)] = std::string(64, 'v');
  }
  for (int i = 0; i < 100; ++i) {
    registration.key.replica = std::to_string(i);
    join(registration);
  }
  // A list has about 170 KB, and a socket takes about as much.
  for (int i = 0; i < 30; ++i) {
    TestOperator& greedy = connect_as(kAlice);
    // Its connection may end over the first answer.
    for (const std::uint64_t number : {1U, 2U}) {
      (void)greedy.sends(wire::encode(wire::ControlRequestFrame{number, wire::ListBackends{}}));
    }
    settle();
    EXPECT_LE(usage_of(kAlice).answer_bytes.used, kQuota);
  }
  EXPECT_GT(usage_of(kAlice).answer_bytes.used, kQuota / 2);
  EXPECT_GT(server_->core().counters().over_quota, 0u);

  TestOperator& bob = connect_as(kBob);
  bob.asks(1, wire::ListBackends{});
  EXPECT_EQ(bob.hears().substr(0, 10), "1 backends");

  for (auto& op : operators_) op.closes();
  settle();
  EXPECT_EQ(usage_of(kAlice).answer_bytes.used, 0u);
}

TEST_F(ControlPlaneLedgerTest, AnAnswerForWhichThereIsNoRoomIsAnError) {
  options_.core.quotas.each.answer_bytes = 16 << 10;
  start();
  Registration registration = registration_of("a");
  for (int i = 0; i < 16; ++i) {
    registration.labels["label-" + std::to_string(i)] = std::string(64, 'v');
  }
  for (int i = 0; i < 20; ++i) {
    registration.key.replica = std::to_string(i);
    join(registration);
  }
  TestOperator& reader = connect_as(kAlice);
  reader.asks(1, wire::ListBackends{});
  EXPECT_EQ(reader.hears(),
            "1 error (busy): what waits for the operators of uid 54321 would be over its quota, "
            "16384 bytes: read the answers of the other connections, or close them");
  reader.asks(2, wire::Ping{});
  EXPECT_EQ(reader.hears(), "2 pong");
}

TEST_F(ControlPlaneLedgerTest, HalfARequestIsInTheUsersAccountToo) {
  constexpr std::uint64_t kQuota = 1 << 20;
  options_.core.quotas.each.answer_bytes = kQuota;
  start();
  std::string half(200 << 10, '\0');
  wire::put_header(half.data(), 300 << 10);
  wire::ControlRequestFrame ping;  // the first message is a small one
  ping.message = wire::Ping{};
  const std::string bytes = wire::encode(ping) + half;
  for (int i = 0; i < 12; ++i) {
    (void)connect_as(kAlice).sends(bytes);
    settle();
    EXPECT_LE(usage_of(kAlice).answer_bytes.used, kQuota);
  }
  EXPECT_GE(usage_of(kAlice).answer_bytes.used, 600u << 10);
  EXPECT_GE(server_->core().counters().over_quota, 4u);
  expect_it_answers();
}

TEST_F(ControlPlaneLedgerTest, ATroubleOfOneUsersPeersKeepsNobodyElsesOutOfTheLog) {
  start();
  for (int i = 0; i < 1'000; ++i) fanout_->on_trouble("alice's peer is in trouble", kAlice);
  fanout_->on_trouble("bob's peer is in trouble", kBob);
  fanout_->on_trouble("the broker is in trouble", std::nullopt);
  const std::string log = logged();
  EXPECT_NE(log.find("bob's peer"), std::string::npos) << log;
  EXPECT_NE(log.find("the broker is"), std::string::npos) << log;
  std::size_t of_alice = 0;
  for (auto at = log.find("alice's"); at != std::string::npos; at = log.find("alice's", at + 1)) {
    ++of_alice;
  }
  EXPECT_GE(of_alice, 1u);
  EXPECT_LE(of_alice, 100u) << "she has a budget, too";
}

TEST_F(ControlPlaneLedgerTest, ReportsAreChargedToTheOperatorWhoAskedAndItsOwnGoFirst) {
  options_.core.quotas.each.report_bytes = 6'000;
  start();
  TestBackend& a = join("a");
  BroadcastId next = 100;
  const auto asks = [&](TestOperator& op) {
    op.asks(next, release("/cache"));
    EXPECT_EQ(a.hears(), "operation " + std::to_string(next) + ": release-handles /cache");
    a.acks(next);
    const std::string number = std::to_string(next++);
    EXPECT_EQ(op.hears(), std::string(number)
                              .append(" report ")
                              .append(number)
                              .append(" finished: release-handles /cache: acked a 1.0.0"));
  };
  TestOperator& bob = connect_as(kBob);
  asks(bob);
  TestOperator& alice = connect_as(kAlice);
  for (int i = 0; i < 20; ++i) asks(alice);
  EXPECT_LE(usage_of(kAlice).report_bytes.used, 6'000u);
  EXPECT_GT(usage_of(kAlice).report_bytes.used, 0u);
  bob.asks(1, wire::GetReport{100, false});
  EXPECT_EQ(bob.hears(), "1 report 100 finished: release-handles /cache: acked a 1.0.0");
  bob.asks(2, wire::GetReport{101, false});
  EXPECT_NE(bob.hears().find("the report of broadcast 101 was kept as long as"), std::string::npos);
}

}  // namespace
}  // namespace muster::test
