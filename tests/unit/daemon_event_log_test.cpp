// What the log says of the broker's events; which events a slow reader still gets.
#include <chrono>
#include <sstream>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include "musterd/control/event_delivery.h"
#include "musterd/log/event_log.h"

namespace muster::daemon {
namespace {

using namespace std::chrono_literals;
using Kind = Event::Kind;

// Two users, neither of them root nor who runs this: those have a larger budget.
const uid_t kUser = ::geteuid() / 2 == 500 ? 2000 : 1000;
const uid_t kOtherUser = kUser + 1;
const std::string kUid = std::to_string(kUser);

class DaemonEventLogTest : public ::testing::Test {
 protected:
  explicit DaemonEventLogTest(LogLevel level = LogLevel::kInfo) { log_.set_level(level); }

  static Event event(Kind kind) {
    Event event;
    event.kind = kind;
    event.key = BackendKey{{}, "zccache", "1.4.2", ""};
    event.pid = 42;
    event.uid = kUser;
    return event;
  }
  static Event outcome(OutcomeKind kind) {
    Event made = event(Kind::kOutcome);
    made.broadcast_id = 7;
    made.backend_outcome.emplace();
    made.backend_outcome->key = *made.key;
    made.backend_outcome->pid = 42;
    made.backend_outcome->uid = kUser;
    made.backend_outcome->outcome = kind;
    made.backend_outcome->latency = 1234us;
    return made;
  }
  // The lines of one event.
  std::string line(const Event& event) {
    text_.str({});
    events_.write(event, now_);
    return text_.str();
  }

