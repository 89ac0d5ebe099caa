// Whole musterctl commands against a broker that a test plays: broadcasts, and what holds for every
// command.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "component/ctl_commands_fixture.h"

namespace muster::ctl {
namespace {

using namespace std::chrono_literals;
using Peer = test::ScriptedControl::Peer;
using test::event_of;
using test::finished;
using test::outcome_of;
using wire::ControlRequestFrame;

TEST_F(Commands, ABroadcastShowsOutcomesAsTheyComeAndThenTheVerdict) {
  play(answer_all);
  const std::string text = said({"release-handles", "/usr"});
  EXPECT_EQ(text.substr(0, text.find(", uid 1000")),
            "1 | release-handles /usr: 1 of 2 acked in 1.2 s (broadcast 17)\n"
            "  rejected    b 1.0.0 (pid 813");
  EXPECT_EQ(console.written_err,
            "broadcast 17: release-handles /usr: asked 2 backends\n"
            "a 1.0.0 (pid 812, uid 1000) acked after 3.0 ms\n"
            "b 1.0.0 (pid 813, uid 1000) rejected: \"busy\"\n");
  EXPECT_EQ(broker->requests(), "broadcast release-handles /usr events\n");
}

TEST_F(Commands, ABroadcastPassesOnWhatItWasTold) {
  play(answer_all);
  ::setenv("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", 1);
  ::setenv("TRACESTATE", std::string(10'000, 'x').c_str(), 1);
  said({"quiesce", "--timeout=1m30s", "--select", "service=a", "--select=replica=1,version=2*",
        "--key", "once", "-q"});
  ::unsetenv("TRACEPARENT");
  ::unsetenv("TRACESTATE");
  said({"release-handles", "--select", "service=a", "/a/./b//../c/"});
  EXPECT_EQ(broker->requests(),
            "broadcast quiesce (maintenance) timeout=90000 select=service=a "
            "select=replica=1,version=2* key=once "
            "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 events\n"
            "broadcast release-handles /a/c select=service=a events\n");
}

TEST_F(Commands, JsonIsOneObjectAndNothingElse) {
  play(answer_all);
  const std::string text = said({"release-handles", "--json", "/usr"});
  EXPECT_EQ(console.written_err, "");
  EXPECT_EQ(text.substr(0, 26), "1 | {\"broadcast_id\":\"17\",\"");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(said({"release-handles", "--detach", "--json", "/usr"}),
            "0 | {\"broadcast_id\":\"17\",\"targets\":2,\"skipped_dead\":0,\"joined\":false,"
            "\"backends_unknown\":false}\n | ");
  EXPECT_EQ(said({"cancel", "17", "--json"}),
            "0 | {\"broadcast_id\":\"17\",\"cancelled_targets\":1}\n | ");
  EXPECT_EQ(said({"backends", "--json"}), "0 | {\"backends\":[]}\n | ");
  EXPECT_EQ(said({"release-handles", "--dry-run", "--json", "/usr"}).substr(0, 19),
            "0 | {\"would_ask\":[{");
  EXPECT_EQ(said({"ping", "--json"}).substr(0, 57),
            "0 | {\"broker_version\":\"0.1.0\",\"pid\":4711,\"round_trip_ms\":");
}

TEST_F(Commands, QuietLeavesOnlyTheExitStatus) {
  play(answer_all);
  EXPECT_EQ(said({"release-handles", "--quiet", "/usr"}), "1 |  | ");
  EXPECT_EQ(said({"release-handles", "-q", "--json", "/usr"}), "1 |  | ");
  EXPECT_EQ(said({"release-handles", "-q", "--dry-run", "/usr"}), "0 |  | ");
  EXPECT_EQ(said({"result", "-q", "17"}), "1 |  | ");
  EXPECT_EQ(said({"cancel", "-q", "17"}), "0 |  | ");
  EXPECT_EQ(said({"ping", "-q"}), "0 |  | ");
}

TEST_F(Commands, DetachPrintsTheIdAlone) {
  play(answer_all);
  EXPECT_EQ(said({"quiesce", "--detach"}), "0 | 17\n | ");
}

TEST_F(Commands, ADryRunAsksNobodyAndSaysWho) {
  play(answer_all);
  EXPECT_EQ(said({"release-handles", "--dry-run", "/usr"}),
            "0 | release-handles /usr: would ask 1 backend\n  ask   a 1.0.0\n | ");
}

// What the real one would say at once, and what the exit status is worth.
TEST_F(Commands, ADryRunIsNoYesWhereTheBroadcastCannotBeOne) {
  DryRun answer;
  std::optional<BroadcastReport> report;
  play([&](Peer& peer, const ControlRequestFrame& frame) {
    if (std::holds_alternative<wire::StartBroadcast>(frame.message)) return peer.answer(answer);
    if (report) return peer.answer(*report);
    peer.answer(ControlError{ControlError::Code::kDenied, "you may not look"});
  });
  const auto lost =
      test::failure_by(Cause::kClosed, "lost", 812, BroadcastFailureReason::kBackendError,
                       explain(Cause::kClosed, 812));
  const auto status = [&] {
    const std::string quiet = said({"quiesce", "-q", "--dry-run"});
    EXPECT_EQ(quiet.substr(1), " |  | ");
    const std::string allowing = said({"quiesce", "-q", "--dry-run", "--allow-empty"});
    return quiet.substr(0, 1) + allowing.substr(0, 1);
  };
  answer.would_ask = {test::key_of("a"), test::key_of("b")};
  answer.reconnecting = {test::key_of("b")};
  answer.skipped_dead = {test::key_of("old")};
  EXPECT_EQ(status(), "00") << "b may return and ack";
  answer.would_fail = {lost};
  EXPECT_EQ(status(), "11");
  EXPECT_EQ(
      said({"quiesce", "--dry-run"}),
      "1 | quiesce (maintenance): would ask 2 backends; 1 would fail at once; 1 dead would be "
      "skipped\n  ask   a 1.0.0\n  ask   b 1.0.0 (reconnecting)\n"
      "  fail  lost 1.0.0 (disconnected; process 812 is still running)\n"
      "  dead  old 1.0.0\n | ");
  const std::string json = said({"quiesce", "--dry-run", "--json"});
  EXPECT_EQ(json.substr(0, 1), "1");
  EXPECT_NE(
      json.find("\"would_fail\":[{\"key\":{\"instance\":\"shared\",\"service_name\":\"lost\""),
      std::string::npos);
  EXPECT_NE(json.find("\"detail\":\"disconnected; process 812 is still running\""),
            std::string::npos);
  answer.would_ask.clear();
  EXPECT_EQ(status(), "11");
  answer = DryRun();
  answer.backends_unknown = true;
  EXPECT_EQ(status(), "11") << "as a broadcast that asks nobody and misses somebody";
  answer.would_ask = {test::key_of("a")};
  EXPECT_EQ(status(), "11");

  answer = DryRun();
  answer.joins = 17;
  EXPECT_EQ(status(), "11") << "its report cannot be read";
  const auto release = BroadcastOperation::release_handles("/usr");
  const auto acks = outcome_of("a", 812, OutcomeKind::kAck, 3ms);
  report = finished(release, {acks});
  EXPECT_EQ(status(), "00");
  report = finished(release, {acks, lost});
  EXPECT_EQ(status(), "11");
  report = finished(release, {});
  EXPECT_EQ(status(), "50");
  report = finished(release, {acks, outcome_of("c", 814, OutcomeKind::kOpen)});
  EXPECT_EQ(status(), "00") << "it may still ack";
  report = finished(release, {lost, outcome_of("c", 814, OutcomeKind::kOpen)});
  EXPECT_EQ(status(), "11");
  answer.backends_unknown = true;
  report = finished(release, {acks});
  EXPECT_EQ(status(), "11");
}

TEST_F(Commands, DetachSaysAtOnceThatBackendsAreUnknown) {
  wire::BroadcastAccepted answer{17, 2, 0, false, true};
  play([&](Peer& peer, const ControlRequestFrame&) { peer.answer(answer); });
  const std::string warning =
      "musterctl: warning: the broker does not know all backends: some may be missing in broadcast "
      "17, which cannot end with exit status 0: `musterctl status` says why, and what to do\n";
  EXPECT_EQ(said({"quiesce", "--detach"}), "0 | 17\n | " + warning) << "its report says the rest";
  EXPECT_EQ(said({"quiesce", "--detach", "--json"}),
            "0 | {\"broadcast_id\":\"17\",\"targets\":2,\"skipped_dead\":0,\"joined\":false,"
            "\"backends_unknown\":true}\n | ");
  answer.targets = 0;
  EXPECT_EQ(said({"quiesce", "--detach"}), "1 | 17\n | " + warning);
  EXPECT_EQ(said({"quiesce", "--detach", "--allow-empty"}), "1 | 17\n | " + warning);
}

TEST_F(Commands, NobodyToAskIsAStatusOfItsOwn) {
  play([](Peer& peer, const ControlRequestFrame& frame) {
    const auto* start = std::get_if<wire::StartBroadcast>(&frame.message);
    if (start != nullptr && start->dry_run) return peer.answer(DryRun{});
    if (start != nullptr && start->detach) return peer.answer(wire::BroadcastAccepted{17, 0, 0});
    peer.answer(finished(BroadcastOperation::quiesce(QuiesceReason::kMaintenance), {}));
  });
  EXPECT_EQ(said({"quiesce"}),
            "5 | quiesce (maintenance): no backend was asked: there was no live backend (broadcast "
            "17)\n | ");
  EXPECT_EQ(said({"quiesce", "-q", "--allow-empty"}), "0 |  | ");
  EXPECT_EQ(said({"quiesce", "-q", "--dry-run"}), "5 |  | ");
  EXPECT_EQ(said({"quiesce", "-q", "--dry-run", "--allow-empty"}), "0 |  | ");
  EXPECT_EQ(said({"quiesce", "--detach"}), "5 | 17\n | ");
  EXPECT_EQ(said({"quiesce", "--detach", "--allow-empty"}), "0 | 17\n | ");
  EXPECT_EQ(said({"result", "-q"}), "5 |  | ");
  EXPECT_EQ(said({"result", "-q", "--allow-empty"}), "0 |  | ");
}

TEST_F(Commands, ARefusalIsStatusFourAndTheBrokersSentence) {
  play([](Peer& peer, const ControlRequestFrame&) {
    peer.answer(ControlError{ControlError::Code::kKeyConflict, "the key belongs to\nanother"});
  });
  EXPECT_EQ(
      said({"quiesce", "--key", "k"}),
      "4 |  | musterctl: the broker refused (key conflict): the key belongs to\\x0aanother\n");
  EXPECT_EQ(said({"quiesce", "--key", "k", "--json"}),
            "4 | {\"error\":{\"code\":\"KEY_CONFLICT\",\"message\":\"the key belongs "
            "to\\nanother\"}}\n | ");
}

TEST_F(Commands, ABrokerThatGoesAwayIsStatusThreeAndTheBroadcastIsNamed) {
  play([](Peer& peer, const ControlRequestFrame&) {
    peer.event(event_of(Event::Kind::kBroadcastStarted));
    peer.hang_up();
  });
  EXPECT_EQ(said({"quiesce", "-q"}),
            "3 |  | musterctl: the broker at " + broker->socket() +
                " closed the connection while broadcast 17 was running; if the broker still runs, "
                "so does the broadcast: fetch its report with `musterctl result 17`\n");
}

TEST_F(Commands, ASignalStopsTheWaitingAndSaysHowToGoOn) {
  play([](Peer& peer, const ControlRequestFrame& frame) {
    if (!std::holds_alternative<wire::StartBroadcast>(frame.message)) return;
    Event started = event_of(Event::Kind::kBroadcastStarted);
    started.targets = 5;
    started.acks = 3;
    peer.event(started);
  });
  // The signal comes when the broker has said which broadcast it is: at the second tick.
  int ticks = 0;
  interrupted = [&] { return ++ticks > 1 ? SIGINT : 0; };
  const std::string sentence =
      "no longer waiting; broadcast 17 goes on (3 of 5 outcomes are in): `musterctl result 17 "
      "--wait` fetches its report, `musterctl cancel 17` stops it";
  EXPECT_EQ(said({"quiesce", "-q"}), "130 |  | musterctl: " + sentence + "\n");
  ticks = 0;
  EXPECT_EQ(said({"quiesce", "--json"}),
            "130 | {\"error\":{\"code\":\"SIGNAL\",\"message\":\"" + sentence + "\"}}\n | ");
  interrupted = [] { return SIGTERM; };
  EXPECT_EQ(said({"quiesce", "-q"}),
            "143 |  | musterctl: no longer waiting; it is not known whether the broker accepted "
            "the broadcast: `musterctl status` shows what runs\n");
}

TEST_F(Commands, OnATerminalABroadcastIsALineThatIsDrawnAgainAndGone) {
  play([](Peer& peer, const ControlRequestFrame& frame) {
    auto report = finished(
        BroadcastOperation::release_handles("/usr"),
        {outcome_of("a", 812, OutcomeKind::kAck, 3ms), outcome_of("b", 813, OutcomeKind::kOpen)});
    if (std::holds_alternative<wire::GetReport>(frame.message)) return peer.answer(report);
    if (!std::holds_alternative<wire::StartBroadcast>(frame.message)) return;
    Event started = event_of(Event::Kind::kBroadcastStarted);
    started.targets = 2;
    started.acks = 1;
    peer.event(started);
  });
  console.terminal = true;
  console.columns = 60;
  // Until the line has been drawn twice with its names.
  interrupted = [this] {
    const auto first = console.written_err.find("waiting for b");
    const bool twice = first != std::string::npos &&
                       console.written_err.find("waiting for b", first + 1) != std::string::npos;
    return twice ? SIGINT : 0;
  };
  EXPECT_EQ(said({"release-handles", "/usr"}).substr(0, 6), "130 | ");
  const std::string& err = console.written_err;
  EXPECT_EQ(err.substr(0, 26), "\r1 of 2 acked, 1 open, 1.2") << err;
  const std::string end = "\r\x1b[Kmusterctl: no longer waiting; broadcast 17 goes on";
  EXPECT_NE(err.find(end), std::string::npos) << err;
  // Two lines, each at most 59 columns.
  for (std::size_t at = 0; (at = err.find("\r1 of", at)) != std::string::npos; ++at) {
    EXPECT_LE(err.find("\x1b[K", at) - at - 1, 59u) << err;
  }
}

TEST_F(Commands, OutputThatIsLostIsNotASuccess) {
  play([](Peer& peer, const ControlRequestFrame& frame) {
    if (std::holds_alternative<wire::Watch>(frame.message)) return peer.answer(wire::Watching{});
    peer.answer(wire::Pong{"0.1.0", 1});
  });
  console.out_is_lost = true;
  const std::string sentence = "musterctl: its output could not be written and is not complete\n";
  said({"ping"});
  EXPECT_EQ(console.written_err, sentence);
  EXPECT_EQ(said({"watch", "--json"}), "74 |  | " + sentence);
}

TEST_F(Commands, WaitsForNothingThatNobodyWillRead) {
  play([](Peer& peer, const ControlRequestFrame& frame) {
    if (std::holds_alternative<wire::Watch>(frame.message)) return peer.answer(wire::Watching{});
    if (!std::holds_alternative<wire::StartBroadcast>(frame.message)) return;
    peer.event(event_of(Event::Kind::kBroadcastStarted));
  });
  console.reader_is_gone = true;
  const std::string sentence = "musterctl: the reader of its output has gone";
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"ping"}, {"status"}, {"backends"}, {"result", "--wait"}, {"cancel", "17"}}) {
    EXPECT_EQ(said(command), "74 |  | " + sentence + "\n") << command.front();
  }
  EXPECT_EQ(said({"watch", "--json"}).substr(0, 5), "74 | ");
  EXPECT_EQ(said({"quiesce", "--json"}).substr(0, 5 + 3 + sentence.size()), "74 |  | " + sentence);
}

TEST_F(Commands, ABroadcastTakesADeadlineOfTheWhole) {
  play(answer_all);
  said({"quiesce", "--timeout", "2s", "--deadline", "1m30s", "-q"});
  EXPECT_EQ(broker->requests(),
            "broadcast quiesce (maintenance) timeout=2000 deadline=90000 events\n");
}

}  // namespace
}  // namespace muster::ctl
