// What one user may take of the broker: what is counted, what is refused, what comes back.
#include <string>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/broker.h"
#include "support/keeping_shell.h"

namespace muster::core {
namespace {

using test::KeepingShell;
using ::testing::HasSubstr;

constexpr uid_t kAlice = 1000;
constexpr uid_t kBob = 1001;

TEST(QuotaTest, DefaultsLeaveRoomForTenThousandBackendsOfOneUser) {
  const Quota quota;
  const Config config;
  EXPECT_GE(quota.connections, 2 * 10'000u) << "all of them reconnect at once";
  EXPECT_GE(quota.registrations, 10'000u);
  EXPECT_GE(quota.queued_bytes, 10'000u * 4'300u) << "a release of the longest path for each";
  EXPECT_LT(quota.broadcasts, config.max_broadcasts) << "others have some left";
}

TEST(QuotaTest, WhatIsSaidOfOneUserChangesNothingElse) {
  Quotas quotas;
  quotas.of_uid[kAlice].connections = 5;
  Quota expected;
  expected.connections = 5;
  EXPECT_EQ(quotas.of(kAlice), expected);
  EXPECT_EQ(quotas.of(kBob), Quota{});
}

TEST(AccountsTest, AnAccountIsThereWhileSomethingOfItIs) {
  Accounts accounts{Quotas{}};
  accounts.take(Resource::kConnection, kBob);
  accounts.take(Resource::kConnection, kAlice);
  accounts.take(Resource::kRegistration, kAlice);
  accounts.take(Resource::kBroadcast, kAlice);
  EXPECT_EQ(accounts.users(), (std::vector<uid_t>{kAlice, kBob}));
  accounts.give_back(Resource::kConnection, kAlice);
  accounts.give_back(Resource::kRegistration, kAlice);
  EXPECT_EQ(accounts.size(), 2u);
  accounts.give_back(Resource::kBroadcast, kAlice);
  accounts.give_back(Resource::kConnection, kBob);
  EXPECT_EQ(accounts.size(), 0u);
}

class CoreQuotaTest : public ::testing::Test {
 protected:
  static Config config() {
    Config config;
    config.quotas.each = {3, 2, 1000, 2};
    config.quotas.of_uid[kBob].connections = 1;
    config.register_timeout = std::chrono::seconds(5);
    return config;
  }
  // pid 0: a process of its own.
  ConnectionId open(uid_t uid, pid_t pid = 0) {
    const ConnectionId id{++last_slot_, 1};
    if (pid == 0) pid = static_cast<pid_t>(last_slot_);
    const bool is_open = broker.connection_opened(id, {{pid, 1}, uid, uid}, now);
    account = is_open ? &broker.ledger()->queue_of(uid) : nullptr;
    return id;
  }
  ConnectionId join(uid_t uid, const std::string& service) {
    const auto id = open(uid);
    registers(id, service);
    return id;
  }
  void registers(ConnectionId id, const std::string& service) {
    Registration registration;
    registration.key = {Instance::shared(), service, "1.0.0", ""};
    broker.registration(id, 1, std::move(registration), now);
  }
  // The last refusal since this was last asked.
  std::string refusal() {
    if (shell.refusals.empty()) return "none";
    const auto last = shell.refusals.back();
    shell.refusals.clear();
    return std::string(to_string(last.code)) + ": " + last.reason + " (" +
           std::to_string(last.retry_after.count()) + " ms)";
  }
  std::string ask(std::optional<uid_t> uid, std::string key = {}) {
    BroadcastRequest request;
    request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
    request.operation_key = std::move(key);
    const auto result = broker.start_broadcast(
        std::move(request), now, uid ? std::optional(Operator{*uid, 1, "tool"}) : std::nullopt);
    if (const auto* error = std::get_if<ControlError>(&result)) {
      return std::string(to_string(error->code)) + ": " + error->message;
    }
    const auto& started = std::get<Started>(result);
    return std::to_string(started.id) + (started.joined ? " joined" : "");
  }
  // "1000: 1 of 3 connections, 2 of 2 registrations, 0 of 2 broadcasts, 1 dead"
  std::string usage() const {
    BrokerStatus status;
    broker.fill_status(status);
    std::string text;
    const auto share_of = [](const Share& share) {
      return std::to_string(share.used) + " of " + std::to_string(share.quota);
    };
    for (const auto& user : status.users) {
      const auto in_use = user.connections.used + user.registrations.used + user.broadcasts.used +
                          user.dead_backends;
      if (in_use == 0) continue;  // it has reports
      text += (text.empty() ? "" : "\n") + std::to_string(user.uid) + ": " +
              share_of(user.connections) + " connections, " + share_of(user.registrations) +
              " registrations, " + share_of(user.broadcasts) + " broadcasts, " +
              std::to_string(user.dead_backends) + " dead";
    }
    return text;
  }

  KeepingShell shell;
  Broker broker{config(), shell};
  Now now{SteadyTime(std::chrono::hours(1)), 1000};
  QueueAccount* account = nullptr;

 private:
  std::uint32_t last_slot_ = 0;
};

TEST_F(CoreQuotaTest, AConnectionOverTheQuotaIsToldWhatTheQuotaIsAndWhenToComeBack) {
  for (int i = 0; i < 3; ++i) open(kAlice);
  EXPECT_EQ(refusal(), "none");
  const auto fourth = open(kAlice);
  EXPECT_EQ(account, nullptr);
  EXPECT_EQ(refusal(),
            "quota: uid 1000 has 3 connections, and its quota is 3; try again when one has ended "
            "(5000 ms)");
  EXPECT_EQ(shell.closed, std::vector<ConnectionId>{fourth});
  EXPECT_EQ(broker.counters().over_quota, 1u);
  EXPECT_EQ(broker.counters().refusals, 1u);
  EXPECT_THAT(shell.events.back().detail, HasSubstr("its quota is 3"));
  EXPECT_EQ(shell.events.back().uid, kAlice);

  open(kBob);
  EXPECT_EQ(refusal(), "none") << "another user's connections are not in the way";
  open(kBob);
  EXPECT_EQ(refusal(),
            "quota: uid 1001 has 1 connection, and its quota is 1; try again when one has ended "
            "(5000 ms)");
}

TEST_F(CoreQuotaTest, ConnectionsThatDoNotRegisterGiveTheirPlaceBackWhenTheirTimeIsUp) {
  for (int i = 0; i < 4; ++i) open(kAlice);
  EXPECT_THAT(refusal(), HasSubstr("quota"));
  ASSERT_EQ(shell.armed.size(), 3u);
  for (const auto deadline : shell.armed) broker.deadline_passed(deadline, now);
  EXPECT_THAT(refusal(), HasSubstr("no Register came"));
  EXPECT_EQ(usage(), "");
  join(kAlice, "a");
  EXPECT_EQ(refusal(), "none");
}

TEST_F(CoreQuotaTest, AConnectionCountsUntilItsSocketIsClosedAndARegistrationUntilItIsDead) {
  const auto a = join(kAlice, "a");
  const auto b = join(kAlice, "b");
  EXPECT_EQ(usage(), "1000: 2 of 3 connections, 2 of 2 registrations, 0 of 2 broadcasts, 0 dead");
  broker.connection_lost(a, LossCause::kClosed, now);
  EXPECT_EQ(usage(), "1000: 1 of 3 connections, 2 of 2 registrations, 0 of 2 broadcasts, 0 dead");
  broker.process_exited(a, now);
  EXPECT_EQ(usage(), "1000: 1 of 3 connections, 1 of 2 registrations, 0 of 2 broadcasts, 1 dead");
  broker.process_exited(b, now);
  EXPECT_EQ(usage(), "1000: 0 of 3 connections, 0 of 2 registrations, 0 of 2 broadcasts, 2 dead");
  join(kAlice, "a");
  const auto again = join(kAlice, "b");
  EXPECT_EQ(usage(), "1000: 2 of 3 connections, 2 of 2 registrations, 0 of 2 broadcasts, 0 dead");
  broker.deregister(again, 2, now);
  EXPECT_EQ(usage(), "1000: 1 of 3 connections, 1 of 2 registrations, 0 of 2 broadcasts, 0 dead");
  EXPECT_EQ(refusal(), "none");
}

TEST_F(CoreQuotaTest, ARegistrationOverTheQuotaIsRefusedAndItsConnectionClosed) {
  join(kAlice, "a");
  join(kAlice, "b");
  const auto third = join(kAlice, "c");
  EXPECT_EQ(refusal(),
            "quota: uid 1000 has 2 registered backends, and its quota is 2; try again when one is "
            "gone (5000 ms)");
  EXPECT_EQ(shell.closed, std::vector<ConnectionId>{third});
  EXPECT_EQ(broker.counters().over_quota, 1u);
  EXPECT_EQ(usage(), "1000: 2 of 3 connections, 2 of 2 registrations, 0 of 2 broadcasts, 0 dead");
}

TEST_F(CoreQuotaTest, WhoRegistersItsOwnKeyAgainNeedsNoRoom) {
  join(kAlice, "a");
  const auto b = open(kAlice, 77);
  registers(b, "b");
  registers(open(kAlice, 77), "b");
  EXPECT_THAT(refusal(), HasSubstr("replaced"));
  EXPECT_EQ(usage(), "1000: 2 of 3 connections, 2 of 2 registrations, 0 of 2 broadcasts, 0 dead");
  broker.connection_lost(b, LossCause::kClosed, now);
  EXPECT_EQ(usage(), "1000: 2 of 3 connections, 2 of 2 registrations, 0 of 2 broadcasts, 0 dead");
}

TEST_F(CoreQuotaTest, AProcessThatDropsItsPrivilegesKeepsItsKeyAndCountsForItsNewUser) {
  constexpr uid_t kRoot = 0;
  registers(open(kRoot, 77), "a");
  registers(open(kAlice, 77), "a");
  EXPECT_THAT(refusal(), HasSubstr("replaced: this process"));
  const auto list = broker.backends({});
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].uid, kAlice);
  EXPECT_EQ(list[0].key.replica, "");
  EXPECT_EQ(usage(), "1000: 1 of 3 connections, 1 of 2 registrations, 0 of 2 broadcasts, 0 dead");
}

TEST_F(CoreQuotaTest, ADeadKeyThatAnotherUserTakesCountsForThatUser) {
  broker.process_exited(join(kAlice, "a"), now);
  join(kBob, "a");
  EXPECT_EQ(usage(), "1001: 1 of 1 connections, 1 of 2 registrations, 0 of 2 broadcasts, 0 dead");
}

TEST_F(CoreQuotaTest, ALiveKeyOfAnotherUserIsDeniedWhateverTheQuota) {
  join(kBob, "held");
  join(kAlice, "a");
  join(kAlice, "b");
  join(kAlice, "held");
  EXPECT_THAT(refusal(), HasSubstr("denied"));
}

TEST_F(CoreQuotaTest, BroadcastsInFlightCountForTheOperatorWhoAsked) {
  const auto a = join(kAlice, "a");
  EXPECT_EQ(ask(0, "key"), "20");
  EXPECT_EQ(ask(0), "21");
  EXPECT_EQ(ask(0),
            "busy: uid 0 has 2 broadcasts in flight, and its quota is 2; try again when one has "
            "ended, or cancel one");
  EXPECT_EQ(broker.counters().over_quota, 1u);
  EXPECT_EQ(ask(0, "key"), "20 joined") << "nothing is added";
  EXPECT_EQ(ask(kBob), "22");
  EXPECT_EQ(ask(std::nullopt), "23") << "the broker's own are nobody's";
  broker.acked(a, 20, {}, now);
  EXPECT_EQ(ask(0), "24");
  for (BroadcastId id = 21; id < 25; ++id) (void)broker.cancel_broadcast(id, now);
  EXPECT_EQ(usage(), "1000: 1 of 3 connections, 1 of 2 registrations, 0 of 2 broadcasts, 0 dead");
}

TEST(BroadcastReserveTest, OtherUsersCannotFillWhatIsReservedForRoot) {
  Config config;
  config.max_broadcasts = 9;  // 2 are reserved
  KeepingShell shell;
  Broker broker(config, shell);
  const Now now{SteadyTime(std::chrono::hours(1)), 1000};
  ASSERT_TRUE(broker.connection_opened({1, 1}, {{1, 1}, kAlice, kAlice}, now));
  Registration registration;
  registration.key = {Instance::shared(), "silent", "1.0.0", ""};
  broker.registration({1, 1}, 1, std::move(registration), now);
  const auto ask = [&](uid_t uid) -> std::string {
    BroadcastRequest request;
    request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
    const auto result = broker.start_broadcast(std::move(request), now, Operator{uid, 1, "tool"});
    const auto* refused = std::get_if<ControlError>(&result);
    return refused == nullptr ? "started" : refused->message;
  };
  for (uid_t i = 0; i < 7; ++i) EXPECT_EQ(ask(kAlice + i % 3), "started");
  EXPECT_EQ(
      ask(kBob),
      "there are 7 broadcasts in flight, the most that this broker takes; 2 more are reserved "
      "for root and the broker's own user; try again when some have ended");
  EXPECT_EQ(ask(0), "started");
  EXPECT_EQ(ask(::geteuid()), "started");
  EXPECT_EQ(
      ask(0),
      "there are 9 broadcasts in flight, the most that this broker takes; try again when some "
      "have ended");
}

TEST(BroadcastReserveTest, IsAQuarterAndSixteenAtMost) {
  constexpr uid_t kNobodyOfHere = 54'321;
  EXPECT_EQ(most_for(kNobodyOfHere, 1), 1u);
  EXPECT_EQ(most_for(kNobodyOfHere, 3), 3u);
  EXPECT_EQ(most_for(kNobodyOfHere, 8), 6u);
  EXPECT_EQ(most_for(kNobodyOfHere, 1024), 1008u);
  EXPECT_EQ(most_for(0, 8), 8u);
  EXPECT_EQ(most_for(::geteuid(), 8), 8u);
}

TEST_F(CoreQuotaTest, ABroadcastThatAsksNobodyTakesNothing) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask(kBob), std::to_string(20 + i));
  EXPECT_EQ(usage(), "");
}

