// One broadcast: the first outcome wins, and the report's shape.
#include <string>

#include <gtest/gtest.h>

#include "core/broadcast.h"
#include "core/broadcast_rows.h"

namespace muster::core {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr SteadyTime kStart(std::chrono::hours(5));

EnrolmentPtr enrolment(const std::string& service, std::uint64_t order) {
  auto made = std::make_shared<Enrolment>();
  made->registration.key = {Instance::shared(), service, "1.0.0", ""};
  made->order = order;
  made->incarnation = 100 + order;
  made->peer.process.pid = static_cast<pid_t>(10 + order);
  made->peer.uid = 1000;
  return made;
}

class BroadcastTest : public ::testing::Test {
 protected:
  BroadcastTest() {
    broadcast.id = 9;
    broadcast.request.operation = BroadcastOperation::release_handles("/c");
    broadcast.request.operation_key = "nightly";
    broadcast.started = kStart;
    broadcast.started_unix_ms = 1234;
  }
  void ask(const std::string& service, std::uint64_t order,
           milliseconds budget = milliseconds(50)) {
    Target target;
    target.who = enrolment(service, order);
    target.ack_timeout = budget;
    target.deadline_at = kStart + budget;
    broadcast.targets.push_back(target);
  }

  [[nodiscard]] BroadcastReport report_at(SteadyTime now) const {
    return to_value(BroadcastRows(broadcast, now));
  }
  [[nodiscard]] BackendOutcome outcome_of(std::uint32_t target) const {
    return BroadcastRows(broadcast, kStart).outcome(target);
  }

