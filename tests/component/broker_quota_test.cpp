// What one user may take of a broker on real sockets, and the descriptors that backends never get.
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "component/broker_fixture.h"
#include "support/descriptor_limits.h"

namespace muster::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string me() { return "uid " + std::to_string(::getuid()); }

class BrokerQuotaTest : public BrokerFixture {
 protected:
  UserUsage usage() {
    BrokerStatus status;
    core().fill_status(status);
    EXPECT_EQ(status.users.size(), 1u);
    return status.users.empty() ? UserUsage{} : status.users.front();
  }
};

TEST_F(BrokerQuotaTest, AConnectionTooManyIsToldSoAndClosedAndTheOthersStay) {
  options_.core.quotas.each.connections = 2;
  options_.core.register_timeout = std::chrono::hours(1);
  start();
  auto& first = join("first");
  connect();
  auto& third = connect();
  EXPECT_EQ(third.hears(), "refused (quota): " + me() +
                               " has 2 connections, and its quota is 2; try again when one has "
                               "ended");
  EXPECT_EQ(std::get<Refusal>(third.last().message).retry_after, std::chrono::hours(1));
  EXPECT_EQ(third.hears(), "end of stream");
  EXPECT_EQ(counters().over_quota, 1u);
  EXPECT_EQ(usage().connections, (Share{2, 2}));
  const auto id = release_handles("/cache");
  EXPECT_THAT(first.hears(), StartsWith("operation"));
  first.acks(id);
  EXPECT_EQ(result(id), "release-handles /cache: acked first 1.0.0");
}

TEST_F(BrokerQuotaTest, ConnectionsThatNeverRegisterKeepNobodyOutForLong) {
  options_.core.quotas.each.connections = 50;
  options_.core.register_timeout = std::chrono::milliseconds(20);
  start();
  for (int i = 0; i < 60; ++i) connect();
  ASSERT_TRUE(run_until(
      [&] { return counters().connections_accepted == 60 && server_->connection_count() == 0; }));
  EXPECT_EQ(sink_.count(Event::Kind::kPeerRefused), 60u);
  BrokerStatus status;
  core().fill_status(status);
  EXPECT_TRUE(status.users.empty());
}

TEST_F(BrokerQuotaTest, ARegistrationTooManyIsToldSoAndClosed) {
  options_.core.quotas.each.registrations = 1;
  start();
  join("first");
  auto& second = connect();
  second.registers("second");
  EXPECT_EQ(second.hears(), "refused (quota): " + me() +
                                " has 1 registered backend, and its quota is 1; try again when one "
                                "is gone");
  EXPECT_EQ(second.hears(), "end of stream");
}

TEST_F(BrokerQuotaTest, WhatWaitsForAllOfAUsersBackendsTogetherIsBounded) {
  constexpr std::size_t kQuota = 40'000;
  options_.core.quotas.each.queued_bytes = kQuota;
  options_.core.reconnect_grace = kFires;
  start();
  auto& witness = join("witness");
  for (int i = 0; i < 5; ++i) join("deaf-" + std::to_string(i));
  const std::string long_path = "/" + std::string(4000, 'x');
  BroadcastId id = 0;
  while (counters().over_quota == 0 && id < 1000) {
    id = release_handles(long_path);
    EXPECT_LE(usage().queued_bytes.used, kQuota);
    EXPECT_THAT(witness.hears(), StartsWith("operation"));
    witness.acks(id);
    ASSERT_TRUE(run_until([&] { return outcome(id, "witness").outcome == OutcomeKind::kAck; }));
    settle();
  }
  EXPECT_GT(counters().over_quota, 0u);
  EXPECT_EQ(counters().over_quota, counters().slow_readers);
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendReconnecting));
  EXPECT_THAT(backends(), HasSubstr("live witness"));
  EXPECT_THAT(
      backends(),
      HasSubstr(
          "connection closed by the broker: slow reader, over its user's quota of queued bytes"));
}

