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
  EXPECT_EQ(said({"release-handles", "--verify", "--dry-run", "/usr"}).substr(0, 1), "2");
  EXPECT_EQ(said({"quiesce", "--verify"}).substr(0, 1), "2");
  EXPECT_EQ(broker->requests(), "");
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
