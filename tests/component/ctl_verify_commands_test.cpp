// Whole musterctl commands against a broker that a test plays: a release that is verified.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "component/ctl_commands_fixture.h"

namespace muster::ctl {
namespace {

using namespace std::chrono_literals;
using Peer = test::ScriptedControl::Peer;
using wire::ControlRequestFrame;

BroadcastReport acked_and(std::optional<HolderVerdict> verdict) {
  BroadcastReport report = test::finished(BroadcastOperation::release_handles("/usr"),
                                          {test::outcome_of("a", 812, OutcomeKind::kAck, 3ms)});
  report.verify = true;
  if (verdict) {
    Verification& verification = report.verification.emplace();
    verification.scan.prefix = "/usr";
    verification.scan.verdict = *verdict;
    verification.scans = 1;
  }
  return report;
}

class VerifyCommands : public Commands {
 protected:
  void answer_with(BroadcastReport report) {
    play([report = std::move(report)](Peer& peer, const ControlRequestFrame& frame) {
      const auto* start = std::get_if<wire::StartBroadcast>(&frame.message);
      if (start != nullptr && start->detach) {
        return peer.answer(wire::BroadcastAccepted{17, 1, 0, false});
      }
      peer.answer(report);
    });
  }
};

TEST_F(VerifyCommands, TheKernelsAnswerDecidesWhenEverybodyAcked) {
  answer_with(acked_and(HolderVerdict::kClear));
  EXPECT_EQ(said({"release-handles", "--verify", "/usr"}),
            "0 | release-handles /usr: 1 of 1 acked in 1.2 s (broadcast 17)\n"
            "Released: 1 of 1 acked, nobody holds a file below /usr.\n | ");
  EXPECT_EQ(said({"result", "-q", "17"}), "0 |  | ");
  answer_with(acked_and(HolderVerdict::kHeld));
  EXPECT_EQ(said({"release-handles", "--verify", "-q", "/usr"}), "6 |  | ");
  EXPECT_EQ(said({"result", "-q", "17"}), "6 |  | ");
  answer_with(acked_and(HolderVerdict::kUnknown));
  EXPECT_EQ(said({"release-handles", "--verify", "-q", "/usr"}), "6 |  | ");
  answer_with(acked_and(std::nullopt));
  EXPECT_EQ(said({"release-handles", "--verify", "-q", "/usr"}), "6 |  | ");
}

TEST_F(VerifyCommands, PassesOnHowLongItMayWait) {
  answer_with(acked_and(HolderVerdict::kClear));
  said({"release-handles", "--verify", "/usr"});
  said({"release-handles", "--verify", "--wait", "5s", "/usr"});
  EXPECT_EQ(broker->requests(),
            "broadcast release-handles /usr verify=0 events\n"
            "broadcast release-handles /usr verify=5000 events\n");
}

TEST_F(VerifyCommands, WaitingWithoutVerifyingIsWrongUse) {
  answer_with(acked_and(HolderVerdict::kClear));
  EXPECT_EQ(said({"release-handles", "--wait", "5s", "/usr"}),
            "2 |  | musterctl: --wait is of --verify: give both\n");
  EXPECT_EQ(said({"release-handles", "--verify", "--wait", "5s", "--dry-run", "/usr"}).substr(0, 1),
            "2");
  EXPECT_EQ(said({"quiesce", "--verify"}).substr(0, 1), "2");
  EXPECT_EQ(broker->requests(), "");
}

// Who would be asked comes first in the exit status, as the outcomes do.
TEST_F(VerifyCommands, ADryRunShowsWhoHasFilesNowAndSendsNothing) {
  const auto dry = [&](const DryRun& dry_run, const HolderScan& scan,
                       std::vector<std::string> more) {
    play([=](Peer& peer, const ControlRequestFrame& frame) {
      if (std::holds_alternative<wire::StartBroadcast>(frame.message)) return peer.answer(dry_run);
      if (std::holds_alternative<wire::ListBackends>(frame.message)) {
        BackendInfo info;
        info.key = test::key_of("cache");
        info.pid = 812;
        return peer.answer(std::vector<BackendInfo>{info});
      }
      peer.answer(scan);
    });
    more.insert(more.begin(), {"release-handles", "--verify", "--dry-run", "/usr"});
    std::string text = said(std::move(more));
    const std::string requests = broker->requests();
    EXPECT_EQ(requests.find("broadcast release-handles /usr verify=0 dry-run\nholders /usr\n"), 0U)
        << requests;
    EXPECT_EQ(requests.find("broadcast"), requests.rfind("broadcast")) << requests;
    return text;
  };
  HolderScan clear;
  clear.prefix = "/usr";
  clear.verdict = HolderVerdict::kClear;
  HolderScan held = clear;
  held.verdict = HolderVerdict::kHeld;
  held.holders.emplace_back();
  held.holders[0].pid = 812;
  held.holders[0].command = "cached";
  held.holders[0].held = {{HeldBy::kDescriptor, 1}};
  held.holders[0].example = "/usr/a";
  HolderScan unknown = clear;
  unknown.verdict = HolderVerdict::kUnknown;
  const DryRun one{{test::key_of("cache")}, {}};
  DryRun failing = one;
  failing.would_fail = {
      test::failure_of("b", 7, BroadcastFailureReason::kBackendError, "disconnected")};

  EXPECT_EQ(dry(one, clear, {}),
            "0 | release-handles /usr: would ask 1 backend\n"
            "  ask   cache 1.0.0\n"
            "Clear: nobody has a file below /usr in use.\n | ");
  const std::string text = dry(one, held, {});
  EXPECT_NE(text.find("6 | release-handles /usr: would ask 1 backend\n  ask   cache 1.0.0\nPID"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(" cache 1.0.0  1 descriptor  /usr/a   musterctl release-handles /usr\n"
                      "Held: 1 holder has files below /usr in use.\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(dry(one, held, {"-q"}), "6 |  | ");
  EXPECT_EQ(dry(one, unknown, {"-q"}), "6 |  | ");
  EXPECT_EQ(dry(failing, held, {"-q"}), "1 |  | ");
  EXPECT_EQ(dry(DryRun(), held, {"-q"}), "5 |  | ");
  EXPECT_EQ(dry(DryRun(), held, {"-q", "--allow-empty"}), "6 |  | ");
  EXPECT_EQ(dry(DryRun(), clear, {"-q", "--allow-empty"}), "0 |  | ");
  const std::string json = dry(one, held, {"--json"});
  EXPECT_EQ(json.find("6 | {\"would_ask\":[{"), 0U) << json;
  EXPECT_NE(json.find("\"holders\":{\"path\":\"/usr\""), std::string::npos) << json;
}

// It takes no notice of a field that it does not know.
TEST_F(VerifyCommands, AnOlderBrokerIsNoYes) {
  BroadcastReport report = acked_and(std::nullopt);
  report.verify = false;
  answer_with(report);
  EXPECT_EQ(said({"release-handles", "--verify", "/usr"}),
            "6 | release-handles /usr: 1 of 1 acked in 1.2 s (broadcast 17)\n"
            "`musterctl result 17 --json` has every detail\n"
            "Unknown: 1 of 1 acked, but the broker cannot verify: it is older than this musterctl: "
            "it is not known who has files below /usr in use.\n | ");
  EXPECT_EQ(said({"release-handles", "--verify", "--detach", "/usr"}),
            "6 | 17\n | musterctl: warning: the broker is older than this musterctl and cannot "
            "verify: restart it\n");
  EXPECT_EQ(said({"release-handles", "--detach", "/usr"}), "0 | 17\n | ");
}

TEST_F(VerifyCommands, DetachedPrintsTheIdAlone) {
  answer_with(acked_and(std::nullopt));
  EXPECT_EQ(said({"release-handles", "--verify", "--detach", "/usr"}), "0 | 17\n | ");
}

TEST_F(VerifyCommands, JsonHasWhatTheKernelSays) {
  answer_with(acked_and(HolderVerdict::kClear));
  const std::string text = said({"release-handles", "--verify", "--json", "/usr"});
  EXPECT_NE(text.find("\"verify\":true,\"verification\":{\"scan\":{\"path\":\"/usr\""),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("\"verdict\":\"CLEAR\""), std::string::npos) << text;
}

}  // namespace
}  // namespace muster::ctl
