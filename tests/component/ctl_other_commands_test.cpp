// Whole musterctl commands that start no broadcast: result, cancel, resume, forget and watch.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "component/ctl_commands_fixture.h"

namespace muster::ctl {
namespace {

using Peer = test::ScriptedControl::Peer;
using test::event_about;
using test::event_of;
using test::finished;
using test::key_of;
using test::outcome_of;
using wire::ControlRequestFrame;

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
  EXPECT_EQ(
      said({"result"}),
      "5 | release-handles /usr: no backend was asked: there was no live backend; 1 dead skipped "
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
  EXPECT_EQ(said({"resume", "--json"}),
            "1 | {\"resumed\":1,\"cannot_resume\":1,\"away\":0,\"still_quiesced\":0}\n | ");
  answer = {1, 0, 2, 1};
  EXPECT_EQ(said({"resume", "18"}),
            "1 | 1 backend resumed; 2 backends not connected: told to resume on reconnect; 1 "
            "backend still quiesced by another broadcast (`musterctl backends` names it)\n | ");
  answer = {0, 0};
  EXPECT_EQ(said({"resume", "--select", "service=zcc*"}),
            "5 | no backend resumed: no such backend is quiesced\n | ");
  EXPECT_EQ(said({"resume", "-q", "--allow-empty"}), "0 |  | ");
  EXPECT_EQ(said({"resume", "17", "--select", "service=a"}).substr(0, 5), "2 |  ");
  EXPECT_EQ(broker->requests(),
            "resume 0\nresume 17\nresume 0\nresume 18\nresume 0 select=service=zcc*\nresume 0\n");
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
            "4 |  | musterctl: the broker refused (not found): no backend of service \"none\" is "
            "dead or lost: see `musterctl backends`\n");
  EXPECT_EQ(said({"forget", "a 1.0.0 r2"}).substr(0, 50),
            "2 |  | musterctl: forget: KEY: \"a 1.0.0 r2\" is not");
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

}  // namespace
}  // namespace muster::ctl