TEST_F(CoreQuotaTest, WhatWaitsIsChargedToOneAccountForAllConnectionsOfAUser) {
  open(kAlice);
  auto* const first = account;
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->limit, 1000u);
  open(kBob);
  EXPECT_NE(account, first);
  const auto deaf = join(kAlice, "deaf");
  EXPECT_EQ(account, first);
  first->used = 990;  // as a transport counts
  BrokerStatus status;
  broker.fill_status(status);
  EXPECT_EQ(status.users.front().queued_bytes, (Share{990, 1000}));

  first->used = 0;  // it gives back what it drops before it reports
  broker.connection_lost(deaf, LossCause::kUserQuota, now);
  EXPECT_EQ(broker.counters().over_quota, 1u);
  EXPECT_EQ(broker.counters().slow_readers, 1u);
  EXPECT_EQ(shell.events.back().detail,
            "connection closed by the broker: slow reader, over its user's quota of queued bytes");
}

TEST_F(CoreQuotaTest, ConnectionsThatAreRefusedForOtherReasonsTakeNothing) {
  broker.shut_down(now);
  open(kAlice);
  EXPECT_EQ(account, nullptr);
  EXPECT_THAT(refusal(), HasSubstr("shutting down"));
  EXPECT_EQ(usage(), "");
}

}  // namespace
}  // namespace muster::core
