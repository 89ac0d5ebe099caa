// Verified releases and holds with the real programs: what ends a hold, what violates it, who may
// hold, and what a client that is killed and a helper that is killed make of one.
#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/child.h"
#include "support/file_holding.h"
#include "system/musterd_holds_fixture.h"

namespace muster::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

// An operator of its own process that waits for the release and then for its end.
std::function<void(Child::Side&)> operator_that_holds(const std::filesystem::path& sockets,
                                                      const BroadcastRequest& request) {
  return [sockets, request](Child::Side& test) {
    ControlClient client(sockets);
    const auto report = client.broadcast(request);
    test.say(std::to_string(report ? report->broadcast_id : 0) + '\n');
    test.wait_to_be_told();
  };
}

TEST_F(MusterdHoldsTest, AVerifiedReleaseIsClearHeldOrUnknown) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root sees everything";
  Process broker = start_broker();
  TestBackend backend = join("a");
  ControlClient client(sockets());
  const BroadcastReport clear = released(client, backend, verified());
  ASSERT_TRUE(clear.verification);
  // Other tests of the host may hide something from it, and then it is not clear.
  const auto& found = clear.verification->scan.holders;
  EXPECT_TRUE(
      std::all_of(found.begin(), found.end(), [](const Holder& one) { return one.possibly; }));
  EXPECT_EQ(clear.verification->scan.leases.proven, 1U);
  if (found.empty() && clear.verification->scan.unseen.empty()) {
    EXPECT_EQ(clear.verification->scan.verdict, HolderVerdict::kClear);
  }
  const Somebody holder(cache() / "file");
  const BroadcastReport report = released(client, backend, verified());
  ASSERT_TRUE(report.verification);
  EXPECT_EQ(report.verification->scan.verdict, HolderVerdict::kHeld);
  ASSERT_FALSE(report.verification->scan.holders.empty());
  EXPECT_EQ(report.verification->scan.holders.front().pid, holder.pid());
  EXPECT_EQ(report.verification->scan.holders.front().example, (cache() / "file").native());
  stop(broker);
}

TEST_F(MusterdHoldsTest, AMusterScanThatIsKilledLeavesTheVerdictUnknown) {
  Process broker = start_broker();
  Process scan = start_muster_scan();
  TestBackend backend = join("a");
  ControlClient client(sockets());
  const BroadcastReport answered = released(client, backend, verified());
  EXPECT_EQ(answered.verification->scan.problem, "") << "it answers";
  scan.signal(SIGSTOP);
  std::thread acks([&] { (void)ack(backend); });
  const auto report = client.broadcast(verified(), [&](const Event& event) {
    if (event.kind == Event::Kind::kVerifying) (void)scan.end(SIGKILL);
  });
  acks.join();
  ASSERT_TRUE(report && report->verification);
  EXPECT_EQ(report->verification->scan.verdict, HolderVerdict::kUnknown);
  EXPECT_THAT(report->verification->scan.problem, HasSubstr("muster-scan"));
  stop(broker);
}

TEST_F(MusterdHoldsTest, ALeaseEndsWhenItsOperatorIsKilled) {
  Process broker = start_broker();
  TestBackend backend = join("a");
  Child op(operator_that_holds(sockets(), held(with_lease())));
  const BroadcastId id = ack(backend);
  EXPECT_EQ(op.hear(), std::to_string(id));
  EXPECT_THAT(told_at_registration("late"), testing::ElementsAre(id));
  op.kill();
  EXPECT_EQ(how_it_ended(backend, id), "abandoned");
  EXPECT_THAT(told_at_registration("later"), IsEmpty());
  stop(broker);
}

