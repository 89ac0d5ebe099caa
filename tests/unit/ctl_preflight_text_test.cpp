// What musterctl makes of the report of a preflight: its text and its exit status.
#include <vector>

#include <gtest/gtest.h>

#include "musterctl/exit_status.h"
#include "musterctl/report_text.h"
#include "support/view_values.h"

namespace muster::ctl {
namespace {

using namespace std::chrono_literals;

// A script that deletes when the status is 0 must not be told that a preflight is a release.
TEST(ExitStatus, OfAPreflightIsNeverZeroButForWhoAskedFirst) {
  using test::finished;
  using test::outcome_of;
  const auto ack = outcome_of("a", 1, OutcomeKind::kAck);
  const auto late = outcome_of("b", 1, OutcomeKind::kTimeout);
  const auto dead = outcome_of("c", 1, OutcomeKind::kSkippedDead);
  const struct {
    const char* name;
    std::vector<BackendOutcome> backends;
    bool allow_empty;
    int shown;
    int asked;
  } kRows[] = {
      {"all would", {ack, ack}, false, 1, 0},
      {"dead ones do not count", {ack, dead}, false, 1, 0},
      {"one did not answer", {ack, late}, false, 1, 1},
      {"nobody", {}, false, 5, 5},
      {"nobody, who may be", {}, true, 1, 0},
  };
  const auto release = BroadcastOperation::preflight(ReleaseHandles{"/x", {}});
  for (const auto& row : kRows) {
    for (const auto& operation : {release, BroadcastOperation::preflight(Quiesce{})}) {
      BroadcastReport report = finished(operation, row.backends);
      EXPECT_EQ(exit_status_of(report, row.allow_empty), row.shown) << row.name;
      EXPECT_EQ(least_exit_status_of(report, row.allow_empty), row.shown) << row.name;
      EXPECT_EQ(status_of_answer(report, row.allow_empty, false), row.shown) << row.name;
      EXPECT_EQ(status_of_preflight(report, row.allow_empty), row.asked) << row.name;
      report.backends_unknown = true;
      EXPECT_EQ(status_of_preflight(report, row.allow_empty), 1) << row.name;
      report.backends_unknown = false;
      report.state = BroadcastState::kCancelled;
      EXPECT_EQ(status_of_preflight(report, row.allow_empty), 1) << row.name;
    }
  }
}

TEST(PreflightText, SaysWhoWouldAndThatNothingWasReleased) {
  ReportStyle style;
  style.user = [](uid_t uid) { return uid == 1000 ? "alice" : ""; };
  const auto shown = [&](const BroadcastReport& report) { return show_report(report, {}, style); };
  const auto would = BroadcastOperation::preflight(ReleaseHandles{"/var/cache/x", {}});
  auto said_none = test::outcome_of("zccache", 812, OutcomeKind::kAck, 3ms);
  said_none.released = 0;  // that is of a release
  EXPECT_EQ(shown(test::finished(would, {said_none})),
            "preflight of release-handles /var/cache/x: 1 of 1 would in 1.2 s (broadcast 17)\n"
            "  backends were only asked whether they would: nothing was released\n"
            "`musterctl result 17 --json` has every detail\n");
  style.name_acks = true;
  style.explain_preflight = false;
  EXPECT_EQ(
      shown(test::finished(
          would, {test::outcome_of("zccache", 812, OutcomeKind::kAck, 3ms),
                  test::failure_of("b", 813, BroadcastFailureReason::kRejected, "a build runs")})),
      "preflight of release-handles /var/cache/x: 1 of 2 would in 1.2 s (broadcast 17)\n"
      "  rejected    b 1.0.0 (pid 813, uid 1000 alice): \"a build runs\"\n"
      "  would       zccache 1.0.0 (pid 812, uid 1000 alice): after 3.0 ms\n"
      "`musterctl result 17 --json` has every detail\n");
}

}  // namespace
}  // namespace muster::ctl