  std::ostringstream text_;
  Log log_{std::make_shared<spdlog::sinks::ostream_sink_mt>(text_), {}, Log::Reader::kJournal};
  EventLog events_{log_};
  std::chrono::steady_clock::time_point now_{1000s};
};

TEST_F(DaemonEventLogTest, ABackendsLifeIsTold) {
  EXPECT_EQ(line(event(Kind::kBackendRegistered)),
            "<6>backend registered backend=\"zccache 1.4.2\" pid=42 uid=" + kUid + "\n");
  Event displacing = event(Kind::kBackendRegistered);
  displacing.detail = "takes the place of pid 41, which is asked no more";
  EXPECT_EQ(line(displacing), "<4>backend registered backend=\"zccache 1.4.2\" pid=42 uid=" + kUid +
                                  " why=\"takes the place "
                                  "of pid 41, which is asked no more\"\n");
  EXPECT_EQ(line(event(Kind::kBackendReturned)),
            "<6>backend reconnected backend=\"zccache 1.4.2\" pid=42 uid=" + kUid + "\n");
  Event dead = event(Kind::kBackendDead);
  dead.detail = "process exited";
  EXPECT_EQ(line(dead), "<4>backend dead backend=\"zccache 1.4.2\" pid=42 uid=" + kUid +
                            " why=\"process exited\"\n");
  dead.was_refused = true;
  EXPECT_EQ(line(dead), "<6>refused process exited backend=\"zccache 1.4.2\" pid=42 uid=" + kUid +
                            " why=\"process exited\"\n");
  EXPECT_EQ(line(event(Kind::kBackendDeregistered)),
            "<6>backend deregistered backend=\"zccache 1.4.2\" pid=42 uid=" + kUid + "\n");
}

TEST_F(DaemonEventLogTest, ABroadcastIsToldWithCountsAndDuration) {
  Event started = event(Kind::kBroadcastStarted);
  started.key.reset();
  started.broadcast_id = 7;
  started.operation = "release-handles /var/cache";
  started.targets = 3;
  started.skipped_dead = 1;
  EXPECT_EQ(line(started),
            "<6>broadcast started broadcast=7 operation=\"release-handles /var/cache\" targets=3 "
            "skipped_dead=1\n");
  started.asked_by = Operator{kUser, 12, "prune \"x\""};
  EXPECT_EQ(line(started),
            "<6>broadcast started broadcast=7 operation=\"release-handles /var/cache\" targets=3 "
            "skipped_dead=1 pid=12 uid=" +
                kUid + " command=\"prune \\\"x\\\"\"\n");
  now_ += 1500ms;
  Event finished = started;
  finished.kind = Kind::kBroadcastFinished;
  finished.acks = 1;
  finished.timeouts = 1;
  finished.failures = 1;
  EXPECT_EQ(line(finished),
            "<6>broadcast finished broadcast=7 operation=\"release-handles /var/cache\" targets=3 "
            "acks=1 timeouts=1 failures=1 skipped_dead=1 backends_unknown=no ms=1500\n");
  finished.backends_unknown = true;
  EXPECT_NE(line(finished).find(" failures=1 skipped_dead=1 backends_unknown=yes ms="),
            std::string::npos);
}

// The broker's clock began a moment before the line that says so.
TEST_F(DaemonEventLogTest, ABroadcastTakesNoLessThanItsOutcomes) {
  Event started = event(Kind::kBroadcastStarted);
  started.broadcast_id = 7;
  (void)line(started);
  now_ += 1ms;
  EXPECT_NE(line(outcome(OutcomeKind::kTimeout)).find(" ms=1.234 "), std::string::npos);
  Event finished = started;
  finished.kind = Kind::kBroadcastFinished;
  EXPECT_NE(line(finished).find(" ms=1.234\n"), std::string::npos);
  (void)line(started);
  now_ += 2ms;
  (void)line(outcome(OutcomeKind::kTimeout));
  EXPECT_NE(line(finished).find(" ms=2\n"), std::string::npos);
}

TEST_F(DaemonEventLogTest, ABackendOfTheRosterIsExpectedAndHasNotDisconnected) {
  Event away = event(Kind::kBackendReconnecting);
  away.detail = "not reconnected since the broker restarted";
  EXPECT_NE(line(away).find("disconnected and may reconnect"), std::string::npos);
  text_.str({});
  events_.write(away, now_, true);
  EXPECT_EQ(text_.str(),
            "<6>backend expected: it was registered before the broker started backend=\"zccache "
            "1.4.2\" pid=42 uid=" +
                kUid + "\n");
}

TEST_F(DaemonEventLogTest, EachOutcomeThatIsNoAckHasALine) {
  EXPECT_EQ(line(outcome(OutcomeKind::kAck)), "");
  EXPECT_FALSE(events_.wants_every_outcome());
  EXPECT_EQ(line(outcome(OutcomeKind::kTimeout)),
            "<4>backend timed out broadcast=7 backend=\"zccache 1.4.2\" pid=42 uid=" + kUid +
                " ms=1.234 "
                "detail=\"\"\n");
  Event failed = outcome(OutcomeKind::kFailure);
  failed.backend_outcome->reason = BroadcastFailureReason::kRejected;
  failed.backend_outcome->detail = "busy\nrunning";
  EXPECT_EQ(line(failed),
            "<4>backend failed broadcast=7 backend=\"zccache 1.4.2\" pid=42 uid=" + kUid +
                " ms=1.234 "
                "detail=\"rejected: busy\\x0arunning\"\n");
}

TEST_F(DaemonEventLogTest, AtDebugAcksHaveALineToo) {
  log_.set_level(LogLevel::kDebug);
  EXPECT_TRUE(events_.wants_every_outcome());
  EXPECT_EQ(line(outcome(OutcomeKind::kAck)),
            "<7>backend acked broadcast=7 backend=\"zccache 1.4.2\" pid=42 uid=" + kUid +
                " "
                "ms=1.234 detail=\"\"\n");
  EXPECT_NE(line(event(Kind::kWorking)), "");
  EXPECT_NE(line(event(Kind::kDuplicateAnswer)), "");
}

// All kinds of events that a user who may register, or only connect, can cause without end.
TEST_F(DaemonEventLogTest, NoUserCanDrownTheLogWhateverItDoes) {
  log_.set_level(LogLevel::kDebug);
  const Event kEvents[] = {event(Kind::kBackendRegistered),
                           event(Kind::kBackendReturned),
                           event(Kind::kBackendReconnecting),
                           event(Kind::kBackendDead),
                           event(Kind::kBackendDeregistered),
                           event(Kind::kPeerRefused),
                           event(Kind::kWorking),
                           event(Kind::kRedelivered),
                           event(Kind::kLateAnswer),
                           event(Kind::kDuplicateAnswer),
                           event(Kind::kUnmatchedAnswer),
                           outcome(OutcomeKind::kAck),
                           outcome(OutcomeKind::kTimeout),
                           outcome(OutcomeKind::kFailure)};
  for (Event each : kEvents) {
    each.uid = kOtherUser;  // nobody's lines before this
    if (each.backend_outcome) each.backend_outcome->uid = each.uid;
    now_ += 1h;
    int lines = 0;
    std::size_t bytes = 0;
    for (int i = 0; i < 1'000; ++i) {
      const std::string text = line(each);
      lines += text.empty() ? 0 : 1;
      bytes += text.size();
    }
    EXPECT_GE(lines, 50) << to_string(each.kind);
    EXPECT_LE(lines, 51) << to_string(each.kind);
    EXPECT_LT(bytes, 20'000u) << to_string(each.kind);
  }
}

TEST_F(DaemonEventLogTest, KindsShareTheBudgetOfTheirUser) {
  int lines = 0;
  for (int i = 0; i < 1'000; ++i) {
    lines += line(event(Kind::kBackendRegistered)).empty() ? 0 : 1;
    lines += line(event(Kind::kBackendDead)).empty() ? 0 : 1;
  }
  EXPECT_EQ(lines, 50);
  now_ += 1s;
  lines = 0;
  for (int i = 0; i < 1'000; ++i) lines += line(event(Kind::kBackendRegistered)).empty() ? 0 : 1;
  EXPECT_EQ(lines, 10);
}

TEST_F(DaemonEventLogTest, WhatWasLeftOutIsToldWithTheUsersNextLine) {
  for (int i = 0; i < 1'000; ++i) (void)line(event(Kind::kPeerRefused));
  now_ += 1h;
  EXPECT_EQ(line(event(Kind::kBackendDeregistered)),
            "<4>log lines of a user dropped uid=" + kUid +
                " dropped_lines=950\n"
                "<6>backend deregistered backend=\"zccache 1.4.2\" pid=42 uid=" +
                kUid + "\n");
  EXPECT_EQ(line(event(Kind::kBackendDeregistered)),
            "<6>backend deregistered backend=\"zccache 1.4.2\" pid=42 uid=" + kUid + "\n");
}

TEST_F(DaemonEventLogTest, AFloodOfOneUserHidesNoLineOfAnother) {
  Event others = event(Kind::kBackendDead);
  others.uid = kOtherUser;
  for (int i = 0; i < 40; ++i) {
    for (int k = 0; k < 100; ++k) (void)line(event(Kind::kPeerRefused));
    EXPECT_EQ(line(others), "<4>backend dead backend=\"zccache 1.4.2\" pid=42 uid=" +
                                std::to_string(kOtherUser) + "\n");
  }
}

TEST_F(DaemonEventLogTest, RootHasALargerBudgetThanAUser) {
  Event of_root = event(Kind::kBackendRegistered);
  of_root.uid = 0;
  int lines = 0;
  for (int i = 0; i < 1'000; ++i) lines += line(of_root).empty() ? 0 : 1;
  EXPECT_EQ(lines, 500);
}

TEST_F(DaemonEventLogTest, AnOperatorsBroadcastsCountAgainstTheOperator) {
  Event started = event(Kind::kBroadcastStarted);
  started.key.reset();
  started.asked_by = Operator{kUser, 12, "musterctl"};
  int beginnings = 0;
  int ends = 0;
  for (int i = 0; i < 1'000; ++i) {
    ++started.broadcast_id;
    started.kind = Kind::kBroadcastStarted;
    beginnings += line(started).empty() ? 0 : 1;
    started.kind = Kind::kBroadcastFinished;
    ends += line(started).empty() ? 0 : 1;
  }
  EXPECT_EQ(beginnings, 25);
  EXPECT_EQ(ends, 25);
  // The broker's own always have both.
  started.asked_by.reset();
  ++started.broadcast_id;
  started.kind = Kind::kBroadcastStarted;
  EXPECT_NE(line(started), "");
  started.kind = Kind::kBroadcastFinished;
  EXPECT_NE(line(started), "");
}

TEST_F(DaemonEventLogTest, LinesThatAreNotWrittenCostNothing) {
  for (int i = 0; i < 1'000; ++i) EXPECT_EQ(line(event(Kind::kDuplicateAnswer)), "") << "debug";
  EXPECT_EQ(line(event(Kind::kBackendReturned)),
            "<6>backend reconnected backend=\"zccache 1.4.2\" pid=42 uid=" + kUid + "\n");
}

TEST(DaemonEventGate, LeavesOutWhatDoesNotFitAndTellsWhenHalfIsRead) {
  EventGate gate(100);
  EXPECT_EQ(gate.admit(0, 60), 0U);
  EXPECT_EQ(gate.admit(60, 40), 0U);
  EXPECT_EQ(gate.admit(100, 1), std::nullopt);
  EXPECT_EQ(gate.admit(51, 1), std::nullopt) << "it fits, but half is not read yet";
  EXPECT_TRUE(gate.is_missing_some());
  EXPECT_FALSE(gate.has_caught_up(51));
  EXPECT_TRUE(gate.has_caught_up(50));
  EXPECT_EQ(gate.admit(50, 10), 2U);
  EXPECT_FALSE(gate.is_missing_some());
  EXPECT_EQ(gate.admit(60, 10), 0U);
}

TEST(DaemonEventGate, AnEventLargerThanTheBoundIsSentWhenNothingWaits) {
  EventGate gate(100);
  EXPECT_EQ(gate.admit(1, 1000), std::nullopt);
  EXPECT_EQ(gate.admit(0, 1000), 1U);
}

}  // namespace
}  // namespace muster::daemon
