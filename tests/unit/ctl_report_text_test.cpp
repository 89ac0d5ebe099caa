#include <ctime>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "musterctl/report_text.h"
#include "musterctl/text.h"
#include "support/view_values.h"

namespace muster::ctl {
namespace {

using namespace std::chrono_literals;
using test::failure_by;
using test::failure_of;
using test::finished;
using test::key_of;
using test::outcome_of;
using testing::HasSubstr;
using testing::Not;

class ReportText : public testing::Test {
 protected:
  ReportText() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    style.user = [](uid_t uid) { return uid == 1000 ? "alice" : ""; };
    style.now_unix_ms = 1'709'294'540'000;
  }

  static BroadcastOperation release() {
    return BroadcastOperation::release_handles("/var/cache/x");
  }
  std::string shown(const BroadcastReport& report) { return show_report(report, known, style); }

  ReportStyle style;
  std::vector<BackendInfo> known;
};

TEST_F(ReportText, IsOneLineWhenAllIsWell) {
  EXPECT_EQ(shown(finished(release(), {outcome_of("zccache", 812, OutcomeKind::kAck, 3ms)})),
            "release-handles /var/cache/x: 1 of 1 acked in 1.2 s (broadcast 17)\n");
}

TEST_F(ReportText, SaysWhenAKeyMadeItAnEarlierBroadcasts) {
  const auto report = finished(release(), {outcome_of("zccache", 812, OutcomeKind::kAck, 3ms)});
  const std::string line = "release-handles /var/cache/x: 1 of 1 acked in 1.2 s (broadcast 17)\n";
  EXPECT_EQ(shown(report), line);
  style.joined = true;
  EXPECT_EQ(shown(report), line + "  that broadcast has this key and began at " +
                               local_time(report.started_unix_ms, style.now_unix_ms) +
                               ": no backend was asked again\n");
}

TEST_F(ReportText, SaysWhenTheBrokerGivesLessTimeThanWasAskedFor) {
  auto silent = outcome_of("soldr", 814, OutcomeKind::kTimeout, 5min);
  silent.ack_timeout = 5min;
  style.asked_timeout = 5min;
  EXPECT_THAT(shown(finished(release(), {silent})), Not(HasSubstr("max_ack_timeout")));
  style.asked_timeout = 10min;
  EXPECT_THAT(
      shown(finished(release(), {silent})),
      HasSubstr("  --timeout was reduced from 10 min to 5 min, the broker's max_ack_timeout\n"));
  // Of both, the one that holds is named.
  style.deadline = 6min;
  EXPECT_THAT(shown(finished(release(), {silent})), HasSubstr("the broker's max_ack_timeout\n"));
  style.deadline = 5min;
  EXPECT_THAT(shown(finished(release(), {silent})),
              HasSubstr("  --timeout was reduced from 10 min to 5 min, the --deadline\n"));
  silent.ack_timeout = 10min;
  EXPECT_THAT(shown(finished(release(), {silent})), Not(HasSubstr("reduced")));
}

TEST_F(ReportText, SaysThatAnOpenOneGotMoreTime) {
  auto open = outcome_of("slow", 815, OutcomeKind::kOpen);
  open.ack_timeout = 5s;
  open.extensions = 2;
  auto report = finished(release(), {open});
  report.state = BroadcastState::kRunning;
  EXPECT_THAT(shown(report), HasSubstr("no answer yet; its time is 5 s and it got more 2 times\n"));
}

TEST_F(ReportText, NamesEachBackendThatDidNotAckAndWhy) {
  auto late = outcome_of("soldr", 814, OutcomeKind::kTimeout, 2s);
  auto extended = outcome_of("slow", 815, OutcomeKind::kTimeout, 3'200ms);
  extended.extensions = 3;
  extended.percent = 40;
  extended.note = "flushing\x1b[2J";
  auto other_user = failure_of("zoom", 816, BroadcastFailureReason::kRejected, "busy: \"build\"");
  other_user.uid = 0;
  auto again = failure_of("back", 818, BroadcastFailureReason::kBackendError, "disk on fire");
  again.redeliveries = 1;
  auto unseen = failure_of("odd", 0, BroadcastFailureReason::kUnsupportedOperation, "");
  auto skipped = outcome_of("old", 700, OutcomeKind::kSkippedDead);
  skipped.detail = "process exited";
  const auto report = finished(
      release(), {outcome_of("zccache", 812, OutcomeKind::kAck, 3ms), late, extended, other_user,
                  failure_by(Cause::kProcessExited, "gone", 817,
                             BroadcastFailureReason::kBackendError, "process exited"),
                  again, unseen, failure_of("mute", 819, BroadcastFailureReason::kRejected, ""),
                  skipped, outcome_of("older", 701, OutcomeKind::kSkippedDead)});
  BackendInfo dead;
  dead.key = key_of("old");
  dead.state = BackendState::kDead;
  dead.since_unix_ms = report.started_unix_ms - 60'000;
  BackendInfo died_later = dead;
  died_later.key = key_of("older");
  died_later.since_unix_ms = report.started_unix_ms + 1;
  known = {dead, died_later};
  EXPECT_EQ(
      shown(report),
      "release-handles /var/cache/x: 1 of 8 acked in 1.2 s; 2 dead skipped (broadcast 17)\n"
      "  timed out   soldr 1.0.0 (pid 814, uid 1000 alice): no answer within 2 s\n"
      "  timed out   slow 1.0.0 (pid 815, uid 1000 alice): no answer within 3.2 s, though it asked "
      "for more time 3 times; last said 40 % \"flushing\\x1b[2J\"\n"
      "  rejected    zoom 1.0.0 (pid 816, uid 0): \"busy: \\\"build\\\"\"\n"
      "  failed      gone 1.0.0 (pid 817, uid 1000 alice): process exited\n"
      "  failed      back 1.0.0 (pid 818, uid 1000 alice): \"disk on fire\"; asked again after it "
      "reconnected\n"
      "  unsupported odd 1.0.0 (pid not visible, uid 1000 alice): it has no handler for this "
      "operation\n"
      "  rejected    mute 1.0.0 (pid 819, uid 1000 alice): it gave no reason\n"
      "  skipped     old 1.0.0 (pid 700, uid 1000 alice): dead since 12:01:11, process exited\n"
      "  skipped     older 1.0.0 (pid 701, uid 1000 alice): it was dead\n"
      "`musterctl result 17 --json` has every detail\n");
}

TEST_F(ReportText, NamesThoseThatAckedWhenAskedTo) {
  style.name_acks = true;
  EXPECT_EQ(shown(finished(BroadcastOperation::quiesce(QuiesceReason::kMaintenance),
                           {outcome_of("zccache", 812, OutcomeKind::kAck, 3'140us)})),
            "quiesce (maintenance): 1 of 1 acked in 1.2 s (broadcast 17)\n"
            "  acked       zccache 1.0.0 (pid 812, uid 1000 alice): after 3.1 ms\n");
}

TEST_F(ReportText, SaysThatNobodyWasAskedAndWhy) {
  EXPECT_EQ(shown(finished(release(), {})),
            "release-handles /var/cache/x: no backend was asked: there was no live backend "
            "(broadcast 17)\n");
  style.selective = true;
  EXPECT_EQ(
      shown(finished(release(), {outcome_of("old", 700, OutcomeKind::kSkippedDead)})),
      "release-handles /var/cache/x: no backend was asked: no live backend matches --select; 1 "
      "dead skipped (broadcast 17)\n"
      "  skipped     old 1.0.0 (pid 700, uid 1000 alice): it was dead\n");
}

TEST_F(ReportText, OfARunningBroadcastSaysWhoIsOpenAndWhatCanBeDone) {
  auto open = outcome_of("soldr", 814, OutcomeKind::kOpen);
  open.note = "flushing";
  EXPECT_EQ(
      shown(finished(release(), {outcome_of("zccache", 812, OutcomeKind::kAck, 3ms), open})),
      "release-handles /var/cache/x: still running after 1.2 s: 1 of 2 acked, 1 open "
      "(broadcast 17)\n"
      "  open        soldr 1.0.0 (pid 814, uid 1000 alice): no answer yet; its time is 2 s; last "
      "said \"flushing\"\n"
      "`musterctl result 17 --wait` waits for it, `musterctl cancel 17` stops it\n");
}

TEST_F(ReportText, OfACancelledBroadcastSaysSo) {
  auto report = finished(release(), {outcome_of("zccache", 812, OutcomeKind::kAck, 3ms),
                                     failure_by(Cause::kCancelled, "soldr", 814,
                                                BroadcastFailureReason::kRejected, "")});
  report.state = BroadcastState::kCancelled;
  EXPECT_EQ(shown(report),
            "release-handles /var/cache/x: cancelled after 1.2 s: 1 of 2 acked (broadcast 17)\n"
            "  cancelled   soldr 1.0.0 (pid 814, uid 1000 alice): before it answered\n"
            "`musterctl result 17 --json` has every detail\n");
}

// Who said it decides, never what was said.
TEST_F(ReportText, QuotesABackendWhateverItSays) {
  for (const std::string words : {"cancelled", "process exited", "connection lost",
                                  "disconnected; process 1 is still running"}) {
    EXPECT_THAT(
        shown(finished(release(),
                       {failure_of("soldr", 814, BroadcastFailureReason::kRejected, words)})),
        HasSubstr("  rejected    soldr 1.0.0 (pid 814, uid 1000 alice): \"" + words + "\"\n"));
    auto late = finished(release(), {outcome_of("soldr", 814, OutcomeKind::kTimeout)});
    late.late_failures.push_back(
        {key_of("soldr"), 12ms, BroadcastFailureReason::kBackendError, words});
    EXPECT_THAT(shown(late), HasSubstr(", \"" + words + "\"\n"));
  }
}

TEST_F(ReportText, SaysInTheBrokersWordsWhatTheBrokerAndTheKernelSay) {
  const auto line = [&](Cause cause, const std::string& detail) {
    const std::string text = shown(
        finished(release(),
                 {failure_by(cause, "soldr", 814, BroadcastFailureReason::kBackendError, detail)}));
    const auto at = text.find("alice): ");
    return text.substr(at + 8, text.find('\n', at) - at - 8);
  };
  EXPECT_EQ(line(Cause::kProcessExited, ""), "process exited");
  EXPECT_EQ(line(Cause::kClosed, "disconnected; process 814 is still running"),
            "disconnected; process 814 is still running");
  EXPECT_EQ(line(Cause::kSlowReader, ""), "connection closed by the broker: slow reader");
  EXPECT_EQ(line(Cause::kDeregistered, "deregistered"), "deregistered");
  EXPECT_EQ(line(Cause::kDeregistered, ""), "deregistered");
  EXPECT_EQ(line(Cause::kAnswer, "deregistered"), "\"deregistered\"");
  EXPECT_EQ(line(Cause::kBrokerRestarted, ""), "not reconnected since the broker restarted");
  EXPECT_EQ(line(Cause::kInherited, ""), "process exited, but another process has its connection");
  EXPECT_EQ(line(Cause::kUnseen, explain(Cause::kUnseen, 0)),
            "its process cannot be seen: the broker runs in another pid namespace than when it "
            "registered; it may still run");
  for (const Cause cause : {Cause::kRefusedQuota, Cause::kRefusedKey}) {
    EXPECT_EQ(line(cause, explain(cause, 814)),
              std::string(to_string(cause)) + "; process 814 is running and was not asked");
    EXPECT_EQ(line(cause, explain(cause, 0)),
              std::string(to_string(cause)) +
                  "; its process, in another pid namespace, may run and was not asked");
  }
  // An older broker does not say who said it.
  EXPECT_EQ(line(Cause::kNone, "cancelled"), "\"cancelled\"");
}

TEST_F(ReportText, SaysThatTheDeadlineOfTheWholePassed) {
  auto late = outcome_of("soldr", 814, OutcomeKind::kTimeout, 1'500ms);
  late.cause = Cause::kDeadline;
  late.extensions = 3;
  EXPECT_THAT(shown(finished(release(), {late})),
              HasSubstr("  timed out   soldr 1.0.0 (pid 814, uid 1000 alice): no answer when the "
                        "deadline of the broadcast passed, after 1.5 s\n"));
}

TEST_F(ReportText, SaysThatNobodyHadAnythingOpen) {
  auto none = outcome_of("zccache", 812, OutcomeKind::kAck, 3ms);
  none.released = 0;
  auto some = outcome_of("soldr", 814, OutcomeKind::kAck, 3ms);
  some.released = 2;
  const auto silent_about_it = outcome_of("old", 815, OutcomeKind::kAck, 3ms);
  const std::string line = "no backend had anything open below /var/cache/x\n";
  EXPECT_TRUE(shown(finished(release(), {none})).ends_with(line));
  EXPECT_TRUE(shown(finished(release(), {none, none})).ends_with(line));
  EXPECT_THAT(shown(finished(release(), {none, some})), Not(HasSubstr(line)));
  EXPECT_THAT(shown(finished(release(), {none, silent_about_it})), Not(HasSubstr(line)));
  EXPECT_THAT(shown(finished(release(), {})), Not(HasSubstr(line)));
  // Those who did not ack may have some.
  EXPECT_THAT(shown(finished(release(),
                             {failure_of("b", 1, BroadcastFailureReason::kRejected, "no"), none})),
              HasSubstr(line));
  EXPECT_THAT(shown(finished(BroadcastOperation::quiesce(QuiesceReason::kMaintenance), {none})),
              Not(HasSubstr("open below")));
  style.name_acks = true;
  EXPECT_THAT(shown(finished(release(), {some})), HasSubstr("after 3.0 ms, 2 handles released\n"));
}

TEST_F(ReportText, NamesTheOperatorWhereItIsAskedFor) {
  auto report = finished(release(), {outcome_of("zccache", 812, OutcomeKind::kAck, 3ms)});
  report.asked_by = Operator{1000, 4711, "musterctl"};
  EXPECT_THAT(shown(report), Not(HasSubstr("asked by")));
  style.name_operator = true;
  EXPECT_THAT(shown(report), HasSubstr("  asked by alice (uid 1000), pid 4711, musterctl\n"));
  report.asked_by = Operator{7, 0, ""};
  EXPECT_THAT(shown(report), HasSubstr("  asked by uid 7\n"));
  report.asked_by.reset();
  EXPECT_THAT(shown(report), Not(HasSubstr("asked by")));
}

TEST_F(ReportText, AnOutcomeOfANewerBrokerIsNoAck) {
  auto report = finished(release(), {outcome_of("zccache", 812, OutcomeKind::kAck, 3ms)});
  report.backends.push_back(outcome_of("soldr", 814, kUnknownOutcome));
  EXPECT_EQ(shown(report),
            "release-handles /var/cache/x: 1 of 2 acked in 1.2 s (broadcast 17)\n"
            "  unknown     soldr 1.0.0 (pid 814, uid 1000 alice): an outcome of a newer broker, "
            "unknown to this musterctl: not an ack\n"
            "`musterctl result 17 --json` has every detail\n");
}

TEST_F(ReportText, ListsAnswersThatCameTooLate) {
  auto report = finished(release(), {outcome_of("soldr", 814, OutcomeKind::kTimeout, 2s)});
  report.late_acks.push_back({key_of("soldr"), 1'300ms, {}, {}});
  report.late_failures.push_back(
      {key_of("zoom"), 12ms, BroadcastFailureReason::kRejected, "too\nlate"});
  EXPECT_EQ(shown(report),
            "release-handles /var/cache/x: 0 of 1 acked in 1.2 s (broadcast 17)\n"
            "  timed out   soldr 1.0.0 (pid 814, uid 1000 alice): no answer within 2 s\n"
            "  late ack    soldr 1.0.0: acked 1.3 s after its deadline\n"
            "  late answer zoom 1.0.0: answered 12 ms after its deadline: rejected, "
            "\"too\\x0alate\"\n"
            "`musterctl result 17 --json` has every detail\n");
}

TEST_F(ReportText, OfTenThousandBackendsFitsOnAScreen) {
  std::vector<BackendOutcome> backends;
  for (int i = 0; i < 10'000; ++i) {
    backends.push_back(outcome_of("silent" + std::to_string(i), 1000 + i, OutcomeKind::kTimeout));
    backends.push_back(outcome_of("old" + std::to_string(i), 1, OutcomeKind::kSkippedDead));
  }
  const std::string text = shown(finished(release(), std::move(backends)));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1 + 51 + 51);
  EXPECT_NE(text.find("\n  timed out   silent49 1.0.0 (pid 1049, uid 1000 alice): no answer within "
                      "2 s\n"
                      "  ...         and 9950 more timed out: musterctl result 17 --json\n"
                      "  skipped     old0 "),
            std::string::npos)
      << text;
}

TEST_F(ReportText, InColourPaintsWhatIsOurOwnAndResetsIt) {
  style.paint = Paint(true);
  const auto report = finished(
      release(), {failure_of("zoom", 816, BroadcastFailureReason::kRejected, "\x1b[32mfine")});
  EXPECT_EQ(shown(report),
            "release-handles /var/cache/x: \x1b[31m0 of 1 acked in 1.2 s\x1b[0m\x1b[2m (broadcast "
            "17)\x1b[0m\n"
            "  \x1b[31mrejected    \x1b[0mzoom 1.0.0 (pid 816, uid 1000 alice): "
            "\"\\x1b[32mfine\"\n"
            "`musterctl result 17 --json` has every detail\n");
}

TEST_F(ReportText, OfADryRunListsWhoWouldBeAsked) {
  DryRun dry_run;
  EXPECT_EQ(show_dry_run(release(), dry_run, {}, false),
            "release-handles /var/cache/x: would ask no backend: there is no live backend\n");
  EXPECT_EQ(
      show_dry_run(release(), dry_run, {}, true),
      "release-handles /var/cache/x: would ask no backend: no live backend matches --select\n");
  dry_run.would_ask = {key_of("zccache"), key_of("soldr", "2.0.1", "r2")};
  dry_run.skipped_dead = {key_of("old")};
  EXPECT_EQ(show_dry_run(release(), dry_run, {}, false),
            "release-handles /var/cache/x: would ask 2 backends; 1 dead would be skipped\n"
            "  ask   zccache 1.0.0\n"
            "  ask   soldr 2.0.1 #r2\n"
            "  dead  old 1.0.0\n");
}

TEST_F(ReportText, OfADryRunListsApartWhoWouldFailAtOnce) {
  DryRun dry_run;
  const auto failed_by = [](Cause cause, std::string service, pid_t pid) {
    return failure_by(cause, std::move(service), pid, BroadcastFailureReason::kBackendError,
                      explain(cause, pid));
  };
  dry_run.would_fail = {failed_by(Cause::kClosed, "zccache", 812)};
  EXPECT_EQ(show_dry_run(release(), dry_run, {}, false),
            "release-handles /var/cache/x: would ask no backend: there is no live backend; 1 would "
            "fail at once\n"
            "  fail  zccache 1.0.0 (disconnected; process 812 is still running)\n");
  dry_run.would_fail.push_back(failed_by(Cause::kRefusedKey, "cache", 813));
  dry_run.would_fail.back().key = key_of("cache", "1.0.0", "~813");
  dry_run.would_ask = {key_of("a"), key_of("b")};
  dry_run.reconnecting = {key_of("b")};
  dry_run.skipped_dead = {key_of("old")};
  dry_run.backends_unknown = true;
  EXPECT_EQ(
      show_dry_run(release(), dry_run, {}, true),
      "release-handles /var/cache/x: would ask 2 backends; 2 would fail at once; 1 dead would "
      "be skipped\n"
      "  the broker does not know all backends: some may be missing here, and would not be "
      "asked\n"
      "  `musterctl status` says why, and what to do\n"
      "  ask   a 1.0.0\n"
      "  ask   b 1.0.0 (reconnecting)\n"
      "  fail  zccache 1.0.0 (disconnected; process 812 is still running)\n"
      "  fail  cache 1.0.0 #~813 (not registered: another user's process has its key; "
      "process 813 is running and was not asked)\n"
      "  dead  old 1.0.0\n");
}

TEST_F(ReportText, OfADryRunThatWouldJoinSaysWhetherThatCanBeAYes) {
  const std::string joins =
      "release-handles /var/cache/x: would join broadcast 17, which has that key, and ask no "
      "backend: `musterctl result 17` shows how it stands\n";
  DryRun joining;
  joining.joins = 17;
  const auto shown_with = [&](const std::optional<BroadcastReport>& report) {
    const std::string text = show_dry_run(release(), joining, report, false);
    EXPECT_EQ(text.substr(0, joins.size()), joins);
    return text.substr(std::min(joins.size(), text.size()));
  };
  const auto acks = outcome_of("a", 812, OutcomeKind::kAck, 3ms);
  const auto fails = failure_of("b", 813, BroadcastFailureReason::kRejected, "busy");
  EXPECT_EQ(shown_with(finished(release(), {acks})), "");
  EXPECT_EQ(shown_with(finished(release(), {acks, fails})), "  not every backend acked\n");
  EXPECT_EQ(shown_with(finished(release(), {})),
            "  no backend was asked: there was no live backend\n");
  BroadcastReport running = finished(release(), {acks});
  running.state = BroadcastState::kRunning;
  running.backends.push_back(outcome_of("c", 814, OutcomeKind::kOpen));
  EXPECT_EQ(shown_with(running), "");
  running.backends.push_back(fails);
  EXPECT_EQ(shown_with(running), "  not every backend acked\n");
  EXPECT_EQ(shown_with(std::nullopt),
            "  its report cannot be read: it is not known whether every backend acked\n");
  joining.backends_unknown = true;
  EXPECT_EQ(shown_with(finished(release(), {acks})), "  the broker does not know all backends\n");
}

}  // namespace
}  // namespace muster::ctl
