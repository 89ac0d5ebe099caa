// What the log says of the broker's events; which events a slow reader still gets.
#include <chrono>
#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include "control/event_gate.h"
#include "log/event_log.h"

namespace muster::daemon {
namespace {

using namespace std::chrono_literals;
using Kind = Event::Kind;

class DaemonEventLogTest : public ::testing::Test {
 protected:
  explicit DaemonEventLogTest(LogLevel level = LogLevel::kInfo) { log_.set_level(level); }

  static Event event(Kind kind) {
    Event event;
    event.kind = kind;
    event.key = BackendKey{{}, "zccache", "1.4.2", ""};
    event.pid = 42;
    event.uid = 1000;
    return event;
  }
  static Event outcome(OutcomeKind kind) {
    Event made = event(Kind::kOutcome);
    made.broadcast_id = 7;
    made.backend_outcome.emplace();
    made.backend_outcome->key = *made.key;
    made.backend_outcome->pid = 42;
    made.backend_outcome->uid = 1000;
    made.backend_outcome->outcome = kind;
    made.backend_outcome->latency = 1234us;
    return made;
  }
  // The lines of one event.
  std::string line(const Event& event, const AskedBy* asked_by = nullptr) {
    text_.str({});
    events_.write(event, now_, asked_by);
    return text_.str();
  }

  std::ostringstream text_;
  Log log_{std::make_shared<spdlog::sinks::ostream_sink_mt>(text_), {}, Log::Reader::kJournal};
  EventLog events_{log_};
  std::chrono::steady_clock::time_point now_{1000s};
};

TEST_F(DaemonEventLogTest, ABackendsLifeIsTold) {
  EXPECT_EQ(line(event(Kind::kBackendRegistered)),
            "<6>backend registered backend=\"zccache 1.4.2\" pid=42 uid=1000\n");
  Event displacing = event(Kind::kBackendRegistered);
  displacing.detail = "takes the place of pid 41, which is asked no more";
  EXPECT_EQ(line(displacing),
            "<4>backend registered backend=\"zccache 1.4.2\" pid=42 uid=1000 why=\"takes the place "
            "of pid 41, which is asked no more\"\n");
  EXPECT_EQ(line(event(Kind::kBackendReturned)),
            "<6>backend returned backend=\"zccache 1.4.2\" pid=42 uid=1000\n");
  Event dead = event(Kind::kBackendDead);
  dead.detail = "process exited";
  EXPECT_EQ(line(dead),
            "<4>backend dead backend=\"zccache 1.4.2\" pid=42 uid=1000 why=\"process exited\"\n");
  EXPECT_EQ(line(event(Kind::kBackendDeregistered)),
            "<6>backend deregistered backend=\"zccache 1.4.2\" pid=42 uid=1000\n");
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
  const AskedBy operator_of_7{12, 1000, "nightly"};
  EXPECT_EQ(line(started, &operator_of_7),
            "<6>broadcast started broadcast=7 operation=\"release-handles /var/cache\" targets=3 "
            "skipped_dead=1 pid=12 uid=1000 key=nightly\n");
  now_ += 1500ms;
  Event finished = started;
  finished.kind = Kind::kBroadcastFinished;
  finished.acks = 1;
  finished.timeouts = 1;
  finished.failures = 1;
  EXPECT_EQ(line(finished),
            "<6>broadcast finished broadcast=7 operation=\"release-handles /var/cache\" targets=3 "
            "acks=1 timeouts=1 failures=1 skipped_dead=1 ms=1500\n");
}

TEST_F(DaemonEventLogTest, EachOutcomeThatIsNoAckHasALine) {
  EXPECT_EQ(line(outcome(OutcomeKind::kAck)), "");
  EXPECT_FALSE(events_.wants_every_outcome());
  EXPECT_EQ(line(outcome(OutcomeKind::kTimeout)),
            "<4>backend timed out broadcast=7 backend=\"zccache 1.4.2\" pid=42 uid=1000 ms=1.234 "
            "detail=\"\"\n");
  Event failed = outcome(OutcomeKind::kFailure);
  failed.backend_outcome->reason = BroadcastFailureReason::kRejected;
  failed.backend_outcome->detail = "busy\nrunning";
  EXPECT_EQ(line(failed),
            "<4>backend failed broadcast=7 backend=\"zccache 1.4.2\" pid=42 uid=1000 ms=1.234 "
            "detail=\"rejected: busy\\x0arunning\"\n");
}

TEST_F(DaemonEventLogTest, AtDebugAcksHaveALineToo) {
  log_.set_level(LogLevel::kDebug);
  EXPECT_TRUE(events_.wants_every_outcome());
  EXPECT_EQ(line(outcome(OutcomeKind::kAck)),
            "<7>backend acknowledged broadcast=7 backend=\"zccache 1.4.2\" pid=42 uid=1000 "
            "ms=1.234 detail=\"\"\n");
  EXPECT_NE(line(event(Kind::kWorking)), "");
  EXPECT_NE(line(event(Kind::kDuplicateAnswer)), "");
}

TEST_F(DaemonEventLogTest, RefusedPeersCannotDrownTheLog) {
  Event refused = event(Kind::kPeerRefused);
  refused.key.reset();
  refused.detail = "not the protocol";
  EXPECT_EQ(line(refused),
            "<4>peer refused backend=- pid=42 uid=1000 why=\"not the protocol\" left_out=0\n");
  int lines = 1;
  for (int i = 0; i < 100'000; ++i) lines += line(refused).empty() ? 0 : 1;
  EXPECT_EQ(lines, 50);
  now_ += 1h;
  EXPECT_EQ(line(refused),
            "<4>peer refused backend=- pid=42 uid=1000 why=\"not the protocol\" left_out=99951\n");
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
