#include <gtest/gtest.h>

#include "musterctl/progress.h"
#include "musterctl/text.h"
#include "support/captured_console.h"
#include "support/view_values.h"

namespace muster::ctl {
namespace {

using namespace std::chrono_literals;
using test::event_about;
using test::event_of;
using test::outcome_of;

class ProgressLine : public testing::Test {
 protected:
  Event started(std::uint32_t targets) {
    Event event = event_of(Event::Kind::kBroadcastStarted);
    event.targets = targets;
    return event;
  }
  Event outcome(const char* service, OutcomeKind kind, std::uint32_t acks, std::uint32_t timeouts,
                std::uint32_t failures) {
    Event event = event_about(Event::Kind::kOutcome, outcome_of(service, 1, kind));
    event.targets = 4;
    event.acks = acks;
    event.timeouts = timeouts;
    event.failures = failures;
    return event;
  }
  Event working(const char* service, const char* note) {
    auto outcome = outcome_of(service, 816, OutcomeKind::kOpen);
    outcome.note = note;
    outcome.percent = 40;
    return event_about(Event::Kind::kWorking, outcome);
  }
  // a, b, c, d were asked; a acked.
  BroadcastReport running() {
    auto report = test::finished(
        BroadcastOperation::quiesce(QuiesceReason::kMaintenance),
        {outcome_of("a", 812, OutcomeKind::kAck), outcome_of("b", 814, OutcomeKind::kOpen),
         outcome_of("c", 815, OutcomeKind::kOpen), outcome_of("d", 816, OutcomeKind::kOpen)});
    report.duration = 300ms;
    return report;
  }
  std::string at(Progress::TimePoint::duration after, std::size_t columns = 200) {
    return progress.line(t0 + after, columns);
  }

