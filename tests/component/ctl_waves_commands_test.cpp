// Whole musterctl commands against a broker that a test plays: waves that find no end, and waves
// that the broker refuses.
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "component/ctl_commands_fixture.h"

namespace muster::ctl {
namespace {

using namespace std::chrono_literals;
using Peer = test::ScriptedControl::Peer;
using wire::ControlRequestFrame;

class WavesCommands : public Commands {
 protected:
  static BackendInfo backend(const std::string& service, Incarnation incarnation) {
    BackendInfo info;
    info.key = test::key_of(service);
    info.incarnation = incarnation;
    info.pid = 812;
    info.uid = 1000;
    return info;
  }
  static std::size_t count(const std::string& text, const std::string& what) {
    std::size_t found = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
      ++found;
    }
    return found;
  }
};

// A backend that is another one each time somebody looks: nobody can say that all were asked.
TEST_F(WavesCommands, ThatFindNewBackendsForEverEndAndAreNoYes) {
  Incarnation newest = 0;
  play([&newest](Peer& peer, const ControlRequestFrame& frame) {
    if (std::holds_alternative<wire::ListBackends>(frame.message)) {
      return peer.answer(std::vector<BackendInfo>{backend("a", ++newest)});
    }
    const auto* start = std::get_if<wire::StartBroadcast>(&frame.message);
    if (start == nullptr) return;
    if (start->dry_run) return peer.answer(DryRun{{test::key_of("a")}, {}});
    BackendOutcome acked = test::outcome_of("a", 812, OutcomeKind::kAck, 3ms);
    acked.incarnation = newest;
    Event started = test::event_of(Event::Kind::kBroadcastStarted);
    started.targets = 1;
    peer.event(started);
    peer.answer(test::finished(BroadcastOperation::release_handles("/usr"), {acked}));
  });
  const std::string text = said({"release-handles", "--batch", "1", "/usr"});
  EXPECT_EQ(text.substr(0, 4), "1 | ");
  EXPECT_EQ(count(text, "1 of 1 acked in 1.2 s"), 10U) << text;
  EXPECT_THAT(text, testing::HasSubstr("  not asked   a 1.0.0 (pid 812"));
  EXPECT_THAT(text, testing::HasSubstr("stopped after wave 10 of 10: new backends keep coming: "
                                       "10 of 10 acked; 1 backend was not asked\n"));
}

// It may be too busy for another broadcast.
TEST_F(WavesCommands, ThatTheBrokerRefusesNameWhoWasNotAsked) {
  int started = 0;
  play([&started](Peer& peer, const ControlRequestFrame& frame) {
    if (std::holds_alternative<wire::ListBackends>(frame.message)) {
      return peer.answer(std::vector<BackendInfo>{backend("a", 1), backend("b", 2)});
    }
    const auto* start = std::get_if<wire::StartBroadcast>(&frame.message);
    if (start == nullptr) return;
    if (start->dry_run) return peer.answer(DryRun{{test::key_of("a"), test::key_of("b")}, {}});
    if (++started == 2) {
      return peer.answer(ControlError{ControlError::Code::kBusy, "too many broadcasts"});
    }
    peer.event(test::event_of(Event::Kind::kBroadcastStarted));
    peer.answer(test::finished(BroadcastOperation::release_handles("/usr"),
                               {test::outcome_of("a", 812, OutcomeKind::kAck, 3ms)}));
  });
  EXPECT_THAT(said({"release-handles", "--batch", "1", "/usr"}),
              testing::AllOf(testing::StartsWith("4 | wave 1 of 2: 1 of 1 acked"),
                             testing::HasSubstr("  not asked   b 1.0.0 (pid 812"),
                             testing::HasSubstr("stopped after wave 1 of 2: the broker refused: "
                                                "1 of 1 acked; 1 backend was not asked\n"),
                             testing::EndsWith(" | musterctl: the broker refused (busy): too many "
                                               "broadcasts\n")));
  started = 0;
  const std::string json = said({"release-handles", "--json", "--batch", "1", "/usr"});
  EXPECT_THAT(json, testing::HasSubstr("\"error\":{\"code\":\"BUSY\""));
  EXPECT_EQ(count(json, "\n"), 1U);
}

// What it would not do at the end it says at the beginning.
TEST_F(WavesCommands, ThatMayNotAskTheKernelAskNobody) {
  play([](Peer& peer, const ControlRequestFrame& frame) {
    const auto* start = std::get_if<wire::StartBroadcast>(&frame.message);
    if (start != nullptr && start->request.verify) {
      return peer.answer(ControlError{ControlError::Code::kDenied, "uid 7 may not inspect"});
    }
    peer.hang_up();
  });
  EXPECT_EQ(said({"release-handles", "--verify", "--batch", "1", "/usr"}),
            "4 |  | musterctl: the broker refused (denied): uid 7 may not inspect\n");
}

}  // namespace
}  // namespace muster::ctl