class DescriptorReserveTest : public BrokerQuotaTest {
 protected:
  static constexpr int kReserve = 8;
  static constexpr int kMany = 40;

  void SetUp() override {
    BrokerQuotaTest::SetUp();
    options_.descriptor_reserve = kReserve;
    start();
    // Another process, so that only the broker's ends are here. It closes them when told to.
    child_.emplace([this](Child::Side& side) {
      std::vector<os::UniqueFd> sockets;
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      socket().native().copy(address.sun_path, sizeof(address.sun_path) - 1);
      for (int i = 0; i < kMany; ++i) {
        sockets.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::connect(sockets.back().get(), reinterpret_cast<const sockaddr*>(&address),
                      sizeof(address)) != 0) {
          return side.say("not connected");
        }
      }
      side.say("connected");
      side.wait_to_be_told();
      sockets.clear();
      side.say("closed");
      side.wait_to_be_told();
    });
    ASSERT_EQ(child_->hear(), "connected");
    server_->measure_descriptors();
  }
  void TearDown() override {
    child_.reset();
    BrokerQuotaTest::TearDown();
  }

  std::optional<Child> child_;
};

TEST_F(DescriptorReserveTest, BackendsStopAtTheReserveAndGoOnAtOnceWhenSomeComeBack) {
  const long limit = open_descriptors() + kReserve + 12;
  const DescriptorLimit low(limit);
  EXPECT_FALSE(server_->descriptors().exhausted);  // looks the limit up
  ASSERT_TRUE(run_until([&] { return !sink_.troubles.empty(); }));
  EXPECT_THAT(
      sink_.troubles,
      ElementsAre("cannot accept connections (" + std::to_string(limit - kReserve - 1) +
                  " descriptors of " + std::to_string(limit) +
                  " are in use; the rest is reserved for operators): retrying every 100 ms"));
  EXPECT_EQ(server_->connection_count(), 10u);
  auto usage = server_->descriptors();
  EXPECT_EQ(usage.used, static_cast<std::uint64_t>(open_descriptors()));
  EXPECT_EQ(usage.reserve, static_cast<std::uint64_t>(kReserve));
  EXPECT_TRUE(usage.exhausted);
  std::vector<os::UniqueFd> others;
  for (int i = 0; i < kReserve; ++i) others.emplace_back(::dup(0));
  EXPECT_TRUE(others.back()) << "the reserve is there";
  others.clear();

  child_->tell();
  ASSERT_EQ(child_->hear(), "closed");
  settle();  // waits for nothing
  EXPECT_GT(counters().connections_accepted, 10u);
  ASSERT_TRUE(run_until([&] { return sink_.troubles.size() == 2; }));
  EXPECT_EQ(counters().connections_accepted, static_cast<std::uint64_t>(kMany));
  EXPECT_THAT(sink_.troubles,
              ElementsAre(HasSubstr("cannot accept connections"), "accepting connections again"));
  EXPECT_FALSE(server_->descriptors().exhausted);
}

TEST_F(DescriptorReserveTest, ALimitThatIsRaisedFromOutsideIsSeen) {
  {
    const DescriptorLimit low(open_descriptors() + kReserve + 12);
    EXPECT_FALSE(server_->descriptors().exhausted);
    ASSERT_TRUE(run_until([&] { return !sink_.troubles.empty(); }));
  }
  ASSERT_TRUE(run_until([&] { return counters().connections_accepted == kMany; }));
  settle();
  EXPECT_EQ(sink_.troubles.back(), "accepting connections again");
}

TEST_F(DescriptorReserveTest, WhereTheLimitIsLowThereIsLessOfAReserve) {
  EXPECT_EQ(server_->descriptors().reserve, static_cast<std::uint64_t>(kReserve));
  const DescriptorLimit low(20);
  EXPECT_EQ(server_->descriptors().reserve, 5u);
}

}  // namespace
}  // namespace muster::test