  Progress::TimePoint t0{1'000s};
  Progress progress;
};

TEST_F(ProgressLine, BeforeAnythingIsKnownSaysWhatItWaitsFor) {
  EXPECT_EQ(at(0s), "waiting for the broker");
}

TEST_F(ProgressLine, CountsWithoutNamesUntilItKnowsThem) {
  progress.apply(started(4), t0);
  EXPECT_EQ(at(1'250ms), "0 of 4 acked, 4 open, 1.2 s");
  progress.apply(outcome("a", OutcomeKind::kAck, 1, 0, 0), t0 + 1s);
  progress.apply(outcome("b", OutcomeKind::kTimeout, 1, 1, 0), t0 + 2s);
  progress.apply(outcome("c", OutcomeKind::kFailure, 1, 1, 1), t0 + 2s);
  EXPECT_EQ(at(2s), "1 of 4 acked, 1 timed out, 1 failed, 1 open, 2.0 s");
}

TEST_F(ProgressLine, SaysThatTheKernelIsAskedWhenEveryOutcomeIsIn) {
  progress.apply(started(4), t0);
  progress.apply(outcome("a", OutcomeKind::kAck, 4, 0, 0), t0 + 1s);
  progress.apply(test::event_of(Event::Kind::kVerifying), t0 + 1s);
  EXPECT_EQ(at(2'500ms), "4 of 4 acked, 2.5 s; asking the kernel who has files in use");
  // Also where events were lost, and a report has to say so.
  Progress late;
  late.apply(started(4), t0);
  auto report = running();
  report.state = BroadcastState::kVerifying;
  late.seed(report, t0 + 1s);
  EXPECT_EQ(late.line(t0 + 1s, 200), "1 of 4 acked, 0.3 s; asking the kernel who has files in use");
}

TEST_F(ProgressLine, NamesTheOneThatHasBeenSilentForLongest) {
  progress.apply(started(4), t0);
  progress.apply(outcome("a", OutcomeKind::kAck, 1, 0, 0), t0);
  progress.seed(running(), t0 + 300ms);
  EXPECT_EQ(at(4'100ms),
            "1 of 4 acked, 3 open, 4.1 s; waiting for b 1.0.0 (pid 814) for 4.1 s, +2 more");
  auto of_b = outcome_of("b", 814, OutcomeKind::kOpen);
  progress.apply(event_about(Event::Kind::kWorking, of_b), t0 + 4s);
  EXPECT_EQ(at(4'200ms),
            "1 of 4 acked, 3 open, 4.2 s; waiting for c 1.0.0 (pid 815) for 4.2 s, +2 more");
  progress.apply(outcome("c", OutcomeKind::kAck, 2, 0, 0), t0 + 5s);
  progress.apply(outcome("b", OutcomeKind::kAck, 3, 0, 0), t0 + 5s);
  EXPECT_EQ(at(65s),
            "3 of 4 acked, 1 open, 1 min 5 s; waiting for d 1.0.0 (pid 816) for 1 min 5 s");
}

TEST_F(ProgressLine, ShowsWhatTheBackendItselfSaid) {
  progress.apply(started(4), t0);
  progress.seed(running(), t0 + 300ms);
  progress.apply(outcome("b", OutcomeKind::kAck, 2, 0, 0), t0 + 1s);
  progress.apply(outcome("c", OutcomeKind::kAck, 3, 0, 0), t0 + 1s);
  progress.apply(working("d", "flushing\x1b]0;pwned\x07"), t0 + 2s);
  EXPECT_EQ(at(2'500ms),
            "3 of 4 acked, 1 open, 2.5 s; waiting for d 1.0.0 (pid 816) for 2.5 s; 40 % "
            "\"flushing\\x1b]0;pwned\\x07\" 0.5 s ago");
}

TEST_F(ProgressLine, KeepsWhatItHeardBeforeItKnewTheRest) {
  progress.apply(started(4), t0);
  progress.apply(working("d", "early"), t0 + 100ms);
  progress.seed(running(), t0 + 300ms);
  progress.apply(outcome("b", OutcomeKind::kAck, 2, 0, 0), t0 + 1s);
  progress.apply(outcome("c", OutcomeKind::kAck, 3, 0, 0), t0 + 1s);
  EXPECT_EQ(at(1'100ms),
            "3 of 4 acked, 1 open, 1.1 s; waiting for d 1.0.0 (pid 816) for 1.1 s; 40 % \"early\" "
            "1.0 s ago");
}

TEST_F(ProgressLine, OfABroadcastThatWasJoinedCountsFromItsStart) {
  progress.apply(started(4), t0);
  auto report = running();
  report.duration = 10s;
  report.backends[1].note = "said before";
  progress.seed(report, t0);
  progress.apply(outcome("a", OutcomeKind::kAck, 1, 0, 0), t0);
  EXPECT_EQ(at(1s),
            "1 of 4 acked, 3 open, 11.0 s; waiting for b 1.0.0 (pid 814) for 11.0 s, +2 more; "
            "\"said before\"");
}

TEST_F(ProgressLine, FollowsABackendThatCameBackAsAnotherIncarnation) {
  progress.apply(started(4), t0);
  progress.seed(running(), t0 + 300ms);
  Event again = event_about(Event::Kind::kRedelivered, outcome_of("b", 999, OutcomeKind::kOpen));
  progress.apply(again, t0 + 1s);
  progress.apply(outcome("a", OutcomeKind::kAck, 1, 0, 0), t0);
  progress.apply(outcome("c", OutcomeKind::kAck, 2, 0, 0), t0 + 2s);
  progress.apply(outcome("d", OutcomeKind::kAck, 3, 0, 0), t0 + 2s);
  EXPECT_EQ(at(3s), "3 of 4 acked, 1 open, 3.0 s; waiting for b 1.0.0 (pid 999) for 3.0 s");
}

TEST_F(ProgressLine, IsNeverWiderThanTheTerminal) {
  progress.apply(started(4), t0);
  progress.seed(running(), t0 + 300ms);
  progress.apply(outcome("a", OutcomeKind::kAck, 1, 0, 0), t0);
  const std::string whole = at(1s);
  for (std::size_t columns = 0; columns <= whole.size(); ++columns) {
    EXPECT_LE(columns_of(at(1s, columns)), columns);
  }
  EXPECT_EQ(at(1s, 30), "1 of 4 acked, 3 open, 1.0 s...");
  EXPECT_EQ(at(1s, whole.size()), whole);
}

TEST_F(ProgressLine, AsksAgainWhoIsOpenWhenEventsWereLost) {
  EXPECT_FALSE(progress.knows_who_is_open());
  progress.apply(started(4), t0);
  progress.seed(running(), t0 + 300ms);
  EXPECT_TRUE(progress.knows_who_is_open());
  progress.apply(event_of(Event::Kind::kEventsLost), t0 + 1s);
  EXPECT_FALSE(progress.knows_who_is_open());
  auto report = running();
  report.backends[1].outcome = OutcomeKind::kAck;
  report.result.acks.push_back({report.backends[1].key});
  report.duration = 1s;
  progress.seed(report, t0 + 1s);
  EXPECT_TRUE(progress.knows_who_is_open());
  EXPECT_EQ(at(1s),
            "2 of 4 acked, 2 open, 1.0 s; waiting for c 1.0.0 (pid 815) for 1.0 s, +1 more");
  progress.apply(outcome("c", OutcomeKind::kAck, 4, 0, 0), t0 + 2s);
  EXPECT_EQ(at(2s), "4 of 4 acked, 0 open, 2.0 s");
}

TEST_F(ProgressLine, IgnoresWhatIsNotAboutHowFarItIs) {
  progress.apply(started(4), t0);
  Event other = event_of(Event::Kind::kLateAnswer, 3);
  other.targets = 99;
  other.acks = 98;
  progress.apply(other, t0);
  EXPECT_EQ(at(0s), "0 of 4 acked, 4 open, 0.0 s");
}

TEST(LiveLine, WaitsBeforeItIsDrawnAndIsDrawnTenTimesASecond) {
  test::CapturedConsole console;
  const LiveLine::TimePoint t0{1'000s};
  LiveLine line(console, t0);
  EXPECT_FALSE(line.due(t0 + 149ms));
  EXPECT_TRUE(line.due(t0 + 150ms));
  line.draw("one", t0 + 150ms);
  EXPECT_FALSE(line.due(t0 + 249ms));
  EXPECT_TRUE(line.due(t0 + 250ms));
  line.draw("two", t0 + 250ms);
  EXPECT_EQ(console.written_err, "\rone\x1b[K\rtwo\x1b[K");
}

TEST(LiveLine, LeavesNothingBehind) {
  test::CapturedConsole console;
  {
    LiveLine line(console, LiveLine::TimePoint{});
    line.draw("one", LiveLine::TimePoint{});
  }
  EXPECT_EQ(console.written_err, "\rone\x1b[K\r\x1b[K");
  console.written_err.clear();
  { LiveLine never_drawn(console, LiveLine::TimePoint{}); }
  EXPECT_EQ(console.written_err, "");
}

}  // namespace
}  // namespace muster::ctl
