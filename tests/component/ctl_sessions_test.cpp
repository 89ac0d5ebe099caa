// Brokers of user sessions that do what they like: asking one has an end.
#include <algorithm>
#include <chrono>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "component/ctl_commands_fixture.h"
#include "musterctl/sessions.h"
#include "support/scripted_control.h"
#include "support/view_values.h"

namespace muster::ctl {
namespace {

using namespace std::chrono_literals;
using Peer = test::ScriptedControl::Peer;
using wire::ControlRequestFrame;

// "status | sentence", and whether the broker said that it began.
std::string answer_of(const test::ScriptedControl& broker,
                      std::optional<std::chrono::milliseconds> deadline) {
  BroadcastRequest request;
  request.operation = BroadcastOperation::release_handles("/usr");
  request.deadline = deadline;
  SessionAsks asks({{::geteuid(), broker.dir()}}, request, false, 20ms);
  const std::vector<SessionAnswer> answers = asks.wait([] { return true; });
  const SessionAnswer& answer = answers.at(0);
  return std::to_string(answer.status) + (answer.began ? " began | " : " | ") + answer.failure;
}

// Each loop below ends when nobody reads any more.
class Sessions : public Commands {
 protected:
  static constexpr int kEndless = 5'000'000;
  static bool is_request(const ControlRequestFrame& frame) {
    return std::holds_alternative<wire::StartBroadcast>(frame.message);
  }
};

TEST_F(Sessions, ThatSendEventsWithoutEndAreLeftWithoutADeadline) {
  for (const auto kind :
       {Event::Kind::kOutcome, Event::Kind::kWorking, Event::Kind::kBroadcastStarted}) {
    play([kind](Peer& peer, const ControlRequestFrame& frame) {
      if (!is_request(frame)) return;
      const Event event = test::event_of(kind);
      for (int i = 0; i < 100'000; ++i) peer.event(event);
    });
    const std::string began = kind == Event::Kind::kBroadcastStarted ? "3 began | " : "3 | ";
    EXPECT_EQ(answer_of(*broker, std::nullopt),
              began + "the broker sent 100000 events and no report: it does not work: restart it");
  }
}

TEST_F(Sessions, AreWaitedForUntilShortlyAfterTheDeadline) {
  const std::string sentence = "the broker did not end the broadcast in time: restart it";
  // It begins and says no more.
  play([](Peer& peer, const ControlRequestFrame& frame) {
    if (is_request(frame)) peer.event(test::event_of(Event::Kind::kBroadcastStarted));
  });
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(answer_of(*broker, 10ms), "3 began | " + sentence);
  // Answers to another request, faster than they can be read.
  play([](Peer& peer, const ControlRequestFrame& frame) {
    if (!is_request(frame)) return;
    peer.event(test::event_of(Event::Kind::kBroadcastStarted));
    std::string many;
    for (int i = 0; i < 1'000; ++i)
      many += wire::encode(frame.request_id + 7, wire::ControlResponse(wire::Pong{"1", 1}));
    for (int i = 0; i < kEndless / 1'000; ++i) peer.raw(many);
  });
  EXPECT_EQ(answer_of(*broker, 10ms), "3 began | " + sentence);
  // It says nothing at all: the connection's patience is no longer than that.
  play([](Peer&, const ControlRequestFrame&) {});
  EXPECT_EQ(answer_of(*broker, 10ms).substr(0, 4), "3 | ");
  EXPECT_LT(std::chrono::steady_clock::now() - before, ControlClient::kPatience);
}

TEST_F(Sessions, ThatAnswerAreTheirReport) {
  play(answer_all);
  EXPECT_EQ(answer_of(*broker, 1min), "1 began | ");
  EXPECT_EQ(answer_of(*broker, std::nullopt), "1 began | ");
}

}  // namespace
}  // namespace muster::ctl
