// ControlClient against a broker that a test plays: requests and their answers.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "muster/control.h"

#include "component/control_client_fixture.h"
#include "support/scripted_control.h"

namespace muster {
namespace {

using namespace std::chrono_literals;
using Peer = test::ScriptedControl::Peer;
using test::failure_text;
using test::key_of;
using test::outcome_of;
using test::quiesce_request;
using test::report_of;
using wire::ControlRequestFrame;

TEST(ControlClient, AsksAndReturnsEachAnswer) {
  BrokerStatus status;
  status.version = "0.1.0";
  BackendInfo info;
  info.key = key_of("soldr");
  test::ScriptedControl broker([&](Peer& peer, const ControlRequestFrame& frame) {
    if (std::holds_alternative<wire::Ping>(frame.message)) {
      peer.answer(wire::Pong{"0.1.0", 4711});
    } else if (const auto* start = std::get_if<wire::StartBroadcast>(&frame.message)) {
      if (start->dry_run) {
        peer.answer(DryRun{{key_of("soldr")}, {key_of("old")}});
      } else {
        peer.answer(wire::BroadcastAccepted{17, 5, 1, true});
      }
    } else if (const auto* get = std::get_if<wire::GetReport>(&frame.message)) {
      peer.answer(report_of(get->id));
    } else if (std::holds_alternative<wire::CancelBroadcast>(frame.message)) {
      peer.answer(wire::CancelAccepted{3});
    } else if (std::holds_alternative<wire::ListBackends>(frame.message)) {
      peer.answer(std::vector<BackendInfo>{info});
    } else {
      peer.answer(status);
    }
  });
  ControlClient client(broker.dir());
  const PingReply pong = client.ping();
  EXPECT_EQ(pong.broker_version, "0.1.0");
  EXPECT_EQ(pong.broker_pid, 4711);
  EXPECT_GT(pong.round_trip.count(), 0);

  BroadcastRequest request;
  request.operation = BroadcastOperation::release_handles("/x");
  request.ack_timeout = 2s;
  request.selection = {Selector::parse("service=s*,label.tier=hot").selector,
                       Selector::parse("replica=1").selector};
  request.operation_key = "once";
  request.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  request.tracestate = "a=b";
  const Accepted accepted = client.start_broadcast(request);
  EXPECT_EQ(accepted.broadcast_id, 17u);
  EXPECT_EQ(accepted.targets, 5u);
  EXPECT_EQ(accepted.skipped_dead, 1u);
  EXPECT_TRUE(accepted.joined);

  const DryRun dry_run = client.dry_run(quiesce_request());
  EXPECT_EQ(dry_run.would_ask, std::vector<BackendKey>{key_of("soldr")});
  EXPECT_EQ(dry_run.skipped_dead, std::vector<BackendKey>{key_of("old")});

  EXPECT_EQ(client.report(9), report_of(9));
  EXPECT_EQ(client.report(0, true), report_of(0));
  EXPECT_EQ(client.cancel(17), 3u);
  EXPECT_EQ(client.backends(request.selection), std::vector<BackendInfo>{info});
  EXPECT_EQ(client.status().version, "0.1.0");
  EXPECT_EQ(broker.requests(),
            "ping\n"
            "broadcast release-handles /x timeout=2000 select=service=s*,label.tier=hot "
            "select=replica=1 key=once "
            "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 tracestate=a=b "
            "detach\n"
            "broadcast quiesce (maintenance) dry-run\n"
            "report 9\n"
            "report 0 wait\n"
            "cancel 17\n"
            "backends select=service=s*,label.tier=hot select=replica=1\n"
            "status\n");
}

TEST(ControlClient, CanBeMovedAndUsedFurther) {
  test::ScriptedControl broker([](Peer& peer, const ControlRequestFrame&) {
    peer.answer(wire::Pong{"0.1.0", 1});
  });
  ControlClient first(broker.dir());
  EXPECT_EQ(first.ping().broker_pid, 1);
  ControlClient second(std::move(first));
  EXPECT_EQ(second.ping().broker_pid, 1);
}

TEST(ControlClient, ThrowsARefusalAsTheBrokerSaidIt) {
  test::ScriptedControl broker([](Peer& peer, const ControlRequestFrame&) {
    peer.answer(ControlError{ControlError::Code::kNotFound, "there is no broadcast 9"});
  });
  ControlClient client(broker.dir());
  try {
    static_cast<void>(client.report(9));
    FAIL() << "not refused";
  } catch (const ControlFailure& failure) {
    EXPECT_EQ(failure.kind(), ControlFailure::Kind::kRefused);
    EXPECT_EQ(failure.error(),
              (ControlError{ControlError::Code::kNotFound, "there is no broadcast 9"}));
    EXPECT_STREQ(failure.what(), "there is no broadcast 9");
  }
  // A refusal of one request does not end the connection.
  EXPECT_EQ(failure_text([&] { client.cancel(9); }), "refused: there is no broadcast 9");
}

TEST(ControlClient, HearsARefusalOfTheConnectionItself) {
  test::ScriptedControl broker([](Peer& peer, const ControlRequestFrame&) {
    peer.answer_to(0, ControlError{ControlError::Code::kDenied, "uid 1000 may only look"});
    peer.hang_up();
  });
  ControlClient client(broker.dir());
  EXPECT_EQ(failure_text([&] { client.ping(); }), "refused: uid 1000 may only look");
}

TEST(ControlClient, RefusesARequestThatIsOverTheLanesFirstMessage) {
  test::ScriptedControl broker([](Peer& peer, const ControlRequestFrame&) {
    peer.answer(wire::Pong{"0.1.0", 1});
  });
  ControlClient client(broker.dir());
  BroadcastRequest request = quiesce_request();
  const auto selector = Selector::parse("service=" + std::string(200, '?')).selector;
  for (int i = 0; i < 1'000; ++i) request.selection.push_back(selector);
  const std::string message = failure_text([&] { static_cast<void>(client.dry_run(request)); });
  EXPECT_EQ(message.substr(0, 22), "refused: the request h") << message;
  EXPECT_EQ(client.ping().broker_pid, 1);
  EXPECT_EQ(broker.requests(), "ping\n");
}

// --- broadcasting and watching

TEST(ControlClient, ShowsTheEventsOfABroadcastAndReturnsItsReport) {
  test::ScriptedControl broker([](Peer& peer, const ControlRequestFrame&) {
    peer.event(test::event_of(Event::Kind::kBroadcastStarted));
    peer.event(test::event_about(Event::Kind::kOutcome, outcome_of("a", 1, OutcomeKind::kAck)));
    peer.event(test::event_of(Event::Kind::kBroadcastFinished));
    peer.answer(report_of(17));
  });
  ControlClient client(broker.dir());
  std::string seen;
  const auto report = client.broadcast(quiesce_request(), [&](const Event& event) {
    seen += std::string(to_string(event.kind)) + " " + std::to_string(event.broadcast_id) + "\n";
  });
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(*report, report_of(17));
  EXPECT_EQ(seen, "broadcast started 17\noutcome 17\nbroadcast finished 17\n");
  EXPECT_EQ(broker.requests(), "broadcast quiesce (maintenance) events\n");
}

TEST(ControlClient, AsksForNoEventsThatNobodyLooksAt) {
  test::ScriptedControl broker(
      [](Peer& peer, const ControlRequestFrame&) { peer.answer(report_of(17)); });
  ControlClient client(broker.dir(), 1h);
  EXPECT_EQ(client.broadcast(quiesce_request()), report_of(17));
  EXPECT_EQ(broker.requests(), "broadcast quiesce (maintenance)\n");
}

TEST(ControlClient, TicksWhileItWaits) {
  test::ScriptedControl broker([](Peer& peer, const ControlRequestFrame& frame) {
    if (std::holds_alternative<wire::Cancel>(frame.message)) return;
    peer.event(test::event_of(Event::Kind::kBroadcastStarted));
  });
  ControlClient client(broker.dir());
  int ticks = 0;
  EXPECT_FALSE(client.broadcast(
      quiesce_request(), [](const Event&) {}, [&] { return ++ticks < 4; }));
  EXPECT_EQ(ticks, 4);
}

TEST(ControlClient, StopsWaitingAndCanBeUsedFurther) {
  test::ScriptedControl broker([](Peer& peer, const ControlRequestFrame& frame) {
    if (std::holds_alternative<wire::StartBroadcast>(frame.message)) {
      peer.event(test::event_of(Event::Kind::kBroadcastStarted));
      const auto cancel = peer.next();
      if (!cancel || cancel->request_id != frame.request_id) return peer.hang_up();
      // What was under way when the client stopped waiting arrives nevertheless.
      peer.event(test::event_of(Event::Kind::kBroadcastFinished));
      peer.answer_to(frame.request_id, report_of(17));
    } else {
      peer.answer(wire::Pong{"0.1.0", 7});
    }
  });
  ControlClient client(broker.dir());
  bool started = false;
  const auto report = client.broadcast(
      quiesce_request(), [&](const Event&) { started = true; }, [&] { return !started; });
  EXPECT_FALSE(report.has_value());
  EXPECT_EQ(client.ping().broker_pid, 7);
  EXPECT_EQ(broker.requests(), "broadcast quiesce (maintenance) events\nno more events\nping\n");
}

TEST(ControlClient, IsNotWokenForGoodByASignal) {
  struct sigaction before {};
  struct sigaction action {};
  action.sa_handler = [](int) {};
  ::sigaction(SIGUSR1, &action, &before);
  test::ScriptedControl broker([](Peer& peer, const ControlRequestFrame&) {
    ::kill(::getpid(), SIGUSR1);
    peer.answer(wire::Pong{"0.1.0", 7});
  });
  ControlClient client(broker.dir());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.ping().broker_pid, 7);
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST(ControlClient, WatchesUntilItIsToldToStop) {
  test::ScriptedControl broker([](Peer& peer, const ControlRequestFrame& frame) {
    if (!std::holds_alternative<wire::Watch>(frame.message)) return;
    peer.answer(wire::Watching{});
    peer.event(test::event_of(Event::Kind::kBackendRegistered, 0));
    peer.event(test::event_of(Event::Kind::kShuttingDown, 0));
  });
  ControlClient client(broker.dir());
  std::string seen;
  int events = 0;
  client.watch(
      [&](const Event& event) {
        seen += std::string(to_string(event.kind)) + "\n";
        ++events;
      },
      [&] { return events < 2; });
  EXPECT_EQ(seen, "backend registered\nshutting down\n");
}

TEST(ControlClient, WatchesNoLongerThanTheBrokerLives) {
  test::ScriptedControl broker([](Peer& peer, const ControlRequestFrame&) {
    peer.answer(wire::Watching{});
    peer.hang_up();
  });
  ControlClient client(broker.dir());
  EXPECT_EQ(failure_text([&] { client.watch([](const Event&) {}); }),
            "unreachable: the broker at " + broker.socket() +
                " closed the connection: it ended, or its log says why it closed the connection");
}

TEST(ControlClient, MayBeRefusedAWatch) {
  test::ScriptedControl broker([](Peer& peer, const ControlRequestFrame&) {
    peer.answer(ControlError{ControlError::Code::kDenied, "uid 1000 may not look"});
  });
  ControlClient client(broker.dir());
  EXPECT_EQ(failure_text([&] { client.watch([](const Event&) {}); }),
            "refused: uid 1000 may not look");
}

}  // namespace
}  // namespace muster