  Broadcast broadcast;
};

TEST_F(BroadcastTest, TheFirstOutcomeWins) {
  ask("a", 1);
  ask("b", 2);
  EXPECT_TRUE(broadcast.settle(0, OutcomeKind::kAck, Cause::kAnswer, kStart + milliseconds(1)));
  EXPECT_FALSE(
      broadcast.settle(0, OutcomeKind::kTimeout, Cause::kAckTimeout, kStart + milliseconds(2)));
  EXPECT_FALSE(broadcast.settle(0, OutcomeKind::kFailure, Cause::kAnswer, kStart + milliseconds(2),
                                BroadcastFailureReason::kRejected));
  EXPECT_EQ(broadcast.acks, 1u);
  EXPECT_EQ(broadcast.timeouts + broadcast.failures, 0u);
  EXPECT_EQ(outcome_of(0).outcome, OutcomeKind::kAck);
  EXPECT_EQ(outcome_of(0).detail, "");
  EXPECT_EQ(outcome_of(0).latency, milliseconds(1));
}

TEST_F(BroadcastTest, ItIsCompleteWithTheLastOutcomeAndStaysSo) {
  ask("a", 1);
  ask("b", 2);
  EXPECT_EQ(broadcast.open_count(), 2u);
  broadcast.settle(1, OutcomeKind::kTimeout, Cause::kAckTimeout, kStart + milliseconds(50));
  EXPECT_FALSE(broadcast.complete());
  EXPECT_EQ(broadcast.state, BroadcastState::kRunning);
  broadcast.settle(0, OutcomeKind::kAck, Cause::kAnswer, kStart + milliseconds(60));
  EXPECT_TRUE(broadcast.complete());
  EXPECT_EQ(broadcast.state, BroadcastState::kFinished);
  EXPECT_EQ(broadcast.ended, kStart + milliseconds(60));
  broadcast.settle(0, OutcomeKind::kFailure, Cause::kAnswer, kStart + milliseconds(70));
  EXPECT_TRUE(broadcast.complete());
  EXPECT_EQ(broadcast.ended, kStart + milliseconds(60));
}

TEST_F(BroadcastTest, OneThatIsBeingCancelledEndsAsCancelled) {
  ask("a", 1);
  broadcast.cancelling = true;
  EXPECT_EQ(broadcast.state, BroadcastState::kRunning);
  broadcast.settle(0, OutcomeKind::kFailure, Cause::kAnswer, kStart);
  EXPECT_EQ(broadcast.state, BroadcastState::kCancelled);
}

TEST_F(BroadcastTest, ATargetIsFoundByItsPlaceInTheOrder) {
  for (const std::uint64_t order : {3U, 8U, 9U, 40U}) ask("s", order);
  EXPECT_EQ(broadcast.find(3), 0u);
  EXPECT_EQ(broadcast.find(9), 2u);
  EXPECT_EQ(broadcast.find(40), 3u);
  for (const std::uint64_t order : {0U, 4U, 39U, 41U})
    EXPECT_EQ(broadcast.find(order), std::nullopt);
}

TEST_F(BroadcastTest, WhatIsSentHasTheDeadlineOfItsBudget) {
  broadcast.id = 7;
  broadcast.started_unix_ms = 1000;
  broadcast.request.traceparent = "trace";
  broadcast.request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  auto sent = broadcast.outgoing(milliseconds(5));
  EXPECT_EQ(sent.broadcast_id, 7u);
  EXPECT_EQ(sent.operation, broadcast.request.operation);
  EXPECT_EQ(sent.traceparent, "trace");
  EXPECT_EQ(sent.hold_id, 7u) << "a quiesce is a hold";
  EXPECT_EQ(sent.ack_timeout, milliseconds(5));
  EXPECT_EQ(sent.deadline_unix_ms, 1005u);
  broadcast.set_budget(sent, milliseconds(20));
  EXPECT_EQ(sent, broadcast.outgoing(milliseconds(20)));
  EXPECT_EQ(sent.deadline_unix_ms, 1020u);
}

TEST_F(BroadcastTest, TheReportListsAllInRegistrationOrderAndTheDeadInTheirPlaces) {
  broadcast.skipped.push_back({enrolment("dead-first", 1), Cause::kProcessExited});
  ask("acks", 2);
  ask("late", 3, milliseconds(40));
  broadcast.skipped.push_back({enrolment("dead-between", 4), Cause::kClosed});
  ask("fails", 5);
  ask("open", 6);
  broadcast.skipped.push_back({enrolment("dead-last", 7), Cause::kProtocolError});
  broadcast.settle(0, OutcomeKind::kAck, Cause::kAnswer, kStart + microseconds(1500));
  broadcast.settle(1, OutcomeKind::kTimeout, Cause::kAckTimeout, kStart + microseconds(41'000));
  broadcast.settle(2, OutcomeKind::kFailure, Cause::kAnswer, kStart + microseconds(300),
                   BroadcastFailureReason::kRejected);
  broadcast.text_of(2).detail = "busy";
  const auto report = report_at(kStart + milliseconds(77));

  EXPECT_EQ(report.broadcast_id, 9u);
  EXPECT_EQ(report.state, BroadcastState::kRunning);
  EXPECT_EQ(report.operation_key, "nightly");
  EXPECT_EQ(report.started_unix_ms, 1234u);
  EXPECT_EQ(report.duration, milliseconds(77)) << "so far";
  EXPECT_EQ(
      to_string(report.result),
      "release-handles /c: acked acks 1.0.0; timed out late 1.0.0 (40 ms); failed fails 1.0.0 "
      "(rejected); skipped dead dead-first 1.0.0, dead-between 1.0.0, dead-last 1.0.0");
  std::string shown;
  for (const auto& backend : report.backends) {
    shown += backend.key.service_name + ' ' + std::string(to_string(backend.outcome)) + ' ' +
             std::to_string(backend.latency.count()) + " '" + backend.detail + "' " +
             std::to_string(backend.incarnation) + ' ' + std::to_string(backend.pid) + '\n';
  }
  EXPECT_EQ(shown,
            "dead-first skipped dead 0 'process exited' 101 11\n"
            "acks acked 1500 '' 102 12\n"
            "late timed out 41000 '' 103 13\n"
            "dead-between skipped dead 0 'connection closed' 104 14\n"
            "fails failed 300 'busy' 105 15\n"
            "open open 0 '' 106 16\n"
            "dead-last skipped dead 0 'connection closed by the broker: protocol error' 107 17"
            "\n");
  EXPECT_EQ(report.result.sent_count(), 3u);
}

TEST_F(BroadcastTest, ATimeoutInTheReportIsTheOneThatWasInForce) {
  ask("a", 1, milliseconds(50));
  broadcast.targets[0].deadline_at = kStart + milliseconds(750);
  broadcast.targets[0].extensions = 2;
  broadcast.settle(0, OutcomeKind::kTimeout, Cause::kAckTimeout, kStart + milliseconds(751));
  const auto report = report_at(kStart + milliseconds(900));
  ASSERT_EQ(report.result.timeouts.size(), 1u);
  EXPECT_EQ(report.result.timeouts[0].timeout, milliseconds(750));
  EXPECT_EQ(report.backends[0].ack_timeout, milliseconds(50)) << "it was asked with";
  EXPECT_EQ(report.backends[0].extensions, 2u);
  EXPECT_EQ(report.duration, milliseconds(751));
}

TEST_F(BroadcastTest, NotesAndDetailsAreOfTheirTargetAlone) {
  ask("a", 1);
  ask("b", 2);
  ask("c", 3);
  broadcast.text_of(2).note = "half way";
  broadcast.text_of(2).percent = 50;
  broadcast.text_of(0).detail = "why";
  broadcast.settle(0, OutcomeKind::kFailure, Cause::kAnswer, kStart);
  EXPECT_EQ(outcome_of(0).detail, "why");
  EXPECT_EQ(outcome_of(0).note, "");
  EXPECT_EQ(outcome_of(1).detail, "");
  EXPECT_EQ(outcome_of(2).note, "half way");
  EXPECT_EQ(outcome_of(2).percent, 50u);
  EXPECT_EQ(outcome_of(2).detail, "");
}

TEST_F(BroadcastTest, LateAnswersAreListedInOrderOfArrivalAndApart) {
  ask("a", 1);
  ask("b", 2);
  broadcast.settle(0, OutcomeKind::kTimeout, Cause::kAckTimeout, kStart + milliseconds(50));
  broadcast.settle(1, OutcomeKind::kTimeout, Cause::kAckTimeout, kStart + milliseconds(50));
  broadcast.late.push_back({1, microseconds(7), std::nullopt, ""});
  broadcast.late.push_back({0, microseconds(9), BroadcastFailureReason::kRejected, "too late"});
  const auto report = report_at(kStart + milliseconds(60));
  ASSERT_EQ(report.late_acks.size(), 1u);
  EXPECT_EQ(report.late_acks[0].key.service_name, "b");
  EXPECT_EQ(report.late_acks[0].lateness, microseconds(7));
  ASSERT_EQ(report.late_failures.size(), 1u);
  EXPECT_EQ(report.late_failures[0].key.service_name, "a");
  EXPECT_EQ(report.late_failures[0].reason, BroadcastFailureReason::kRejected);
  EXPECT_EQ(report.late_failures[0].detail, "too late");
}

}  // namespace
}  // namespace muster::core
