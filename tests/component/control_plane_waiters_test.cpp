// Operators that wait for a report get it, whatever is kept; those that left are not served.
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "component/control_plane_fixture.h"

namespace muster::test {
namespace {

constexpr std::uint64_t kOperators = 20;

TEST_F(ControlPlaneTest, EverybodyWhoWaitsGetsTheReportHoweverFewAreKept) {
  options_.core.max_reports = 5;
  start();
  TestBackend& silent = join("silent");
  for (std::uint64_t i = 0; i < kOperators; ++i) {
    connect().asks(1, release("/cache"));
    EXPECT_EQ(silent.hears(), "operation " + std::to_string(100 + i) + ": release-handles /cache");
  }
  silent.deregisters(2);  // which ends them all at the same moment
  settle();
  for (std::uint64_t i = 0; i < kOperators; ++i) {
    const std::string start = "1 report " + std::to_string(100 + i) + " finished: ";
    EXPECT_EQ(operators_[i].hears().substr(0, start.size()), start);
  }
}

TEST_F(ControlPlaneTest, SomebodyElsesReportIsWaitedForInTheSameWay) {
  options_.core.max_report_targets = 1;
  options_.core.max_reports = 1;
  start();
  TestBackend& silent = join("silent");
  TestOperator& op = connect();
  for (std::uint64_t i = 0; i < kOperators; ++i) {
    auto detached = release("/cache");
    detached.detach = true;
    op.asks(1 + i, detached);
    EXPECT_NE(op.hears().find("accepted"), std::string::npos);
    op.asks(100 + i, wire::GetReport{100 + i, true});
  }
  settle();
  EXPECT_EQ(op.has_heard(), "nothing");
  silent.deregisters(2);
  settle();
  for (std::uint64_t i = 0; i < kOperators; ++i) {
    const std::string number = std::to_string(100 + i);
    std::string start = number;
    start.append(" report ").append(number).append(" finished: ");
    EXPECT_EQ(op.hears().substr(0, start.size()), start);
  }
}

TEST_F(ControlPlaneTest, ANumberThatIsUsedAgainAfterACancelIsAnsweredForItsNewRequestAlone) {
  start();
  TestBackend& a = join("a");
  TestOperator& op = connect();
  op.asks(1, release("/old"));
  EXPECT_EQ(a.hears(), "operation 100: release-handles /old");
  // All in one turn: the end of the first, its cancellation, and the next with its number.
  a.acks(100);
  op.asks(1, wire::Cancel{});
  op.asks(1, release("/new"));
  settle();
  std::string heard = op.has_heard();
  if (heard.starts_with("1 report 100")) heard = op.has_heard();  // it was faster
  EXPECT_EQ(heard, "nothing") << "the new request is still running";
  EXPECT_EQ(a.hears(), "operation 101: release-handles /new");
  a.acks(101);
  EXPECT_EQ(op.hears(), "1 report 101 finished: release-handles /new: acked a 1.0.0");
}

TEST_F(ControlPlaneTest, ARequestWhoseOperatorLeftBeforeItWasReadIsNotRun) {
  start();
  TestBackend& a = join("a");
  TestOperator& other = connect();
  other.asks(1, release("/kept"));
  EXPECT_EQ(a.hears(), "operation 100: release-handles /kept");

  auto detached = release("/detached");
  detached.detach = true;
  TestOperator& left = connect();
  left.asks(1, release("/cache"));
  left.asks(2, detached);
  left.asks(3, wire::CancelBroadcast{100});
  left.closes();
  settle();
  EXPECT_EQ(server_->core().counters().broadcasts_started, 1u);
  EXPECT_EQ(control_->session_count(), 1u);
  EXPECT_EQ(other.has_heard(), "nothing") << "its broadcast was cancelled";
  a.acks(100);
  EXPECT_EQ(other.hears(), "1 report 100 finished: release-handles /kept: acked a 1.0.0");
}

TEST_F(ControlPlaneTest, WhoOnlyStopsWritingIsServed) {
  start();
  TestBackend& a = join("a");
  TestOperator& op = connect();
  op.asks(1, release("/cache"));
  op.stops_writing();
  settle();
  EXPECT_EQ(a.hears(), "operation 100: release-handles /cache");
}

}  // namespace
}  // namespace muster::test
