// musterctl --ask-first against a broker that a test plays: what is asked for, and in which order.
#include <chrono>
#include <csignal>
#include <regex>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "component/ctl_commands_fixture.h"
#include "musterctl/user_names.h"

namespace muster::ctl {
namespace {

using namespace std::chrono_literals;
using Peer = test::ScriptedControl::Peer;
using wire::ControlRequestFrame;

BroadcastReport acked(const BroadcastOperation& operation) {
  return test::finished(operation, {test::outcome_of("a", 812, OutcomeKind::kAck, 3ms)});
}

// As this machine names the user of the reports.
const std::string kUser = [] {
  const std::string name = user_names_of_system()(1000);
  return "1000" + (name.empty() ? "" : ' ' + name);
}();

const std::string kAsked = "asked first: 1 backend would\n";

class AskFirst : public Commands {
 protected:
  // Every backend acks what the real operation asks for; of a preflight `answer` is the report.
  void play_with(std::function<BroadcastReport(const BroadcastOperation&)> answer) {
    play([answer = std::move(answer)](Peer& peer, const ControlRequestFrame& frame) {
      const auto* start = std::get_if<wire::StartBroadcast>(&frame.message);
      if (std::holds_alternative<wire::KeepHold>(frame.message)) return peer.answer(HoldInfo());
      if (start == nullptr) return answer_all(peer, frame);
      const auto& operation = start->request.operation;
      if (operation.is_preflight()) return peer.answer(answer(operation));
      BroadcastReport report = acked(operation);
      if (start->request.hold) report.hold.emplace().leased = start->request.hold->leased;
      peer.answer(report);
    });
  }
  static BroadcastReport mixed(const BroadcastOperation& operation) {
    BroadcastReport report = test::finished(
        operation, {test::outcome_of("a", 812, OutcomeKind::kAck, 3ms),
                    test::failure_of("b", 813, BroadcastFailureReason::kRejected, "a build runs")});
    report.broadcast_id = 16;
    return report;
  }
};

TEST_F(AskFirst, ReleasesAtOnceWhenEverybodyWould) {
  play_with(acked);
  EXPECT_EQ(said({"release-handles", "--ask-first", "/usr"}),
            "0 | release-handles /usr: 1 of 1 acked in 1.2 s (broadcast 17)\n | " + kAsked);
  EXPECT_EQ(broker->requests(),
            "broadcast preflight of release-handles /usr events\n"
            "broadcast release-handles /usr events\n");
}

TEST_F(AskFirst, ReleasesNothingWhenOneObjects) {
  play_with(mixed);
  EXPECT_EQ(said({"release-handles", "--ask-first", "/usr"}),
            "1 | preflight of release-handles /usr: 1 of 2 would in 1.2 s (broadcast 16)\n"
            "  rejected    b 1.0.0 (pid 813, uid " +
                kUser +
                "): \"a build runs\"\n"
                "`musterctl result 16 --json` has every detail\n"
                "Nothing was released: 1 of 2 objects.\n | ");
  EXPECT_EQ(broker->requests(), "broadcast preflight of release-handles /usr events\n");
  EXPECT_EQ(said({"quiesce", "--ask-first", "-q"}), "1 |  | ");
  EXPECT_NE(said({"quiesce", "--ask-first"}).find("No backend was quiesced: 1 of 2 objects.\n"),
            std::string::npos);
}

TEST_F(AskFirst, WhoeverDoesNotAnswerOrIsNotKnownIsNoYes) {
  const auto not_acked = [&](const BackendOutcome& outcome) {
    play_with([outcome](const BroadcastOperation& operation) {
      return test::finished(operation, {outcome});
    });
    const std::string all = said({"release-handles", "--ask-first", "/usr"});
    EXPECT_EQ(broker->requests().find("broadcast release-handles"), std::string::npos) << all;
    return all.substr(0, 1);
  };
  EXPECT_EQ(not_acked(test::outcome_of("a", 1, OutcomeKind::kTimeout, 5s)), "1");
  EXPECT_EQ(not_acked(test::failure_of("a", 1, BroadcastFailureReason::kBackendError, "")), "1");
  EXPECT_EQ(not_acked(test::failure_of("a", 1, BroadcastFailureReason::kUnsupportedOperation, "")),
            "1");
  // Nobody who lives, as ever.
  EXPECT_EQ(not_acked(test::outcome_of("a", 1, OutcomeKind::kSkippedDead)), "5");
  play_with([](const BroadcastOperation& operation) {
    BroadcastReport report = acked(operation);
    report.backends_unknown = true;
    return report;
  });
  EXPECT_EQ(said({"release-handles", "--ask-first", "/usr"}).substr(0, 1), "1");
  EXPECT_EQ(broker->requests(), "broadcast preflight of release-handles /usr events\n");
}

TEST_F(AskFirst, SaysOfAnSdkThatIsTooOldWhatToDo) {
  play_with([](const BroadcastOperation& operation) {
    return test::finished(operation,
                          {test::failure_of("a", 1, BroadcastFailureReason::kUnsupportedOperation,
                                            "this version of the SDK does not know it")});
  });
  EXPECT_NE(said({"release-handles", "--ask-first", "/usr"})
                .find("or an SDK without preflights: update it, exclude it with --select, or "
                      "leave out --ask-first\nNothing was released: 1 of 1 objects.\n"),
            std::string::npos);
}

TEST_F(AskFirst, NobodyToAskIsFiveAndMayBeAllowed) {
  play_with([](const BroadcastOperation& operation) { return test::finished(operation, {}); });
  const std::string all = said({"quiesce", "--ask-first"});
  EXPECT_EQ(all.substr(0, 1), "5");
  EXPECT_NE(all.find("No backend was quiesced: there was nobody to ask.\n"), std::string::npos)
      << all;
  EXPECT_EQ(broker->requests(), "broadcast preflight of quiesce (maintenance) events\n");
  EXPECT_EQ(said({"quiesce", "--ask-first", "--allow-empty", "-q"}), "0 |  | ");
}

// What it is asked with is the same, but for what follows from an ack.
TEST_F(AskFirst, AsksWithTheSameSelectionAndLimits) {
  play_with(acked);
  said({"release-handles", "--ask-first", "--select", "service=a", "--timeout", "60m", "--deadline",
        "90m", "--verify", "-q", "/usr"});
  // Both rounds have the time together.
  std::string requests = broker->requests();
  const std::regex timeout("timeout=(3[0-9]{6}) ");
  const std::regex deadline("deadline=(5[0-9]{6}) ");
  std::vector<long> timeouts;
  for (auto at = std::sregex_iterator(requests.begin(), requests.end(), timeout);
       at != std::sregex_iterator(); ++at) {
    timeouts.push_back(std::stol((*at)[1]));
  }
  ASSERT_EQ(timeouts.size(), 2u) << requests;
  EXPECT_LE(timeouts[1], timeouts[0]);
  EXPECT_LT(timeouts[0], 3'600'000) << "what was used before it was sent";
  requests = std::regex_replace(std::regex_replace(requests, timeout, "timeout=T "), deadline,
                                "deadline=D ");
  EXPECT_EQ(requests,
            "broadcast preflight of release-handles /usr timeout=T select=service=a deadline=D "
            "events\n"
            "broadcast release-handles /usr timeout=T select=service=a deadline=D "
            "verify=0 events\n");
}

// With a moment left some would release, and others be late.
TEST_F(AskFirst, ReleasesNothingWhenTheFirstRoundUsedAllTheTime) {
  for (const char* limit : {"--deadline", "--timeout"}) {
    play_with([](const BroadcastOperation& operation) {
      const auto over = std::chrono::steady_clock::now() + 5ms;
      while (std::chrono::steady_clock::now() < over) std::this_thread::yield();
      return acked(operation);
    });
    const std::string all = said({"release-handles", "--ask-first", limit, "5ms", "/usr"});
    EXPECT_TRUE(all.starts_with("1 |  | ")) << all;
    EXPECT_NE(all.find("all backends would, but the time is over: nothing was released"),
              std::string::npos)
        << all;
    EXPECT_EQ(broker->requests().find("broadcast release-handles"), std::string::npos);
  }
}

TEST_F(AskFirst, JsonHasBothReports) {
  play_with(acked);
  const std::string both = said({"release-handles", "--ask-first", "--json", "/usr"});
  const auto has = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(both.starts_with("0 | {\"broadcast_id\":\"17\"")) << both;
  EXPECT_TRUE(has(both, R"("operation":{"release_handles":{"path_prefix":"/usr")")) << both;
  EXPECT_TRUE(has(both, R"(,"preflight":{"broadcast_id":"17")")) << both;
  EXPECT_TRUE(has(both, R"("operation":{"preflight":{"release_handles":{"path_prefix":"/usr")"))
      << both;
  // Nothing that could be taken for the report of a release.
  play_with(mixed);
  const std::string objected = said({"release-handles", "--ask-first", "--json", "/usr"});
  EXPECT_TRUE(objected.starts_with("1 | {\"preflight\":{\"broadcast_id\":\"16\"")) << objected;
  EXPECT_FALSE(has(objected, R"("operation":{"release_handles")")) << objected;
}

TEST_F(AskFirst, AnOlderBrokerIsToldFromOneThatRefuses) {
  const auto refuse_with = [&](const std::string& message) {
    play([message](Peer& peer, const ControlRequestFrame&) {
      peer.answer(ControlError{ControlError::Code::kInvalid, message});
    });
    return said({"quiesce", "--ask-first"});
  };
  EXPECT_NE(
      refuse_with("the operation is missing or not known: it must be release_handles or quiesce")
          .find("the broker is older than this musterctl and has no preflights, so no backend "
                "was asked: restart it, or leave out --ask-first"),
      std::string::npos);
  EXPECT_EQ(broker->requests(), "broadcast preflight of quiesce (maintenance) events\n");
  const std::string other = refuse_with("no such luck");
  EXPECT_EQ(other.substr(0, 1), "4");
  EXPECT_NE(other.find("no such luck"), std::string::npos);
}

TEST_F(AskFirst, ASignalCancelsTheAskingAndNothingIsReleased) {
  play([](Peer& peer, const ControlRequestFrame& frame) {
    const auto* start = std::get_if<wire::StartBroadcast>(&frame.message);
    if (start == nullptr) return answer_all(peer, frame);
    Event started = test::event_of(Event::Kind::kBroadcastStarted);
    started.broadcast_id = 17;
    started.targets = 1;
    peer.event(started);
  });
  interrupted = [] { return SIGINT; };
  const std::string all = said({"release-handles", "--ask-first", "/usr"});
  EXPECT_TRUE(all.starts_with("130 |  | musterctl: no longer waiting; preflight 17 is cancelled"))
      << all;
  EXPECT_NE(all.find("nothing was released"), std::string::npos) << all;
  EXPECT_EQ(broker->requests(),
            "broadcast preflight of release-handles /usr events\n"
            "no more events\n"
            "cancel 17\n");
}

TEST_F(AskFirst, AHoldIsOfTheRealRoundAlone) {
  play_with(acked);
  said({"release-handles", "--ask-first", "--hold", "--ttl", "1m", "-q", "/usr"});
  EXPECT_EQ(broker->requests(),
            "broadcast preflight of release-handles /usr events\n"
            "broadcast release-handles /usr hold leased ttl=60000 events\n"
            "detach hold 17\n");
}

// It would end with musterctl, and whoever called that would not know.
TEST_F(AskFirst, ABrokerThatCannotLeaveAHoldToItsTimeIsTold) {
  play([](Peer& peer, const ControlRequestFrame& frame) {
    if (std::holds_alternative<wire::EndHold>(frame.message)) return peer.answer(HoldInfo());
    HoldInfo hold;
    hold.state.leased = true;
    if (std::holds_alternative<wire::KeepHold>(frame.message)) return peer.answer(hold);
    BroadcastReport report = acked(BroadcastOperation::release_handles("/usr"));
    report.hold = hold.state;
    peer.answer(report);
  });
  const std::string problem = "cannot keep a hold when musterctl ends: restart it";
  const std::string released = said({"release-handles", "--hold", "--ttl", "1m", "-q", "/usr"});
  EXPECT_TRUE(released.starts_with("4 |  | ")) << released;
  EXPECT_NE(released.find(problem), std::string::npos) << released;
  const std::string started = said({"hold", "start", "/usr", "--ttl", "1m", "-q"});
  EXPECT_TRUE(started.starts_with("4 |  | ")) << started;
  EXPECT_NE(started.find(problem), std::string::npos) << started;
  EXPECT_TRUE(broker->requests().ends_with("detach hold 17\nend hold 17\n"));
}

TEST_F(AskFirst, WithReleasedAsksForAllPathsBeforeItReleasesOne) {
  play_with([](const BroadcastOperation& operation) {
    return operation.about_release()->path_prefix == "/usr" ? mixed(operation) : acked(operation);
  });
  const std::string all =
      said({"with-released", "--ask-first", "--no-verify", "/", "/usr", "--", "/bin/false"});
  EXPECT_TRUE(all.starts_with("1 |  | ")) << all;
  EXPECT_NE(all.find("Nothing was released: 1 of 2 objects.\n"), std::string::npos) << all;
  EXPECT_NE(all.find("musterctl: \"/bin/false\" was not run\n"), std::string::npos) << all;
  EXPECT_EQ(broker->requests(),
            "broadcast preflight of release-handles / events\n"
            "broadcast preflight of release-handles /usr events\n");
}

TEST_F(AskFirst, TheResultOfAPreflightIsNeverZeroAndIsNotRetried) {
  play([](Peer& peer, const ControlRequestFrame&) {
    peer.answer(acked(BroadcastOperation::preflight(ReleaseHandles{"/usr", {}})));
  });
  EXPECT_EQ(said({"result", "-q", "17"}), "1 |  | ");
  EXPECT_NE(said({"result", "17"}).find("only asked whether they would: nothing was released"),
            std::string::npos);
  EXPECT_EQ(said({"retry", "17"}),
            "2 |  | musterctl: broadcast 17 was a preflight (--ask-first), which released nothing: "
            "run the command again\n");
}

}  // namespace
}  // namespace muster::ctl
