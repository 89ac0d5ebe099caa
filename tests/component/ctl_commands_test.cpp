// Whole musterctl commands against a broker that a test plays.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ctl/program.h"
#include "support/captured_console.h"
#include "support/scripted_control.h"
#include "support/view_values.h"

namespace muster::ctl {
namespace {

using namespace std::chrono_literals;
using Peer = test::ScriptedControl::Peer;
using test::event_about;
using test::event_of;
using test::failure_of;
using test::finished;
using test::key_of;
using test::outcome_of;
using wire::ControlRequestFrame;

BroadcastReport mixed_report() {
  return finished(BroadcastOperation::release_handles("/usr"),
                  {outcome_of("a", 812, OutcomeKind::kAck, 3ms),
                   failure_of("b", 813, BroadcastFailureReason::kRejected, "busy")});
}

// Answers a broadcast with mixed_report() and its events, and everything else as little as it can.
void answer_all(Peer& peer, const ControlRequestFrame& frame) {
  if (const auto* start = std::get_if<wire::StartBroadcast>(&frame.message)) {
    if (start->detach) return peer.answer(wire::BroadcastAccepted{17, 2, 0, false});
    if (start->dry_run) return peer.answer(DryRun{{key_of("a")}, {}});
    Event started = event_of(Event::Kind::kBroadcastStarted);
    started.operation = start->request.operation.to_string();
    started.targets = 2;
    peer.event(started);
    for (const BackendOutcome& outcome : mixed_report().backends) {
      peer.event(event_about(Event::Kind::kOutcome, outcome));
    }
    return peer.answer(mixed_report());
  }
  if (std::holds_alternative<wire::GetReport>(frame.message)) return peer.answer(mixed_report());
  if (std::holds_alternative<wire::CancelBroadcast>(frame.message)) {
    return peer.answer(wire::CancelAccepted{1});
  }
  if (std::holds_alternative<wire::ListBackends>(frame.message)) {
    return peer.answer(std::vector<BackendInfo>{});
  }
  if (std::holds_alternative<wire::Ping>(frame.message)) {
    return peer.answer(wire::Pong{"0.1.0", 4711});
  }
}

class Commands : public testing::Test {
 protected:
  // "exit status | out | err"
  std::string said(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--socket-dir", broker->dir().native()});
    console.written_out.clear();
    console.written_err.clear();
    const int status = run(arguments, console, [this] { return interrupted ? interrupted() : 0; });
    return std::to_string(status) + " | " + console.written_out + " | " + console.written_err;
  }
  void play(test::ScriptedControl::Script script) {
    broker = std::make_unique<test::ScriptedControl>(std::move(script));
  }

