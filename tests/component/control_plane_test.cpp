// Operators and their requests, through real sockets.
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "component/control_plane_fixture.h"

namespace muster::test {
namespace {

TEST_F(ControlPlaneTest, APingIsAnswered) {
  start();
  TestOperator& op = connect();
  op.asks(5, wire::Ping{});
  EXPECT_EQ(op.hears(), "5 pong");
  const auto& pong = std::get<wire::Pong>(std::get<wire::ControlResponse>(op.last().message));
  EXPECT_EQ(pong.broker_version, "1.2.3");
  EXPECT_EQ(pong.pid, ::getpid());
}

TEST_F(ControlPlaneTest, ABroadcastIsFollowedFromItsStartToItsReport) {
  start();
  TestBackend& a = join("a");
  TestBackend& b = join("b");
  TestOperator& op = connect();
  auto request = release("/cache");
  request.events = true;
  op.asks(3, request);
  EXPECT_EQ(op.hears(), "3 event broadcast started 100");
  EXPECT_EQ(a.hears(), "operation 100: release-handles /cache");
  a.works(100, std::chrono::milliseconds(1), "flushing");
  EXPECT_EQ(op.hears(), "3 event working 100 a 1.0.0");
  a.acks(100);
  EXPECT_EQ(op.hears(), "3 event outcome 100 a 1.0.0");
  EXPECT_EQ(b.hears(), "operation 100: release-handles /cache");
  b.fails(100, BroadcastFailureReason::kRejected, "busy");
  EXPECT_EQ(op.hears(), "3 event outcome 100 b 1.0.0");
  EXPECT_EQ(op.hears(), "3 event broadcast finished 100");
  EXPECT_EQ(op.hears(),
            "3 report 100 finished: release-handles /cache: acked a 1.0.0; failed b 1.0.0 "
            "(rejected)");
  settle();
  EXPECT_EQ(op.has_heard(), "nothing");
  EXPECT_FALSE(control_->wants_every_outcome());
}

TEST_F(ControlPlaneTest, WithoutEventsOnlyTheReportComes) {
  start();
  TestBackend& a = join("a");
  TestOperator& op = connect();
  op.asks(1, release("/cache"));
  EXPECT_EQ(a.hears(), "operation 100: release-handles /cache");
  EXPECT_FALSE(control_->wants_every_outcome());
  a.acks(100);
  EXPECT_EQ(op.hears(), "1 report 100 finished: release-handles /cache: acked a 1.0.0");
}

TEST_F(ControlPlaneTest, WithNobodyToAskTheReportComesAtOnce) {
  start();
  TestOperator& op = connect();
  auto request = release("/cache");
  request.events = true;
  op.asks(1, request);
  EXPECT_EQ(op.hears(), "1 event broadcast started 100");
  EXPECT_EQ(op.hears(), "1 event broadcast finished 100");
  EXPECT_EQ(op.hears(), "1 report 100 finished: release-handles /cache: nobody");
}

TEST_F(ControlPlaneTest, ADetachedBroadcastIsAcceptedAndItsReportCanBeWaitedFor) {
  start();
  TestBackend& a = join("a");
  TestOperator& op = connect();
  auto request = release("/cache");
  request.detach = true;
  request.events = true;
  op.asks(1, request);
  EXPECT_EQ(op.hears(), "1 accepted 100: 1 asked, 0 dead");
  op.asks(2, wire::GetReport{100, false});
  EXPECT_EQ(op.hears(), "2 report 100 running: release-handles /cache: nobody");
  op.asks(3, wire::GetReport{0, true});
  op.asks(4, wire::Ping{});
  EXPECT_EQ(op.hears(), "4 pong") << "waiting holds nothing up";
  EXPECT_EQ(a.hears(), "operation 100: release-handles /cache");
  a.acks(100);
  EXPECT_EQ(op.hears(), "3 report 100 finished: release-handles /cache: acked a 1.0.0");
}

TEST_F(ControlPlaneTest, ADryRunAsksNobody) {
  start();
  TestBackend& a = join("a");
  join("b").closes();
  settle();
  TestOperator& op = connect();
  auto request = release("/cache");
  request.dry_run = true;
  op.asks(1, request);
  // b is disconnected, and its process lives: it would be waited for.
  EXPECT_EQ(op.hears(), "1 would ask a 1.0.0 b 1.0.0; dead; reconnecting b 1.0.0");
  settle();
  EXPECT_EQ(a.has_heard(), "nothing");
}

TEST_F(ControlPlaneTest, ASecondOperatorWithTheSameKeyJoinsAndNothingIsSentTwice) {
  start();
  TestBackend& a = join("a");
  TestBackend& b = join("b");
  TestOperator& first = connect();
  auto request = release("/cache");
  request.request.operation_key = "upgrade-17";
  first.asks(1, request);
  EXPECT_EQ(a.hears(), "operation 100: release-handles /cache");
  a.acks(100);
  settle();

  TestOperator& second = connect();
  request.events = true;
  second.asks(1, request);
  EXPECT_EQ(second.hears(), "1 event broadcast started 100");
  const Event& joined = std::get<Event>(second.last().message);
  EXPECT_TRUE(joined.joined);
  EXPECT_EQ(joined.targets, 2u);
  EXPECT_EQ(joined.acks, 1u);
  EXPECT_EQ(joined.operation, "release-handles /cache");
  ASSERT_TRUE(joined.asked_by);
  EXPECT_EQ(joined.asked_by->uid, ::getuid());
  EXPECT_EQ(joined.asked_by->pid, ::getpid());
  EXPECT_EQ(a.has_heard(), "nothing");
  EXPECT_EQ(b.hears(), "operation 100: release-handles /cache");
  b.acks(100);
  EXPECT_EQ(second.hears(), "1 event outcome 100 b 1.0.0");
  EXPECT_EQ(second.hears(), "1 event broadcast finished 100");
  const std::string report =
      "1 report 100 finished: release-handles /cache: acked a 1.0.0, b 1.0.0";
  EXPECT_EQ(second.hears(), report);
  EXPECT_EQ(first.hears(), report);

  TestOperator& third = connect();
  third.asks(1, request);
  EXPECT_EQ(third.hears(), "1 event broadcast started 100");
  EXPECT_EQ(third.hears(), report) << "it had finished";
  request.detach = true;
  third.asks(2, request);
  EXPECT_EQ(third.hears(), "2 joined 100: 2 asked, 0 dead");
  request.dry_run = true;
  third.asks(3, request);
  EXPECT_EQ(third.hears(), "3 would join 100");
  request.request.operation = BroadcastOperation::release_handles("/other");
  third.asks(4, request);
  EXPECT_NE(third.hears().find("belongs to broadcast 100"), std::string::npos);
  const std::string who =
      " pid=" + std::to_string(::getpid()) + " uid=" + std::to_string(::getuid());
  EXPECT_TRUE(was_logged("skipped_dead=0" + who + " command=")) << logged();
  EXPECT_TRUE(was_logged("operator started a broadcast with an operation key broadcast=100" + who))
      << logged();
  EXPECT_TRUE(was_logged("operator joined a broadcast broadcast=100" + who)) << logged();
}

// The broker before was killed after it wrote the key down and before it wrote down the broadcast.
TEST_F(ControlPlaneTest, AKeyWhoseBroadcastIsNotKnownIsNeverAnsweredWithTheIdOfAnother) {
  start();
  TestBackend& a = join("a");
  TestOperator& op = connect();
  auto request = release("/cache");
  request.request.operation_key = "nightly";
  server_->core().restore_keys(
      {{::getuid(), "nightly", 0, core::request_text(request.request), server_->now().unix_ms}},
      server_->now());
  const auto expect_no_answer = [&](std::uint64_t number) {
    op.asks(number, request);
    const std::string answer = op.hears();
    EXPECT_TRUE(answer.starts_with(std::to_string(number) +
                                   " error (interrupted): the operation key \"nightly\" was used "
                                   "at "))
        << answer;
    EXPECT_TRUE(
        answer.ends_with(", so nothing is sent: the broker ended before it recorded the "
                         "broadcast; backends may or may not have been asked: repeat the "
                         "request with a new key"))
        << answer;
  };
  expect_no_answer(1);
  request.dry_run = true;
  expect_no_answer(2);
  request.dry_run = false;
  request.request.operation = BroadcastOperation::release_handles("/other");
  op.asks(3, request);
  EXPECT_NE(op.hears().find("\"nightly\" belongs to another broadcast (release-handles /cache)"),
            std::string::npos);
  EXPECT_EQ(a.has_heard(), "nothing");
  // With a new key it is asked.
  request.request.operation_key = "nightly-2";
  op.asks(4, request);
  EXPECT_EQ(a.hears(), "operation 100: release-handles /other");
  a.acks(100);
  EXPECT_EQ(op.hears(), "4 report 100 finished: release-handles /other: acked a 1.0.0");
}

TEST_F(ControlPlaneTest, AnOperatorThatDisconnectsDoesNotEndItsBroadcast) {
  start();
  TestBackend& a = join("a");
  TestOperator& op = connect();
  auto request = release("/cache");
  request.events = true;
  op.asks(1, request);
  EXPECT_EQ(op.hears(), "1 event broadcast started 100");
  op.closes();
  EXPECT_EQ(a.hears(), "operation 100: release-handles /cache");
  settle();
  EXPECT_EQ(control_->session_count(), 0u);
  a.acks(100);
  TestOperator& later = connect();
  later.asks(1, wire::GetReport{100, true});
  EXPECT_EQ(later.hears(), "1 report 100 finished: release-handles /cache: acked a 1.0.0");
}

TEST_F(ControlPlaneTest, ACancelledBroadcastEndsForAll) {
  start();
  TestBackend& a = join("a");
  TestOperator& waits = connect();
  waits.asks(1, release("/cache"));
  EXPECT_EQ(a.hears(), "operation 100: release-handles /cache");
  TestOperator& op = connect();
  op.asks(9, wire::CancelBroadcast{100});
  EXPECT_EQ(op.hears(), "9 cancelled 1");
  EXPECT_EQ(a.hears(), "cancel 100");
  EXPECT_EQ(waits.hears(),
            "1 report 100 cancelled: release-handles /cache: failed a 1.0.0 (rejected)");
  op.asks(10, wire::CancelBroadcast{100});
  EXPECT_EQ(op.hears(), "10 cancelled 0");
  EXPECT_TRUE(was_logged("operator cancelled a broadcast broadcast=100")) << logged();
}

TEST_F(ControlPlaneTest, WhoStopsWaitingGetsNeitherEventsNorAnAnswer) {
  start();
  TestBackend& a = join("a");
  TestOperator& op = connect();
  auto request = release("/cache");
  request.events = true;
  op.asks(1, request);
  EXPECT_EQ(op.hears(), "1 event broadcast started 100");
  op.asks(1, wire::Cancel{});
  op.asks(2, wire::Ping{});
  EXPECT_EQ(op.hears(), "2 pong");
  a.acks(100);
  settle();
  EXPECT_EQ(op.has_heard(), "nothing");
  op.asks(1, wire::GetReport{});
  EXPECT_EQ(op.hears(), "1 report 100 finished: release-handles /cache: acked a 1.0.0")
      << "the number may be used again";
}

TEST_F(ControlPlaneTest, AWatcherSeesWhatHappensAfterItWasTold) {
  start();
  TestOperator& watcher = connect();
  watcher.asks(7, wire::Watch{});
  EXPECT_EQ(watcher.hears(), "7 watching");
  TestBackend& a = join("a");
  EXPECT_EQ(watcher.hears(), "7 event backend registered a 1.0.0");
  TestOperator& op = connect();
  op.asks(1, release("/cache"));
  EXPECT_EQ(watcher.hears(), "7 event broadcast started 100");
  EXPECT_EQ(a.hears(), "operation 100: release-handles /cache");
  a.acks(100);
  EXPECT_EQ(watcher.hears(), "7 event outcome 100 a 1.0.0");
  EXPECT_EQ(watcher.hears(), "7 event broadcast finished 100");
  watcher.asks(7, wire::Cancel{});
  watcher.asks(8, wire::Ping{});
  EXPECT_EQ(watcher.hears(), "8 pong");
  a.deregisters(1);
  EXPECT_EQ(a.hears(), "deregistered");
  settle();
  EXPECT_EQ(watcher.has_heard(), "nothing");
}

TEST_F(ControlPlaneTest, BackendsAndStatusAreTold) {
  start();
  join("a");
  join("zccache");
  TestOperator& op = connect();
  op.asks(1, wire::ListBackends{});
  EXPECT_EQ(op.hears(), "1 backends live a 1.0.0 live zccache 1.0.0");
  wire::ListBackends some;
  some.selection.push_back(Selector::parse("service=zcc*").selector);
  op.asks(2, some);
  EXPECT_EQ(op.hears(), "2 backends live zccache 1.0.0");
  op.asks(3, wire::GetStatus{});
  EXPECT_EQ(op.hears(), "3 status");
  const auto& status = std::get<BrokerStatus>(std::get<wire::ControlResponse>(op.last().message));
  EXPECT_EQ(status.version, "1.2.3");
  EXPECT_EQ(status.pid, ::getpid());
  EXPECT_EQ(status.started_unix_ms, 1'800'000'000'000u);
  EXPECT_EQ(status.socket_dir, dir_->path().native());
  EXPECT_EQ(status.transport, test_transport());
  EXPECT_EQ(status.connections, 2u);
  EXPECT_EQ(status.live_backends, 2u);
  EXPECT_FALSE(status.shutting_down);
}

TEST_F(ControlPlaneTest, WhatIsAskedWrongGetsASentence) {
  start();
  TestOperator& op = connect();
  op.asks(1, release("relative/path"));
  EXPECT_EQ(op.hears().substr(0, 17), "1 error (invalid)");
  wire::StartBroadcast quiesce;
  quiesce.request.operation = BroadcastOperation::quiesce(QuiesceReason::kBrokerShutdown);
  op.asks(2, quiesce);
  EXPECT_EQ(op.hears(),
            "2 error (invalid): a quiesce for broker-shutdown is the broker's own affair: "
            "operators ask for maintenance");
  quiesce.dry_run = true;
  op.asks(3, quiesce);
  EXPECT_EQ(op.hears().substr(0, 17), "3 error (invalid)");
  op.asks(4, wire::GetReport{});
  EXPECT_EQ(op.hears().substr(0, 19), "4 error (not found)");
  op.asks(5, wire::GetReport{50, true});
  EXPECT_EQ(
      op.hears(),
      "5 error (interrupted): the broker restarted at 2027-01-15 08:00:00 UTC; broadcast 50 was "
      "not finished or its report is gone");
  op.asks(6, wire::CancelBroadcast{5000});
  EXPECT_EQ(op.hears().substr(0, 19), "6 error (not found)");
  op.asks(7, wire::Ping{});
  EXPECT_EQ(op.hears(), "7 pong") << "none of it ends the connection";
}

TEST_F(ControlPlaneTest, ShuttingDownAnswersWhoWaitsAndThenCloses) {
  start();
  TestBackend& a = join("a");
  TestOperator& waits = connect();
  waits.asks(1, release("/cache"));
  EXPECT_EQ(a.hears(), "operation 100: release-handles /cache");
  TestOperator& watcher = connect();
  watcher.asks(1, wire::Watch{});
  EXPECT_EQ(watcher.hears(), "1 watching");
  shut_down();
  EXPECT_EQ(watcher.hears(), "1 event shutting down");
  EXPECT_EQ(watcher.hears(), "1 event broadcast started 101");
  EXPECT_EQ(a.hears(), "operation 101: quiesce (broker-shutdown)");

  TestOperator& late = connect();
  late.asks(1, release("/cache"));
  EXPECT_EQ(late.hears().substr(0, 23), "1 error (shutting down)");
  late.asks(2, wire::GetStatus{});
  EXPECT_EQ(late.hears(), "2 status");
  EXPECT_TRUE(
      std::get<BrokerStatus>(std::get<wire::ControlResponse>(late.last().message)).shutting_down);
  late.asks(3, wire::GetReport{101, true});
  settle();

  a.acks(101);
  a.acks(100);
  EXPECT_EQ(waits.hears(), "1 report 100 finished: release-handles /cache: acked a 1.0.0");
  EXPECT_EQ(waits.hears(), "end of stream");
  EXPECT_EQ(late.hears(), "3 report 101 finished: quiesce (broker-shutdown): acked a 1.0.0");
  EXPECT_EQ(late.hears(), "end of stream");
  EXPECT_EQ(watcher.hears(), "1 event outcome 101 a 1.0.0");
}

}  // namespace
}  // namespace muster::test
