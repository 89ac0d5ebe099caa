// Connections that end, come back, are replaced or belong to processes that exit, and what becomes
// of the broadcasts that were open. Real sockets; other processes are real, too.
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "component/broker_fixture.h"

namespace muster::test {
namespace {

using ::testing::HasSubstr;

class ConnectionTest : public BrokerFixture {};

TEST_F(ConnectionTest, AnOperationIsSentAgainToABackendThatComesBack) {
  auto& before = join("zccache");
  const auto id = release_handles("/cache");
  EXPECT_EQ(before.hears(), "operation 1: release-handles /cache");
  before.closes();
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendReconnecting));
  EXPECT_EQ(backends(), "reconnecting zccache 1.0.0 (connection closed)");
  auto& after = join("zccache");
  EXPECT_EQ(after.hears(), "operation 1: release-handles /cache");
  after.acks(id);
  EXPECT_EQ(result(id), "release-handles /cache: acked zccache 1.0.0");
  EXPECT_EQ(outcome(id, "zccache").redeliveries, 1u);
  EXPECT_EQ(outcome(id, "zccache").incarnation, 2u);
  EXPECT_EQ(sink_.count(Event::Kind::kBackendReturned), 1u);
}

TEST_F(ConnectionTest, AllOpenOperationsAreSentAgainInTheirOrder) {
  join("zccache");
  for (int i = 1; i <= 5; ++i) release_handles("/cache/" + std::to_string(i));
  backends_.back().closes();
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendReconnecting));
  auto& after = join("zccache");
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(after.hears(),
              "operation " + std::to_string(i) + ": release-handles /cache/" + std::to_string(i));
  }
}

// What is sent to one that waits comes after its Registered, and in order.
TEST_F(ConnectionTest, ABackendThatIsNotConfirmedYetHearsNothingAndThenAll) {
  options_.hold_registered = true;
  start();
  TestBackend& backend = connect();
  backend.registers("zccache");
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendRegistered));
  const BackendKey key{Instance::shared(), "zccache", "1.0.0", ""};
  ASSERT_EQ(server_->held(key).size(), 1u);
  const core::ConnectionId held = server_->held(key).front();
  EXPECT_EQ(server_->held().size(), 1u);
  const auto first = release_handles("/a");
  release_handles("/b");
  EXPECT_EQ(backend.has_heard(), "nothing");
  server_->confirm({held.slot, held.generation + 1});
  EXPECT_EQ(server_->held(key).size(), 1u) << "that was another connection";
  server_->confirm(held);
  EXPECT_TRUE(server_->held(key).empty());
  EXPECT_EQ(backend.hears(), "registered");
  EXPECT_EQ(backend.hears(), "operation " + std::to_string(first) + ": release-handles /a");
  EXPECT_EQ(backend.hears(), "operation " + std::to_string(first + 1) + ": release-handles /b");
  server_->confirm(held);
  EXPECT_EQ(backend.has_heard(), "nothing") << "once";
}

TEST_F(ConnectionTest, ABackendThatDeregistersHearsSoWhenThatIsConfirmed) {
  options_.hold_registered = true;
  options_.core.quotas.each.connections = 2;
  start();
  const BackendKey key{Instance::shared(), "zccache", "1.0.0", ""};
  TestBackend& backend = connect();
  backend.registers("zccache");
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendRegistered));
  server_->confirm(server_->held(key).front());
  EXPECT_EQ(backend.hears(), "registered");
  backend.deregisters(9);
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendDeregistered));
  EXPECT_EQ(backend.has_heard(), "nothing");
  EXPECT_EQ(backends(), "");
  EXPECT_EQ(server_->connection_count(), 1u);
  // It is still its user's, and what it says meanwhile is nobody's.
  backend.acks(1);
  backend.registers("again");
  BrokerStatus status;
  core().fill_status(status);
  ASSERT_EQ(status.users.size(), 1u);
  EXPECT_EQ(status.users.front().connections.used, 1u);
  EXPECT_EQ(status.users.front().registrations.used, 0u);
  // The same key, before it was confirmed: both wait.
  TestBackend& next = connect();
  next.registers("zccache");
  sink_.events.clear();
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendRegistered));
  ASSERT_EQ(server_->held(key).size(), 2u);
  for (const auto connection : server_->held(key)) server_->confirm(connection);
  EXPECT_EQ(backend.hears(), "deregistered");
  EXPECT_EQ(backend.last().request_id, 9u);
  EXPECT_EQ(backend.hears(), "end of stream");
  EXPECT_EQ(next.hears(), "registered");
  EXPECT_EQ(backends(), "live zccache 1.0.0");
  EXPECT_EQ(server_->connection_count(), 1u);
}