TEST_F(MusterdHoldsTest, ATimeThatPassesEndsAHoldAndWhoCameLateHearsOfIt) {
  Process broker = start_broker();
  TestBackend backend = join("a");
  ControlClient client(sockets());
  const BroadcastReport report = released(client, backend, held(with_time(1s)));
  ASSERT_TRUE(report.hold);
  EXPECT_EQ(report.hold->expires_unix_ms, report.hold->since_unix_ms + 1000);
  TestBackend late = join("late");
  EXPECT_EQ(how_it_ended(backend, report.broadcast_id), "expired");
  EXPECT_EQ(how_it_ended(late, report.broadcast_id), "expired");
  EXPECT_THAT(client.holds(), IsEmpty());
  stop(broker);
}

TEST_F(MusterdHoldsTest, WhoOpensAFileDuringAHoldIsReportedAtItsEnd) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root sees everything";
  Process broker = start_broker();
  TestBackend backend = join("a");
  ControlClient client(sockets());
  const BroadcastReport report = released(client, backend, verified(with_lease()));
  const Somebody holder(cache() / "file");
  const HoldInfo ended = client.end_hold(report.broadcast_id);
  EXPECT_EQ(ended.state.ended, HoldEnd::kCompleted);
  EXPECT_EQ(ended.state.last_verdict, HolderVerdict::kHeld);
  ASSERT_EQ(ended.state.violations.size(), 1U);
  EXPECT_EQ(ended.state.violations.front().holder.pid, holder.pid());
  EXPECT_EQ(how_it_ended(backend, report.broadcast_id), "completed");
  broker.wait_for("hold violated");
  stop(broker);
}

TEST_F(MusterdHoldsTest, AViolationIsFoundWhileTheHoldLasts) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root sees everything";
  Process broker = start_broker();
  TestBackend backend = join("a");
  ControlClient client(sockets());
  (void)released(client, backend, verified(with_lease()));
  const Somebody holder(cache() / "file");
  EXPECT_THAT(broker.wait_for("hold violated"), HasSubstr(std::to_string(holder.pid())));
  stop(broker);
}

TEST_F(MusterdHoldsTest, WhatTheOperatorsOwnCommandOpensIsNoViolation) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root sees everything";
  Process broker = start_broker();
  TestBackend backend = join("a");
  ControlClient client(sockets());
  const BroadcastReport report = released(client, backend, verified(with_lease()));
  Child command([this](Child::Side& test) {
    must_open(cache() / "file", O_RDONLY);
    test.say("open\n");
    test.wait_to_be_told();
  });
  ASSERT_EQ(command.hear(), "open");
  // Looked at while the command has the file open.
  const HoldInfo ended = client.end_hold(report.broadcast_id);
  EXPECT_TRUE(ended.state.violations.empty());
  EXPECT_GE(ended.state.scans, 1U);
  stop(broker);
}

TEST_F(MusterdHoldsTest, PolicyAndQuotaSayWhoMayHold) {
  const std::string gid = std::to_string(::getegid());
  const std::string rules =
      "[quota]\nholds = 1\n[[policy.register]]\nusers = \"*\"\n[[policy.control]]\ngroups = " +
      gid + "\nactions = \"hold\"\neffect = \"deny\"\n";
  const auto refusal = [&](ControlClient& client, const BroadcastRequest& request) {
    try {
      (void)client.start_broadcast(request);
      return std::string("taken");
    } catch (const ControlFailure& failure) {
      return std::string(failure.what());
    }
  };
  {
    Process broker = start_broker(rules);
    ControlClient client(sockets());
    EXPECT_THAT(refusal(client, held(with_time(1h))), HasSubstr("does not let uid"));
    EXPECT_THAT(refusal(client, release()), "taken");
    stop(broker);
  }
  Process broker = start_broker("[quota]\nholds = 1\n");
  ControlClient client(sockets());
  EXPECT_EQ(refusal(client, held(with_time(1h))), "taken");
  EXPECT_THAT(refusal(client, held(with_time(1h))), HasSubstr("its quota is 1; end one first"));
  EXPECT_THAT(refusal(client, held(with_time(25h))), HasSubstr("that this broker allows"));
  stop(broker);
}

}  // namespace
}  // namespace muster::test
