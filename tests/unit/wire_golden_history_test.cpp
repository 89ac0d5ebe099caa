// The messages of the history as bytes: see wire_golden_test.cpp.
#include <gtest/gtest.h>

#include "support/wire_golden_lane.h"
#include "wire/control_lane.h"

namespace muster::wire {
namespace {

using namespace std::chrono_literals;

class WireGoldenHistory : public test::WireGoldenControl {
 protected:
  WireGoldenHistory() : WireGoldenControl("control_history.hex") {}
};

TEST_F(WireGoldenHistory, EveryMessage) {
  request("GetHistory", HistoryQuery{});
  HistoryQuery query;
  query.since_unix_ms = 1'700'000'000'000;
  query.until_unix_ms = 1'700'000'100'000;
  query.failed = true;
  query.service = "zccache";
  query.uid = 0;  // not none
  query.user = "alice";
  query.limit = 1000;
  query.own = true;
  query.refusals = true;
  request("GetHistory, full", query);

  HistoryEntry entry;
  entry.id = 300;
  entry.operation = "release-handles /cache";
  entry.path = "/cache/\xFF";
  entry.asked_by = Operator{1000, 4243, "musterctl"};
  entry.user = "alice";
  entry.started_unix_ms = 1'700'000'000'000;
  entry.duration = 1500us;
  entry.state = BroadcastState::kVerifying;
  entry.interrupted = true;
  entry.targets = 5;
  entry.acks = 1;
  entry.timeouts = 2;
  entry.failures = 1;
  entry.skipped_dead = 3;
  entry.late_answers = 1;
  entry.backends_unknown = true;
  entry.verify = true;
  entry.verdict = HolderVerdict::kUnknown;  // not none
  entry.hold = true;
  entry.hold_ended = HoldEnd::kAbandoned;
  entry.violations = 4;
  entry.operation_key = "nightly";
  entry.failed = true;
  HistoryRefusal refusal;
  refusal.first_unix_ms = 1'700'000'000'000;
  refusal.last_unix_ms = 1'700'000'000'001;
  refusal.times = 2;
  refusal.uid = 1000;
  refusal.user = "alice";
  refusal.pid = 4242;
  refusal.command = "zccache";
  refusal.key = "zccache 1.0.0";
  refusal.why = "too many";
  response("HistoryList", HistoryPage{{entry, {}}, {refusal}, true, 7, "the disk is full"});

  BroadcastReport report(BroadcastOperation::release_handles("/cache"));
  report.broadcast_id = 300;
  report.interrupted = true;
  response("BroadcastReport, interrupted", report);
}

}  // namespace
}  // namespace muster::wire