TEST_F(ConnectionTest, ABackendThatDeregistersBeforeItIsConfirmedHearsBoth) {
  options_.hold_registered = true;
  start();
  TestBackend& backend = connect();
  backend.registers("zccache");
  backend.deregisters(9);
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendDeregistered));
  ASSERT_EQ(server_->held().size(), 1u);
  server_->confirm(server_->held().front());
  EXPECT_EQ(backend.hears(), "registered");
  EXPECT_EQ(backend.hears(), "deregistered");
  EXPECT_EQ(backend.hears(), "end of stream");
  EXPECT_EQ(server_->connection_count(), 0u);
}

TEST_F(ConnectionTest, ABackendThatDeregistersAndDoesNotWaitCostsNothing) {
  options_.hold_registered = true;
  start();
  TestBackend& backend = connect();
  backend.registers("zccache");
  backend.deregisters(9);
  backend.closes();
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendDeregistered));
  settle();
  for (const auto connection : server_->held()) server_->confirm(connection);
  EXPECT_EQ(server_->connection_count(), 0u);
  BrokerStatus status;
  core().fill_status(status);
  EXPECT_TRUE(status.users.empty());
}

TEST_F(ConnectionTest, ABrokerThatGoesDownTellsThoseWhoDeregistered) {
  options_.hold_registered = true;
  start();
  TestBackend& backend = connect();
  backend.registers("zccache");
  backend.deregisters(9);
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendDeregistered));
  server_->shut_down([this] { drained_ = true; });
  settle();
  EXPECT_EQ(backend.hears(), "registered");
  EXPECT_EQ(backend.hears(), "deregistered");
  EXPECT_EQ(backend.hears(), "end of stream");
}

// It was never told that it is registered.
TEST_F(ConnectionTest, ABackendThatLeavesBeforeItIsConfirmedIsNotHeldAnyMore) {
  options_.hold_registered = true;
  start();
  TestBackend& backend = connect();
  backend.registers("zccache");
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendRegistered));
  backend.closes();
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendReconnecting));
  EXPECT_TRUE(server_->held().empty());
}

// What a backend remembers of a broker is good for one epoch: ids may be given out anew.
TEST_F(ConnectionTest, EachRunOfABrokerHasAnEpochOfItsOwn) {
  const auto epoch_of_next = [&] {
    TestBackend& backend = connect();
    backend.registers("zccache");
    EXPECT_EQ(backend.hears(), "registered");
    const auto* registered = std::get_if<Registered>(&backend.last().message);
    return registered == nullptr ? std::string("none") : registered->epoch;
  };
  const std::string first = epoch_of_next();
  EXPECT_EQ(first.size(), 16u);
  EXPECT_EQ(epoch_of_next(), first);
  start();
  const std::string second = epoch_of_next();
  EXPECT_EQ(second.size(), 16u);
  EXPECT_NE(second, first);
}

std::string still_running() {
  return "disconnected; process " + std::to_string(::getpid()) + " is still running";
}

TEST_F(ConnectionTest, ABackendThatDoesNotComeBackWithinTheGraceIsLost) {
  options_.core.reconnect_grace = kFires;
  start();
  join("zccache").closes();
  const auto id = release_handles("/cache");
  EXPECT_EQ(result(id), "release-handles /cache: failed zccache 1.0.0 (backend error)");
  EXPECT_EQ(outcome(id, "zccache").detail, still_running());
  EXPECT_EQ(outcome(id, "zccache").cause, Cause::kClosed);
  EXPECT_EQ(backends(), "lost zccache 1.0.0 (connection closed)");
  // Asked again: failed at once, never skipped.
  EXPECT_EQ(result(release_handles("/cache")),
            "release-handles /cache: failed zccache 1.0.0 (backend error)");
}

TEST_F(ConnectionTest, NobodyWaitsForAReturnPastTheDeadline) {
  join("zccache").closes();
  const auto id = release_handles("/cache", kFires);  // the grace is an hour
  EXPECT_EQ(result(id), "release-handles /cache: failed zccache 1.0.0 (backend error)");
  EXPECT_EQ(outcome(id, "zccache").detail, still_running());
}

TEST_F(ConnectionTest, AnAckThatWasWrittenJustBeforeClosingCounts) {
  auto& backend = join("zccache");
  const auto id = release_handles("/cache");
  backend.acks(id);
  backend.closes();
  EXPECT_EQ(result(id), "release-handles /cache: acked zccache 1.0.0");
}

