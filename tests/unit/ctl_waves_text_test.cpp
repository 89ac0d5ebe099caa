// What waves print: a line each, then one table and the answer.
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "musterctl/waves.h"
#include "musterctl/waves_text.h"
#include "support/view_values.h"
#include "unit/ctl_waves_fixture.h"

namespace muster::ctl {
namespace {

// --- what an operator reads

ReportStyle plain() {
  ReportStyle style;
  style.user = [](uid_t) { return std::string("alice"); };
  return style;
}

TEST(WavesText, HasALineForEachWave) {
  const WaveTarget a = target("a", 1);
  const WaveTarget b = target("b", 2);
  const WaveTarget c = target("c", 3);
  EXPECT_EQ(
      show_wave(2, 5, asked({a, b, c}, {row(a, OutcomeKind::kAck), row(b, OutcomeKind::kTimeout)}),
                plain()),
      "wave 2 of 5: 1 of 2 acked in 1.2 s; 1 had left (broadcast 17)\n");
  WaveResult first = asked({a, b}, {row(a, OutcomeKind::kAck), row(b, OutcomeKind::kSkippedDead)});
  first.wave.is_first = true;
  EXPECT_EQ(show_wave(1, 5, first, plain()),
            "wave 1 of 5 (--first): 1 of 1 acked in 1.2 s; 1 dead skipped (broadcast 17)\n");
  EXPECT_EQ(show_wave(1, 1, asked({a}, {}), plain()),
            "wave 1 of 1: no backend was asked; 1 had left (broadcast 17)\n");
}

TEST(WavesText, NamesWhoDidNotAckOrWasNotAskedAndEndsWithTheAnswer) {
  const WaveTarget a = target("a", 1);
  const WaveTarget b = target("b", 2);
  BackendOutcome no = failure_of("b", 2, BroadcastFailureReason::kRejected, "busy");
  no.incarnation = 2;
  WavesReport report =
      report_of({asked({a}, {row(a, OutcomeKind::kAck)}), asked({b, target("l", 9)}, {no})});
  EXPECT_EQ(show_waves(report, plain()),
            "  rejected    b 1.0.0 (pid 2, uid 1000 alice): \"busy\"\n"
            "  not asked   l 1.0.0 (pid 9, uid 1000 alice): it had left before its wave, and may "
            "still run\n"
            "release-handles /mnt/a: 1 of 2 acked in 2 waves; 1 backend was not asked\n");
  report.planned = 4;
  report.not_asked = {target("c", 3), target("d", 4)};
  report.stopped = "1 failure is more than --max-failures 0";
  report.verify = true;
  const std::string text = show_waves(report, plain());
  EXPECT_EQ(text.substr(text.find("  not asked   c")),
            "  not asked   c 1.0.0 (pid 3, uid 1000 alice)\n"
            "  not asked   d 1.0.0 (pid 4, uid 1000 alice)\n"
            "release-handles /mnt/a: stopped after wave 2 of 4: 1 failure is more than "
            "--max-failures 0: 1 of 2 acked; 3 backends were not asked; the kernel was not "
            "asked\n");
}

TEST(WavesText, SaysWhoStaysQuiescedWhenTheyWereStopped) {
  const WaveTarget a = target("a", 1);
  WavesReport report = report_of({asked({a}, {row(a, OutcomeKind::kAck)})});
  report.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  EXPECT_EQ(show_waves(report, plain()), "quiesce (maintenance): 1 of 1 acked in 1 wave\n");
  report.planned = 2;
  report.not_asked = {target("b", 2)};
  report.stopped = "signal 2";
  EXPECT_EQ(show_waves(report, plain()),
            "  not asked   b 1.0.0 (pid 2, uid 1000 alice)\n"
            "  1 backend stays quiesced: `musterctl resume` ends that\n"
            "quiesce (maintenance): stopped after wave 1 of 2: signal 2: 1 of 1 acked; 1 backend "
            "was not asked\n");
}

TEST(WavesText, OfAYesSaysSo) {
  const WaveTarget a = target("a", 1);
  WavesReport report = report_of({asked({a}, {row(a, OutcomeKind::kAck)})});
  report.dead = {key_of("d")};
  EXPECT_EQ(show_waves(report, plain()),
            "  skipped     d 1.0.0: it was dead\n"
            "release-handles /mnt/a: 1 of 1 acked in 1 wave\n");
  report.dead.clear();
  report.verify = true;
  report.verification.emplace().scan.verdict = HolderVerdict::kClear;
  EXPECT_EQ(show_waves(report, plain()),
            "Released: 1 of 1 acked, nobody holds a file below /mnt/a.\n");
  report.others_not_asked = {"session of uid 7, /run/user/7/muster"};
  EXPECT_EQ(show_waves(report, plain()),
            "  not asked   session of uid 7, /run/user/7/muster\n"
            "release-handles /mnt/a: 1 of 1 acked in 1 wave; 1 broker of a user session was not "
            "asked\n");
  EXPECT_EQ(show_waves(report_of({}), plain()),
            "release-handles /mnt/a: no backend was asked: there was no live backend\n");
}

}  // namespace
}  // namespace muster::ctl