  test::CapturedConsole console;
  std::function<int()> interrupted;
  std::unique_ptr<test::ScriptedControl> broker;
};

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

TEST_F(Commands, ARelativePathIsTakenFromHere) {
  play(answer_all);
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(broker->dir());
  said({"release-handles", "--detach", "a/../b"});
  said({"release-handles", "--detach", "."});
  said({"release-handles", "--detach", "--", "-x"});
  std::filesystem::current_path(here);
  const std::string dir = std::filesystem::canonical(broker->dir()).native();
  EXPECT_EQ(broker->requests(), "broadcast release-handles " + dir + "/b detach\n" +
                                    "broadcast release-handles " + dir + " detach\n" +
                                    "broadcast release-handles " + dir + "/-x detach\n");
}

// ~/work -> /data/work: backends that were started there say ~/work, and so does the shell.
TEST_F(Commands, ARelativePathHasTheSpellingOfTheShellAsItsAlias) {
  play(answer_all);
  const auto here = std::filesystem::current_path();
  const char* const pwd = std::getenv("PWD");
  const std::string before = pwd == nullptr ? "" : pwd;
  const std::string dir = std::filesystem::canonical(broker->dir()).native();
  std::filesystem::create_directories(dir + "/deep/x");
  std::filesystem::create_directory_symlink("deep", dir + "/link");
  std::filesystem::current_path(dir + "/link");
  ::setenv("PWD", (dir + "/link").c_str(), 1);
  said({"release-handles", "--detach", "x"});
  ::setenv("PWD", dir.c_str(), 1);  // it is not there
  said({"release-handles", "--detach", "x"});
  ::setenv("PWD", (dir + "/link/../deep").c_str(), 1);  // no shell says it so
  said({"release-handles", "--detach", "x"});
  ::setenv("PWD", before.c_str(), 1);
  std::filesystem::current_path(here);
  const std::string asked = "broadcast release-handles " + dir + "/deep/x";
  EXPECT_EQ(broker->requests(), asked + " alias=" + dir + "/link/x detach\n" + asked + " detach\n" +
                                    asked + " detach\n");
}

TEST_F(Commands, APathIsAskedForWithoutItsLinksAndAsItWasWritten) {
  play(answer_all);
  const std::string dir = std::filesystem::canonical(broker->dir()).native();
  std::filesystem::create_directories(dir + "/real/deep");
  std::filesystem::create_directory_symlink("real/deep", dir + "/link");
  EXPECT_EQ(said({"release-handles", "--detach", dir + "/link"}), "0 | 17\n | ");
  EXPECT_EQ(said({"release-handles", "--detach", dir + "/real//deep/."}), "0 | 17\n | ");
  // As text this is dir, which nobody meant: no alias.
  EXPECT_EQ(said({"release-handles", "--detach", dir + "/link/.."}), "0 | 17\n | ");
  EXPECT_EQ(broker->requests(), "broadcast release-handles " + dir + "/real/deep alias=" + dir +
                                    "/link detach\n" + "broadcast release-handles " + dir +
                                    "/real/deep detach\n" + "broadcast release-handles " + dir +
                                    "/real detach\n");
}

TEST_F(Commands, AnOddPathIsAskedForAllTheSameWithAWarning) {
  play(answer_all);
  const std::string dir = std::filesystem::canonical(broker->dir()).native();
  const std::string gone = dir + "/gone";
  const std::string sentence = gone + " does not exist: backends are asked for it all the same";
  EXPECT_EQ(said({"release-handles", "--detach", gone}),
            "0 | 17\n | musterctl: warning: " + sentence + "\n");
  EXPECT_EQ(said({"release-handles", "--detach", "--json", gone}),
            "0 | {\"broadcast_id\":\"17\",\"targets\":2,\"skipped_dead\":0,\"joined\":false,"
            "\"warnings\":[\"" +
                sentence + "\"]}\n | ");
  EXPECT_EQ(said({"release-handles", "--quiet", gone}), "1 |  | ");
  const std::string dry = said({"release-handles", "--dry-run", "--json", gone});
  EXPECT_TRUE(dry.ends_with(",\"warnings\":[\"" + sentence + "\"]}\n | ")) << dry;
  const std::string report = said({"release-handles", "--json", gone});
  EXPECT_TRUE(report.ends_with(",\"warnings\":[\"" + sentence + "\"]}\n | ")) << report;
  console.err_is_lost = true;
  EXPECT_EQ(said({"release-handles", "--detach", gone}).substr(0, 5), "74 | ");
}

TEST_F(Commands, JsonIsOneObjectAndNothingElse) {
  play(answer_all);
  const std::string text = said({"release-handles", "--json", "/usr"});
  EXPECT_EQ(console.written_err, "");
  EXPECT_EQ(text.substr(0, 26), "1 | {\"broadcast_id\":\"17\",\"");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(said({"release-handles", "--detach", "--json", "/usr"}),
            "0 | {\"broadcast_id\":\"17\",\"targets\":2,\"skipped_dead\":0,\"joined\":false}\n | ");
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

TEST_F(Commands, NobodyToAskIsAStatusOfItsOwn) {
  play([](Peer& peer, const ControlRequestFrame& frame) {
    const auto* start = std::get_if<wire::StartBroadcast>(&frame.message);
    if (start != nullptr && start->dry_run) return peer.answer(DryRun{});
    if (start != nullptr && start->detach) return peer.answer(wire::BroadcastAccepted{17, 0, 0});
    peer.answer(finished(BroadcastOperation::quiesce(QuiesceReason::kMaintenance), {}));
  });
  EXPECT_EQ(said({"quiesce"}),
            "5 | quiesce (maintenance): nobody was asked: there was no live backend (broadcast "
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
            "143 |  | musterctl: no longer waiting; whether the broker took the broadcast is not "
            "known: `musterctl status` shows what runs\n");
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

TEST_F(Commands, ResultTakesAnIdOrTheNewest) {
  play(answer_all);
  EXPECT_EQ(said({"result", "17"}).substr(0, 44), "1 | release-handles /usr: 1 of 2 acked in 1.");
  said({"result"});
  said({"result", "last", "--wait"});
  EXPECT_EQ(broker->requests(), "report 17\nreport 0\nreport 0 wait\n");
}

TEST_F(Commands, AResultSaysSinceWhenTheDeadAreDead) {
  play([](Peer& peer, const ControlRequestFrame& frame) {
    if (std::holds_alternative<wire::ListBackends>(frame.message)) {
      BackendInfo dead;
      dead.key = key_of("old");
      dead.state = BackendState::kDead;
      dead.since_unix_ms = 1;
      return peer.answer(std::vector<BackendInfo>{dead});
    }
    auto outcome = outcome_of("old", 700, OutcomeKind::kSkippedDead);
    outcome.detail = "process exited";
    outcome.uid = 4'000'000'000;  // nobody's
    peer.answer(finished(BroadcastOperation::release_handles("/usr"), {outcome}));
  });
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  EXPECT_EQ(said({"result", "--json"}).substr(0, 24), "5 | {\"broadcast_id\":\"17\"");
  EXPECT_EQ(said({"result"}),
            "5 | release-handles /usr: nobody was asked: there was no live backend; 1 dead skipped "
            "(broadcast 17)\n"
            "  skipped     old 1.0.0 (pid 700, uid 4000000000): dead since 1970-01-01 00:00:00, "
            "process exited\n | ");
  EXPECT_EQ(broker->requests(), "report 0\nreport 0\nbackends\n");
}

TEST_F(Commands, CancelSaysWhetherThereWasSomethingToCancel) {
  int calls = 0;
  play([&](Peer& peer, const ControlRequestFrame&) {
    peer.answer(wire::CancelAccepted{calls++ == 0 ? 3u : 0u});
  });
  EXPECT_EQ(said({"cancel", "17"}), "0 | broadcast 17 cancelled, 3 backends had not answered\n | ");
  EXPECT_EQ(said({"cancel", "17"}), "0 | broadcast 17 had finished already\n | ");
}

TEST_F(Commands, ResumeEndsQuiescesAndSaysWhoCannot) {
  wire::ResumeAccepted answer{2, 0};
  play([&](Peer& peer, const ControlRequestFrame&) { peer.answer(answer); });
  EXPECT_EQ(said({"resume"}), "0 | 2 backends resumed\n | ");
  answer = {1, 1};
  EXPECT_EQ(said({"resume", "17"}),
            "1 | 1 backend resumed; 1 backend cannot resume: restart them (`musterctl backends` "
            "names them)\n | ");
  EXPECT_EQ(said({"resume", "--json"}), "1 | {\"resumed\":1,\"cannot_resume\":1}\n | ");
  answer = {0, 0};
  EXPECT_EQ(said({"resume", "--select", "service=zcc*"}),
            "5 | nobody was resumed: no such backend is quiesced\n | ");
  EXPECT_EQ(said({"resume", "-q", "--allow-empty"}), "0 |  | ");
  EXPECT_EQ(said({"resume", "17", "--select", "service=a"}).substr(0, 5), "2 |  ");
  EXPECT_EQ(broker->requests(),
            "resume 0\nresume 17\nresume 0\nresume 0 select=service=zcc*\nresume 0\n");
}

TEST_F(Commands, ForgetTakesAKeyAsItIsShownOrTheOnlyServiceThatIsGone) {
  play([](Peer& peer, const ControlRequestFrame& frame) {
    if (std::holds_alternative<wire::ForgetBackend>(frame.message)) {
      return peer.answer(wire::Forgotten{});
    }
    std::vector<BackendInfo> list(4);
    list[0].key = key_of("soldr");
    list[0].state = BackendState::kLive;
    list[1].key = key_of("soldr", "2.0.1", "r~7");
    list[1].state = BackendState::kLost;
    list[2].key = key_of("twice");
    list[2].state = BackendState::kDead;
    list[3].key = key_of("twice", "1.0.0", "b");
    list[3].state = BackendState::kDead;
    peer.answer(list);
  });
  EXPECT_EQ(said({"forget", "soldr"}), "0 | soldr 2.0.1 #r~7 was forgotten\n | ");
  EXPECT_EQ(said({"forget", "zccache 1.4.2-rc.1 [private:soldr] #r2", "--json"}),
            "0 | {\"forgotten\":\"zccache 1.4.2-rc.1 [private:soldr] #r2\"}\n | ");
  EXPECT_EQ(said({"forget", "twice"}),
            "2 |  | musterctl: forget: several backends of service \"twice\" are dead or lost: "
            "give the whole KEY, as `musterctl backends` has it\n");
  EXPECT_EQ(said({"forget", "none"}),
            "2 |  | musterctl: forget: no backend of service \"none\" is dead or lost: see "
            "`musterctl backends`\n");
  EXPECT_EQ(said({"forget", "a 1.0.0 r2"}).substr(0, 50),
            "2 |  | musterctl: forget: KEY: \"a 1.0.0 r2\" is no ");
  EXPECT_EQ(said({"forget", ""}).substr(0, 7), "2 |  | ");
  EXPECT_EQ(broker->requests(),
            "backends\nforget soldr 2.0.1 #r~7\nforget zccache 1.4.2-rc.1 [private:soldr] #r2\n"
            "backends\nbackends\n");
}

TEST_F(Commands, WatchPrintsUntilASignalComes) {
  play([](Peer& peer, const ControlRequestFrame& frame) {
    if (!std::holds_alternative<wire::Watch>(frame.message)) return;
    peer.answer(wire::Watching{});
    peer.event(
        event_about(Event::Kind::kBackendRegistered, outcome_of("a", 812, OutcomeKind::kOpen), 0));
    peer.event(event_of(Event::Kind::kShuttingDown, 0));
  });
  interrupted = [this] {
    return console.written_out.find("hutting") != std::string::npos ||
                   console.written_out.find("HUTTING") != std::string::npos
               ? SIGINT
               : 0;
  };
  const std::string text = said({"watch"});
  EXPECT_EQ(text.substr(0, 6), "130 | ");
  EXPECT_NE(text.find("  a 1.0.0 (pid 812, uid 1000) registered\n"), std::string::npos) << text;
  EXPECT_EQ(console.written_err, "watching; Ctrl-C ends it\n");
  const std::string json = said({"watch", "--json"});
  EXPECT_EQ(json.substr(0, 36), "130 | {\"kind\":\"BACKEND_REGISTERED\",\"");
  EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 2);
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
  const std::string sentence = "musterctl: nobody reads its output any more";
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