TEST_F(ConnectionTest, TheSameProcessOnASecondConnectionReplacesTheFirstAndIsAskedAgain) {
  auto& first = join("zccache");
  const auto id = release_handles("/cache");
  EXPECT_EQ(first.hears(), "operation 1: release-handles /cache");
  auto& second = join("zccache");
  EXPECT_EQ(first.hears(),
            "refused (replaced): this process registered the same key on another connection");
  EXPECT_EQ(first.hears(), "end of stream");
  EXPECT_EQ(second.hears(), "operation 1: release-handles /cache");
  second.acks(id);
  EXPECT_EQ(result(id), "release-handles /cache: acked zccache 1.0.0");
  EXPECT_EQ(backends(), "live zccache 1.0.0");
  EXPECT_EQ(server_->connection_count(), 1u);
}

TEST_F(ConnectionTest, ADeregisteredBackendIsGoneAndNotDead) {
  auto& backend = join("zccache");
  backend.deregisters(9);
  EXPECT_EQ(backend.hears(), "deregistered");
  EXPECT_EQ(backend.last().request_id, 9u);
  EXPECT_EQ(backend.hears(), "end of stream");
  EXPECT_EQ(backends(), "");
}

TEST_F(ConnectionTest, ManyConnectionsOfOneProcessCostOneDescriptorForIt) {
  constexpr int kMany = 100;
  const long before = open_descriptors();
  for (int i = 0; i < kMany; ++i) join("backend-" + std::to_string(i));
  EXPECT_EQ(open_descriptors() - before, 2 * kMany + 1);  // both ends are here
}

TEST_F(ConnectionTest, AllConnectionsOfAProcessThatExitsAreReported) {
  constexpr int kMany = 300;  // more than one batch
  Child child([&](Child::Side& side) {
    std::vector<TestBackend> backends;
    for (int i = 0; i < kMany; ++i) {
      backends.emplace_back(socket());
      backends.back().registers("backend-" + std::to_string(i));
    }
    for (auto& backend : backends) {
      if (backend.hears() != "registered") side.say("not registered");
    }
    side.say("all registered");
    side.wait_to_be_told();
  });
  ASSERT_EQ(heard_from(child), "all registered");
  const auto id = release_handles("/cache");
  child.kill();
  ASSERT_TRUE(run_until_told(Event::Kind::kBroadcastFinished));
  EXPECT_EQ(report(id).result.failures.size(), static_cast<std::size_t>(kMany));
  for (const auto& backend : report(id).backends) EXPECT_EQ(backend.detail, "process exited");
  EXPECT_EQ(server_->connection_count(), 0u);
}

TEST_F(ConnectionTest, APeerThatStopsReadingForGoodCanStillAnswer) {
  auto& backend = join("zccache");
  ASSERT_EQ(::shutdown(backend.fd(), SHUT_RD), 0);
  const auto id = release_handles("/cache");  // cannot be written
  backend.acks(id);
  // Its answer was there before the broken connection was looked at.
  EXPECT_EQ(result(id), "release-handles /cache: acked zccache 1.0.0");
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendReconnecting));
  EXPECT_EQ(server_->connection_count(), 0u);
}

TEST_F(ConnectionTest, ShuttingDownQuiescesEverybodyAndThenCloses) {
  auto& a = join("a");
  auto& b = join("b");
  auto& stranger = connect();
  settle();
  server_->shut_down([this] { drained_ = true; });
  EXPECT_EQ(a.hears(), "operation 1: quiesce (broker-shutdown)");
  EXPECT_EQ(stranger.hears(), "refused (shutting down): the broker is shutting down");
  EXPECT_EQ(stranger.hears(), "end of stream");
  a.acks(1);
  settle();
  EXPECT_FALSE(drained_);
  EXPECT_THROW(connect(), std::system_error);  // nobody listens any more
  b.acks(1);
  ASSERT_TRUE(run_until([this] { return drained_; }));
  EXPECT_EQ(a.hears(), "end of stream");
  EXPECT_EQ(b.hears(), "operation 1: quiesce (broker-shutdown)");
  EXPECT_EQ(b.hears(), "end of stream");
  EXPECT_EQ(server_->connection_count(), 0u);
}

TEST_F(ConnectionTest, AskedTwiceToShutDownItDoesNotWaitForAnswers) {
  auto& backend = join("silent");
  server_->shut_down([this] { drained_ = true; });
  settle();
  EXPECT_FALSE(drained_);
  server_->shut_down({});
  ASSERT_TRUE(run_until([this] { return drained_; }));
  EXPECT_EQ(backend.hears(), "operation 1: quiesce (broker-shutdown)");
  EXPECT_EQ(backend.hears(), "cancel 1");
  EXPECT_EQ(backend.hears(), "end of stream");
}

}  // namespace
}  // namespace muster::test
