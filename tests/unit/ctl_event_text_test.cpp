#include <ctime>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "musterctl/progress.h"
#include "support/view_values.h"

namespace muster::ctl {
namespace {

using namespace std::chrono_literals;
using Kind = Event::Kind;
using test::event_about;
using test::event_of;
using test::failure_of;
using test::outcome_of;

Event about_soldr(Kind kind, std::string detail = {}, BroadcastId id = 0) {
  Event event = event_about(kind, outcome_of("soldr", 814, OutcomeKind::kOpen), id);
  event.detail = std::move(detail);
  event.backend_outcome.reset();
  return event;
}

TEST(WatchedEvent, OfEachKindIsOneLineWithItsTime) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  Event refused = event_of(Kind::kPeerRefused, 0);
  refused.pid = 813;
  refused.uid = 1001;
  refused.detail = "bad\nkey";
  Event started = event_of(Kind::kBroadcastStarted);
  started.operation = "release-handles /x";
  started.targets = 5;
  started.skipped_dead = 1;
  started.asked_by = Operator{0, 4711, "musterctl"};
  auto asking = outcome_of("soldr", 814, OutcomeKind::kOpen);
  asking.percent = 40;
  Event finished = event_of(Kind::kBroadcastFinished);
  finished.targets = 5;
  finished.acks = 2;
  finished.timeouts = 1;
  finished.failures = 2;
  finished.skipped_dead = 1;
  Event refused_exited = about_soldr(Kind::kBackendDead, "process exited");
  refused_exited.was_refused = true;
  Event lost = event_of(Kind::kEventsLost, 0);
  lost.detail = "12 are missing";
  Event newer = event_of(kUnknownEventKind, 0);
  std::string text;
  for (const Event& event : std::vector<Event>{
           about_soldr(Kind::kBackendRegistered),
           about_soldr(Kind::kBackendReturned),
           about_soldr(Kind::kBackendReconnecting),
           about_soldr(Kind::kBackendDead, "process exited"),
           refused_exited,
           about_soldr(Kind::kBackendDeregistered),
           about_soldr(Kind::kBackendLost, std::string(to_string(Cause::kInherited))),
           about_soldr(Kind::kBackendResumed),
           about_soldr(Kind::kBackendForgotten),
           refused,
           started,
           event_about(Kind::kOutcome, outcome_of("a", 1, OutcomeKind::kAck, 3ms)),
           event_about(Kind::kOutcome, outcome_of("b", 2, OutcomeKind::kTimeout)),
           event_about(Kind::kOutcome,
                       failure_of("c", 3, BroadcastFailureReason::kRejected, "no\x1b")),
           event_about(Kind::kWorking, asking),
           about_soldr(Kind::kRedelivered, "", 17),
           about_soldr(Kind::kLateAnswer, "by 1300 ms", 17),
           about_soldr(Kind::kDuplicateAnswer, "", 17),
           about_soldr(Kind::kUnmatchedAnswer, "", 9),
           finished,
           event_of(Kind::kShuttingDown, 0),
           lost,
           newer}) {
    text += show_watched_event(event, [](uid_t uid) { return uid == 0 ? "root" : ""; });
  }
  EXPECT_EQ(
      text,
      "12:02:11.042  soldr 1.0.0 (pid 814, uid 1000) registered\n"
      "12:02:11.042  soldr 1.0.0 (pid 814, uid 1000) reconnected\n"
      "12:02:11.042  soldr 1.0.0 (pid 814, uid 1000) disconnected and may reconnect\n"
      "12:02:11.042  soldr 1.0.0 (pid 814, uid 1000) is dead: process exited\n"
      "12:02:11.042  soldr 1.0.0 (pid 814, uid 1000) exited; it was refused before\n"
      "12:02:11.042  soldr 1.0.0 (pid 814, uid 1000) left\n"
      "12:02:11.042  soldr 1.0.0 (pid 814, uid 1000) is lost: "
      "process exited, but another process has its connection\n"
      "12:02:11.042  soldr 1.0.0 (pid 814, uid 1000) may take work again\n"
      "12:02:11.042  soldr 1.0.0 (pid 814, uid 1000) was forgotten\n"
      "12:02:11.042  a peer (pid 813, uid 1001) was refused: bad\\x0akey\n"
      "12:02:11.042  broadcast 17: release-handles /x: asked 5 backends, skipped 1 dead; "
      "asked by root (uid 0), pid 4711, musterctl\n"
      "12:02:11.042  broadcast 17: a 1.0.0 (pid 1, uid 1000) acked after 3.0 ms\n"
      "12:02:11.042  broadcast 17: b 1.0.0 (pid 2, uid 1000) timed out: no answer within 2 s\n"
      "12:02:11.042  broadcast 17: c 1.0.0 (pid 3, uid 1000) rejected: \"no\\x1b\"\n"
      "12:02:11.042  broadcast 17: soldr 1.0.0 (pid 814, uid 1000) asks for more time: 40 %\n"
      "12:02:11.042  broadcast 17: soldr 1.0.0 (pid 814, uid 1000) reconnected and was asked "
      "again\n"
      "12:02:11.042  broadcast 17: soldr 1.0.0 (pid 814, uid 1000) answered after its "
      "deadline: by 1300 ms\n"
      "12:02:11.042  broadcast 17: soldr 1.0.0 (pid 814, uid 1000) answered a second time "
      "(ignored)\n"
      "12:02:11.042  broadcast 9: soldr 1.0.0 (pid 814, uid 1000) answered an unknown broadcast\n"
      "12:02:11.042  broadcast 17: finished: 2 of 5 acked, 1 timed out, 2 failed, 1 dead "
      "skipped\n"
      "12:02:11.042  the broker is shutting down\n"
      "12:02:11.042  events were lost, musterctl read too slowly: 12 are missing\n"
      "12:02:11.042  something of a kind that this musterctl does not know\n");
}

// Else "2 of 2 acked" reads as a yes, and the exit status of the broadcast is 1.
TEST(WatchedEvent, OfABroadcastSaysThatBackendsAreUnknown) {
  const UserName nobody_known = [](uid_t) { return std::string(); };
  Event started = event_of(Kind::kBroadcastStarted);
  started.operation = "release-handles /x";
  started.targets = 2;
  started.skipped_dead = 1;
  started.backends_unknown = true;
  started.asked_by = Operator{7, 4711, "musterctl"};
  EXPECT_EQ(show_watched_event(started, nobody_known),
            "12:02:11.042  broadcast 17: release-handles /x: asked 2 backends, skipped 1 dead; the "
            "broker does not know all backends; asked by uid 7, pid 4711, musterctl\n");
  started.joined = true;
  EXPECT_EQ(PlainProgress().line(started),
            "broadcast 17: release-handles /x: joined, which asked 2 backends, skipped 1 dead; the "
            "broker does not know all backends\n");
  Event finished = event_of(Kind::kBroadcastFinished);
  finished.targets = 2;
  finished.acks = 2;
  finished.backends_unknown = true;
  EXPECT_EQ(show_watched_event(finished, nobody_known),
            "12:02:11.042  broadcast 17: finished: 2 of 2 acked; the broker does not know all "
            "backends\n");
}

TEST(PlainProgress, SaysWhatHappensToTheBroadcastAndNothingElse) {
  PlainProgress lines;
  Event started = event_of(Kind::kBroadcastStarted);
  started.operation = "quiesce (maintenance)";
  started.targets = 1;
  std::string text = lines.line(started);
  text += lines.line(about_soldr(Kind::kBackendRegistered));
  text += lines.line(event_about(Kind::kOutcome, outcome_of("a", 1, OutcomeKind::kAck, 3ms)));
  text += lines.line(event_of(Kind::kEventsLost));
  text += lines.line(event_of(Kind::kVerifying));
  text += lines.line(event_of(Kind::kHoldStarted));
  text += lines.line(event_of(Kind::kBroadcastFinished));
  EXPECT_EQ(text,
            "broadcast 17: quiesce (maintenance): asked 1 backend\n"
            "a 1.0.0 (pid 1, uid 1000) acked after 3.0 ms\n"
            "events were lost, musterctl read too slowly\n"
            "every outcome is in; asking the kernel who still has files in use\n");
}

TEST(PlainProgress, OfThousandsOfBackendsStaysShortForEachKind) {
  PlainProgress lines(2);
  std::string text;
  for (int i = 0; i < 1'000; ++i) {
    text += lines.line(event_about(Kind::kOutcome, outcome_of("a", 1, OutcomeKind::kAck, 3ms)));
  }
  text += lines.line(
      event_about(Kind::kOutcome, failure_of("c", 3, BroadcastFailureReason::kRejected, "no")));
  EXPECT_EQ(text,
            "a 1.0.0 (pid 1, uid 1000) acked after 3.0 ms\n"
            "a 1.0.0 (pid 1, uid 1000) acked after 3.0 ms\n"
            "(2 lines of kind \"acked\" shown; leaving out the rest)\n"
            "c 1.0.0 (pid 3, uid 1000) rejected: \"no\"\n");
}

}  // namespace
}  // namespace muster::ctl
