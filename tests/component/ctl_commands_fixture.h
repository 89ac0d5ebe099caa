// What the tests of whole musterctl commands share: a broker that a test plays, and what was said.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "musterctl/program.h"
#include "support/captured_console.h"
#include "support/scripted_control.h"
#include "support/view_values.h"

namespace muster::ctl {

inline BroadcastReport mixed_report() {
  using namespace std::chrono_literals;
  return test::finished(BroadcastOperation::release_handles("/usr"),
                        {test::outcome_of("a", 812, OutcomeKind::kAck, 3ms),
                         test::failure_of("b", 813, BroadcastFailureReason::kRejected, "busy")});
}

// Answers a broadcast with mixed_report() and its events, and everything else as little as it can.
inline void answer_all(test::ScriptedControl::Peer& peer, const wire::ControlRequestFrame& frame) {
  if (const auto* start = std::get_if<wire::StartBroadcast>(&frame.message)) {
    if (start->detach) return peer.answer(wire::BroadcastAccepted{17, 2, 0, false});
    if (start->dry_run) return peer.answer(DryRun{{test::key_of("a")}, {}});
    Event started = test::event_of(Event::Kind::kBroadcastStarted);
    started.operation = start->request.operation.to_string();
    started.targets = 2;
    peer.event(started);
    for (const BackendOutcome& outcome : mixed_report().backends) {
      peer.event(test::event_about(Event::Kind::kOutcome, outcome));
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

}  // namespace muster::ctl
