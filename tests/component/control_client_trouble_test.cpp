// ControlClient against a broker that hangs, goes away or talks nonsense.
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "muster/control.h"

#include "component/control_client_fixture.h"
#include "support/open_descriptors.h"
#include "support/scripted_control.h"
#include "support/temp_dir.h"

namespace muster {
namespace {

using namespace std::chrono_literals;
using Peer = test::ScriptedControl::Peer;
using test::failure_text;
using test::finished;
using test::outcome_of;
using test::quiesce_request;
using wire::ControlRequestFrame;

TEST(ControlClient, GivesUpOnABrokerThatHangs) {
  test::ScriptedControl broker([](Peer&, const ControlRequestFrame&) {});
  ControlClient client(broker.dir(), 0ms);
  EXPECT_EQ(failure_text([&] { client.ping(); }),
            "unreachable: the broker at " + broker.socket() + " (pid " +
                std::to_string(::getpid()) +
                ") accepted the connection but did not answer within 1 ms: it hangs or is stopped");
  EXPECT_EQ(
      failure_text([&] { client.broadcast(quiesce_request(), [](const Event&) {}); }).substr(0, 30),
      "unreachable: the broker at /tm");
}

TEST(ControlClient, SaysThatTheBrokerWentAway) {
  test::ScriptedControl broker([](Peer& peer, const ControlRequestFrame&) { peer.hang_up(); });
  ControlClient client(broker.dir());
  const std::string gone =
      "unreachable: the broker at " + broker.socket() +
      " closed the connection: it ended, or its log says why it closed the connection";
  EXPECT_EQ(failure_text([&] { client.ping(); }), gone);
  // And again, without SIGPIPE: nobody is there to read the next request.
  EXPECT_EQ(failure_text([&] { client.ping(); }), gone);
}

TEST(ControlClient, SaysThatABroadcastGoesOnWithoutTheConnection) {
  test::ScriptedControl broker([](Peer& peer, const ControlRequestFrame&) {
    peer.event(test::event_of(Event::Kind::kBroadcastStarted, 23));
    peer.hang_up();
  });
  ControlClient client(broker.dir());
  EXPECT_EQ(failure_text([&] { client.broadcast(quiesce_request(), [](const Event&) {}); }),
            "unreachable: the broker at " + broker.socket() +
                " closed the connection while broadcast 23 was running; if the broker still runs, "
                "so does the broadcast: fetch its report with `musterctl result 23`");
  EXPECT_EQ(failure_text([&] { client.ping(); }),
            "unreachable: the broker at " + broker.socket() +
                " closed the connection: it ended, or its log says why it closed the connection");
}

TEST(ControlClient, DoesNotTakeNoiseForAnAnswer) {
  const std::vector<std::string> noises = {
      "HTTP/1.1 400 Bad Request\r\n\r\n", std::string("\x01\xff\xff\xff\xff", 5),
      std::string("\x01\x03\x00\x00\x00xyz", 8), std::string("\x01\x00\x00\x00\x00", 5)};
  for (const std::string& noise : noises) {
    test::ScriptedControl broker([&](Peer& peer, const ControlRequestFrame&) { peer.raw(noise); });
    ControlClient client(broker.dir());
    const std::string message = failure_text([&] { client.ping(); });
    const std::string begin = "unreachable: the broker at " + broker.socket() +
                              " sent something that is not Muster's protocol (";
    EXPECT_EQ(message.substr(0, begin.size()), begin);
  }
}

TEST(ControlClient, DoesNotTakeAnotherAnswerForItsOwn) {
  test::ScriptedControl broker([](Peer& peer, const ControlRequestFrame& frame) {
    peer.answer_to(frame.request_id + 1, wire::Pong{"of another request", 1});
    peer.answer_to(0, wire::Pong{"of no request", 1});
    peer.event(test::event_of(Event::Kind::kShuttingDown, 0));
    peer.answer(wire::Pong{"0.1.0", 2});
  });
  ControlClient client(broker.dir());
  EXPECT_EQ(client.ping().broker_version, "0.1.0");
  EXPECT_EQ(failure_text([&] { client.status(); }),
            "unreachable: the broker at " + broker.socket() +
                " sent an unexpected answer: check that its version matches");
}

TEST(ControlClient, ReadsAnswersThatComeInPieces) {
  const auto report = [] {
    std::vector<BackendOutcome> backends;
    for (int i = 0; i < 3'000; ++i) {
      auto outcome = outcome_of("service" + std::to_string(i), i, OutcomeKind::kAck, 3ms);
      outcome.note = std::string(300, 'n');
      backends.push_back(std::move(outcome));
    }
    return finished(BroadcastOperation::quiesce(QuiesceReason::kMaintenance), std::move(backends));
  }();
  test::ScriptedControl broker([&](Peer& peer, const ControlRequestFrame& frame) {
    if (std::holds_alternative<wire::Ping>(frame.message)) {
      for (const char c :
           wire::encode(frame.request_id, wire::ControlResponse(wire::Pong{"x", 7}))) {
        peer.raw({&c, 1});
      }
    } else {
      peer.answer(report);
    }
  });
  ControlClient client(broker.dir());
  EXPECT_EQ(client.ping().broker_pid, 7);
  EXPECT_EQ(client.report(1), report);
}

TEST(ControlClient, LeavesNoDescriptorBehind) {
  const test::TempDir nobody;
  const long before = test::open_descriptors();
  for (int i = 0; i < 3; ++i) {
    test::ScriptedControl broker([](Peer& peer, const ControlRequestFrame&) { peer.hang_up(); });
    ControlClient client(broker.dir());
    EXPECT_NE(failure_text([&] { client.ping(); }), "nothing");
    EXPECT_NE(failure_text([&] { ControlClient other(nobody.path()); }), "nothing");
  }
  EXPECT_EQ(test::open_descriptors(), before);
}

}  // namespace
}  // namespace muster
