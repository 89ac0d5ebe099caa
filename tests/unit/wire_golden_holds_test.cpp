// The messages of verifications and holds as bytes: see wire_golden_test.cpp.
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/wire_golden_lane.h"
#include "wire/control_lane.h"

namespace muster::wire {
namespace {

using namespace std::chrono_literals;

using test::scan_that_found;

HolderScan clear_scan() {
  HolderScan scan;
  scan.prefix = "/cache";
  scan.verdict = HolderVerdict::kClear;
  scan.leases = {187, 187, 0, 0, {}, {}, true, {}};
  return scan;
}

HoldState violated_hold() {
  HoldState hold;
  hold.leased = true;
  hold.owner_away = true;
  hold.since_unix_ms = 1'700'000'000'000;
  hold.expires_unix_ms = 1'700'000'600'000;
  hold.ended = HoldEnd::kAbandoned;
  hold.ended_unix_ms = 1'700'000'100'000;
  hold.violations = {{test::backend_that_holds(), 1'700'000'050'000}};
  hold.more_violations = 3;
  hold.scans = 12;
  hold.last_verdict = HolderVerdict::kHeld;
  return hold;
}

HoldInfo hold_of_a_release() {
  return {300, BroadcastOperation::release_handles("/srv/cache", "/cache/\xFF"),
          Operator{1000, 4243, "musterctl"}, 2, violated_hold()};
}

class WireGoldenHolds : public test::WireGoldenControl {
 protected:
  WireGoldenHolds() : WireGoldenControl("control_holds.hex") {}
};

TEST_F(WireGoldenHolds, EveryMessage) {
  StartBroadcast start;
  start.request.operation = BroadcastOperation::release_handles("/cache");
  start.request.verify = true;
  start.request.verify_wait = 2500ms;
  start.request.mount_namespace = 4'026'531'841;
  start.request.hold = HoldRequest{true, 600s};
  request("StartBroadcast, verify and hold", start);
  StartBroadcast once;
  once.request.operation = BroadcastOperation::release_handles("/cache");
  once.request.verify = true;  // an empty message is not none
  once.request.hold = HoldRequest{false, 0ms};
  request("StartBroadcast, verify once and hold for no time", once);
  StartBroadcast quiesce;
  quiesce.request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  quiesce.request.hold = HoldRequest{};
  request("StartBroadcast, a quiesce until it is ended", quiesce);
  request("ListHolds", ListHolds{});
  request("EndHold", EndHold{300});
  request("KeepHold", KeepHold{300});
  request("KeepHold, detached", KeepHold{300, true, {}});
  request("KeepHold, of a command", KeepHold{300, false, 4711});
  request("ExplainPolicy, a hold",
          PolicyQuestion{0, 0, {}, PolicyQuestion::Control{ControlAction::kHold, "/cache"}});

  BroadcastReport verified(BroadcastOperation::release_handles("/cache"));
  verified.broadcast_id = 300;
  verified.state = BroadcastState::kFinished;
  verified.verify = true;
  verified.verification = Verification{clear_scan(), 3, 1'043'786us};
  response("BroadcastReport, verified", verified);
  verified.state = BroadcastState::kVerifying;
  verified.verification.reset();
  response("BroadcastReport, verifying", verified);
  verified.state = BroadcastState::kFinished;
  verified.verification = Verification{scan_that_found(), 1, 43'786us};
  verified.hold = violated_hold();
  response("BroadcastReport, held and violated", verified);
  verified.hold = HoldState{};  // backends are being asked
  verified.verification.reset();
  response("BroadcastReport, a hold that did not begin", verified);

  HoldInfo quiesced;
  quiesced.id = 301;
  quiesced.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  quiesced.state.since_unix_ms = 1'700'000'000'000;
  quiesced.state.last_verdict = HolderVerdict::kClear;
  response("HoldList", std::vector<HoldInfo>{hold_of_a_release(), quiesced});
  response("HoldList, none", std::vector<HoldInfo>{});
  response("HoldInfo", hold_of_a_release());
  HoldInfo ended;
  ended.id = 302;
  ended.operation = BroadcastOperation::quiesce(QuiesceReason::kIdleTimeout);
  for (const auto& [name, why] : {std::pair{"HoldInfo, completed", HoldEnd::kCompleted},
                                  std::pair{"HoldInfo, expired", HoldEnd::kExpired},
                                  std::pair{"HoldInfo, resumed", HoldEnd::kResumed}}) {
    ended.state.ended = why;
    response(name, ended);
  }
  BrokerStatus status;
  status.users.emplace_back().uid = 1000;
  status.users.back().holds = {3, 64};
  response("Status, holds of a user", status);

  Event happened;
  happened.broadcast_id = 300;
  for (const auto& [name, kind] :
       {std::pair{"ControlEvent, verifying", Event::Kind::kVerifying},
        std::pair{"ControlEvent, hold started", Event::Kind::kHoldStarted}}) {
    happened.kind = kind;
    event(name, happened);
  }
  happened.kind = Event::Kind::kHoldEnded;
  happened.detail = "abandoned";
  event("ControlEvent, hold ended", happened);
  happened.kind = Event::Kind::kHoldViolated;
  happened.detail = "cached (pid 4242) has 3 files below /cache in use";
  event("ControlEvent, hold violated", happened);
}

}  // namespace
}  // namespace muster::wire
