// Scans of verified releases and of holds, through real sockets: who is left out, and what becomes
// of one that nobody waits for, that cannot be made or that waits behind many others.
#include <cstdint>
#include <string>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "component/control_holds_fixture.h"
#include "musterd/control/holder_scans.h"
#include "os/peer.h"

namespace muster::test {
namespace {

using testing::HasSubstr;

Holder one_with_files(pid_t pid, std::uint64_t started) {
  Holder holder;
  holder.pid = pid;
  holder.started = started;
  holder.command = "tail";
  holder.held = {{HeldBy::kDescriptor, 1}};
  return holder;
}
// The test's own process, which its operators and backends are of.
Holder own_one() { return one_with_files(::getpid(), os::start_time(::getpid()).value_or(0)); }

TEST_F(ControlHoldsTest, AVerifiedReleaseSaysWhatTheKernelFound) {
  scans().finds({one_with_files(1, 1)});
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  auto verified = release("/cache");
  verified.request.verify = true;
  op.asks(1, verified);
  EXPECT_EQ(backend.hears(), "operation 100: release-handles /cache");
  backend.acks(100);
  EXPECT_THAT(op.hears(), HasSubstr("1 report 100 finished"));
  ASSERT_TRUE(report_of(op).verification);
  EXPECT_EQ(report_of(op).verification->scan.verdict, HolderVerdict::kHeld);
  EXPECT_EQ(report_of(op).verification->scan.holders.front().command, "tail");
  scans().finds({});
  op.asks(2, verified);
  EXPECT_EQ(backend.hears(), "operation 101: release-handles /cache");
  backend.acks(101);
  EXPECT_THAT(op.hears(), HasSubstr("2 report 101 finished"));
  EXPECT_EQ(report_of(op).verification->scan.verdict, HolderVerdict::kClear);
}

TEST_F(ControlHoldsTest, TheOperatorItselfIsNoHolderWhileItIsConnected) {
  scans().finds({own_one()});
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  auto verified = timed("/cache");
  verified.request.verify = true;
  op.asks(1, verified);
  EXPECT_EQ(backend.hears(), "operation 100: release-handles /cache");
  backend.acks(100);
  EXPECT_THAT(op.hears(), HasSubstr("1 report 100"));
  EXPECT_EQ(report_of(op).verification->scan.verdict, HolderVerdict::kClear);
  EXPECT_TRUE(report_of(op).verification->scan.holders.empty());
  op.asks(2, wire::FindHolders{"/cache"});
  EXPECT_EQ(op.hears(), "2 holders clear");

  // Another operator's end of the hold: the one that asked is gone, and with it what was its own.
  op.closes();
  settle();
  TestOperator& other = connect();
  other.asks(1, wire::EndHold{100});
  EXPECT_EQ(other.hears(), "1 hold 100 completed, 1 violations");
  const Holder& found = hold_of(other).state.violations.front().holder;
  EXPECT_EQ(found.pid, ::getpid());
  ASSERT_TRUE(found.backend) << "it is registered";
  EXPECT_EQ(found.backend->to_string(), "a 1.0.0");
}

TEST_F(ControlHoldsTest, AHoldWhoseEndIsScannedEndsAlsoWhenNobodyWaitsForIt) {
  scans();
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  auto verified = timed("/cache");
  verified.request.verify = true;
  op.asks(1, verified);
  released(op, backend, 1);
  scans().stops();
  op.asks(2, wire::EndHold{100});
  while (scans().asked() < 2) ASSERT_TRUE(run_one());
  EXPECT_EQ(backend.has_heard(), "nothing");
  op.closes();
  expect_it_answers();
  scans().go_on();
  EXPECT_EQ(backend.hears(), "hold 100 ended");
  EXPECT_EQ(std::get<HoldEnded>(backend.last().message).why, HoldEnd::kCompleted);
}

TEST_F(ControlHoldsTest, AScanThatCannotBeMadeIsUnknownAndSaysWhy) {
  (void)os::listen_unix(settings_.scan_socket, 0600);  // nobody listens any more
  start();
  TestOperator& op = connect();
  auto verified = release("/cache");
  verified.request.verify = true;
  op.asks(1, verified);
  EXPECT_THAT(op.hears(), HasSubstr("1 report 100"));
  EXPECT_EQ(report_of(op).verification->scan.verdict, HolderVerdict::kUnknown);
  EXPECT_THAT(report_of(op).verification->scan.problem, HasSubstr("cannot be asked"));
  EXPECT_EQ(report_of(op).verification->scan.prefix, "/cache");
}

TEST_F(ControlHoldsTest, MoreScansThanMayWaitAreAnsweredAllTheSame) {
  scans().stops();
  start();
  TestOperator& op = connect();
  constexpr std::uint64_t kMost = daemon::HolderScans::kMostForBroadcastsOfUser;
  for (std::uint64_t number = 1; number <= kMost + 2; ++number) {
    auto verified = release("/cache");
    verified.request.verify = true;
    op.asks(number, verified);
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(op.hears(), HasSubstr("report"));
    EXPECT_EQ(report_of(op).verification->scan.verdict, HolderVerdict::kUnknown);
    EXPECT_THAT(report_of(op).verification->scan.problem, HasSubstr("other scans wait already"));
  }
  EXPECT_EQ(op.has_heard(), "nothing");
  scans().go_on();
  for (std::uint64_t i = 0; i < kMost; ++i) {
    EXPECT_THAT(op.hears(), HasSubstr("report"));
    EXPECT_EQ(report_of(op).verification->scan.verdict, HolderVerdict::kClear);
  }
}

TEST_F(ControlHoldsTest, WhoWatchesSeesTheHoldBeginBeViolatedAndEnd) {
  scans().finds({});
  start();
  TestBackend& backend = join("a");
  TestOperator& watcher = connect();
  watcher.asks(9, wire::Watch{});
  EXPECT_EQ(watcher.hears(), "9 watching");
  TestOperator& op = connect();
  auto verified = timed("/cache");
  verified.request.verify = true;
  op.asks(1, verified);
  released(op, backend, 1);
  scans().finds({one_with_files(1, 1)});
  op.asks(2, wire::EndHold{100});
  EXPECT_EQ(op.hears(), "2 hold 100 completed, 1 violations");
  std::string kinds;
  for (bool is_over = false; !is_over;) {
    const std::string heard = watcher.hears();
    ASSERT_THAT(heard, HasSubstr("9 event"));
    const auto& event = std::get<Event>(watcher.last().message);
    is_over = event.kind == Event::Kind::kHoldEnded;
    if (event.kind == Event::Kind::kVerifying) kinds += "verifying ";
    if (event.kind == Event::Kind::kHoldStarted) kinds += "started ";
    if (event.kind == Event::Kind::kHoldViolated) kinds += "violated ";
    if (is_over) kinds += "ended ";
  }
  EXPECT_EQ(kinds, "started verifying violated ended ");
}

}  // namespace
}  // namespace muster::test
