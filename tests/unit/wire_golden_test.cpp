// The wire as bytes: every message of both lanes, in both directions, against golden/*.hex.
//
// A difference here is a change of the wire. Where it is meant, the failure prints the new entry.
#include <gtest/gtest.h>

#include "support/wire_golden_lane.h"
#include "wire/backend_lane.h"
#include "wire/control_lane.h"

namespace muster::wire {
namespace {

using namespace std::chrono_literals;

using test::golden_key;
using test::scan_that_found;

class WireGoldenBackendLane : public test::WireGolden {
 protected:
  WireGoldenBackendLane() : WireGolden("backend_lane.hex") {}

  template <typename Message>
  void from_backend(std::string_view name, std::uint64_t id, const Message& message,
                    const std::string& encoded) {
    BackendFrame out;
    EXPECT_EQ(BackendFrameDecoder().decode(same(name, encoded), out), "") << name;
    EXPECT_EQ(out.request_id, id) << name;
    EXPECT_TRUE(out.message == decltype(out.message)(message)) << name;
  }
  template <typename Message>
  void from_broker(std::string_view name, std::uint64_t id, const Message& message,
                   const std::string& encoded) {
    BrokerFrame out;
    EXPECT_EQ(BrokerFrameDecoder().decode(same(name, encoded), out), "") << name;
    EXPECT_EQ(out.request_id, id) << name;
    EXPECT_TRUE(out.message == decltype(out.message)(message)) << name;
  }
};

TEST_F(WireGoldenBackendLane, EveryMessage) {
  Registration small;
  small.key = golden_key("zccache");
  from_backend("Register, smallest", 1, small, encode(1, small));
  Registration registration;
  registration.key = golden_key("zccache", Instance::private_to("soldr"), "a:1");
  registration.ack_timeout = 2500ms;
  registration.idle_timeout = 60s;
  registration.labels = {{"zone", "b"}, {"tier", "hot"}, {"a", ""}};  // written in order of names
  registration.sdk_name = "muster-cpp";
  registration.sdk_version = "0.1.0";
  from_backend("Register", 1, registration, encode(1, registration));
  Registration restarts;
  restarts.key = golden_key("zccache");
  restarts.can_resume = false;
  from_backend("Register, cannot resume", 1, restarts, encode(1, restarts));
  from_backend("Register, refused before", 2, small, encode(2, small, 3));
  from_backend("Ack", 300, Ack{}, encode(300, Ack{}));
  from_backend("Ack, released", 300, Ack{0}, encode(300, Ack{0}));  // 0 is not none
  const Failure failure{BroadcastFailureReason::kRejected, "busy"};
  from_backend("Failure", 300, failure, encode(300, failure));
  const Working working{300ms, 0, "flushing \u20ac"};  // a percent of 0 is not none
  from_backend("Working", 300, working, encode(300, working));
  from_backend("Activity", 0, Activity{}, encode(0, Activity{}));
  from_backend("Deregister", 2, Deregister{}, encode(2, Deregister{}));
  from_backend("CANCEL", 300, Cancel{}, encode_cancel(kBackendLane, 300));

  Registered registered;
  registered.incarnation = 77;
  registered.broker_version = "0.1.0";
  registered.limits = {65536, 1024, 1024, 300'000ms};
  registered.active_holds = {{5, "/cache/\xFF", 1'700'000'000'000, {}}, {6, "/", 0, {}}};
  from_broker("Registered", 1, registered, encode(1, registered));
  Registered held = registered;
  held.active_holds = {{5, "/srv/cache", 0, "/cache/\xFF"}, {6, {}, 1'700'000'000'000, {}}};
  from_broker("Registered, a hold with an alias, a quiesce", 1, held, encode(1, held));
  Registered shared;
  shared.incarnation = 78;
  shared.epoch = "0123456789abcdef";
  shared.key = golden_key("zccache", {}, "~4242");
  from_broker("Registered, epoch and key", 1, shared, encode(1, shared));
  const Refusal refusal{RefusalCode::kQuota, "too many connections of uid 1000", 1500ms};
  from_broker("Refused, an answer", 1, refusal, encode(1, refusal, true));
  from_broker("Refused, an event", 0, refusal, encode(0, refusal, false));
  OutgoingOperation release;
  release.broadcast_id = 300;
  release.operation = BroadcastOperation::release_handles("/cache/\xFF/x");
  release.ack_timeout = 5s;
  release.deadline_unix_ms = 1'700'000'005'000;
  release.hold_id = 5;
  release.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  release.tracestate = "vendor=1";
  from_broker("Operation, release handles", 300, release, encode(release));
  OutgoingOperation quiesce;
  quiesce.broadcast_id = 301;
  quiesce.operation = BroadcastOperation::quiesce(QuiesceReason::kBrokerShutdown);
  quiesce.ack_timeout = 1ms;
  from_broker("Operation, quiesce", 301, quiesce, encode(quiesce));
  OutgoingOperation alias;
  alias.broadcast_id = 302;
  alias.operation = BroadcastOperation::release_handles("/srv/cache", "/cache");
  alias.ack_timeout = 5s;
  from_broker("Operation, alias", 302, alias, encode(alias));
  OutgoingOperation expires = alias;
  expires.hold_id = 302;
  expires.hold_expires_unix_ms = 1'700'000'600'000;
  from_broker("Operation, a hold that expires", 302, expires, encode(expires));
  OutgoingOperation would_release;
  would_release.broadcast_id = 303;
  would_release.operation = BroadcastOperation::preflight(ReleaseHandles{"/srv/cache", "/cache"});
  would_release.ack_timeout = 5s;
  from_broker("Operation, preflight of a release", 303, would_release, encode(would_release));
  OutgoingOperation would_quiesce;
  would_quiesce.broadcast_id = 304;
  would_quiesce.operation = BroadcastOperation::preflight(Quiesce{});
  would_quiesce.ack_timeout = 5s;
  from_broker("Operation, preflight of a quiesce", 304, would_quiesce, encode(would_quiesce));
  const HoldEnded ended{5, HoldEnd::kExpired};
  from_broker("HoldEnded", 0, ended, encode(ended));
  const HoldEnded resumed{301, HoldEnd::kResumed};
  from_broker("HoldEnded, resumed", 0, resumed, encode(resumed));
  const HoldEnded completed{5, HoldEnd::kCompleted};
  from_broker("HoldEnded, completed", 0, completed, encode(completed));
  const HoldEnded abandoned{5, HoldEnd::kAbandoned};
  from_broker("HoldEnded, abandoned", 0, abandoned, encode(abandoned));
  from_broker("Deregistered", 2, Deregistered{}, encode(2, Deregistered{}));
}

class WireGoldenControlLane : public test::WireGoldenControl {
 protected:
  WireGoldenControlLane() : WireGoldenControl("control_lane.hex") {}
};

BackendOutcome failed_outcome() {
  BackendOutcome outcome;
  outcome.key = golden_key("soldr", Instance::explicitly("blue"));
  outcome.incarnation = 12;
  outcome.pid = 4242;
  outcome.uid = 1000;
  outcome.outcome = OutcomeKind::kFailure;
  outcome.reason = BroadcastFailureReason::kBackendError;
  outcome.detail = "process exited";
  outcome.ack_timeout = 5s;
  outcome.latency = 412us;
  outcome.note = "flushing";
  outcome.percent = 40;
  outcome.extensions = 2;
  outcome.redeliveries = 1;
  return outcome;
}

BroadcastReport report() {
  BroadcastReport report(BroadcastOperation::release_handles("/cache/\xFF"));
  report.broadcast_id = 300;
  report.state = BroadcastState::kFinished;
  report.result.acks = {{golden_key("zccache")}};
  report.result.timeouts = {{golden_key("late"), 250ms}};
  report.result.failures = {{golden_key("soldr"), BroadcastFailureReason::kBackendError}};
  report.result.skipped_dead = {golden_key("dead", Instance::private_to("soldr"))};
  report.backends = {failed_outcome()};
  report.late_acks = {{golden_key("late"), 1500us, {}, ""}};
  report.late_failures = {{golden_key("late"), 2s, BroadcastFailureReason::kRejected, "no"}};
  report.started_unix_ms = 1'700'000'000'000;
  report.duration = 250'412us;
  report.operation_key = "nightly";
  return report;
}

TEST_F(WireGoldenControlLane, EveryMessage) {
  request("Ping", Ping{});
  StartBroadcast start;
  start.request.operation = BroadcastOperation::release_handles("/cache");
  start.request.ack_timeout = 2s;
  start.request.selection = {Selector::parse("service=zcc*,label.tier=hot").selector,
                             Selector::parse("replica=a").selector};
  start.request.operation_key = "nightly";
  start.request.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  start.request.tracestate = "vendor=1";
  start.detach = true;
  start.dry_run = true;
  start.events = true;
  request("StartBroadcast, release handles", start);
  StartBroadcast quiesce;
  quiesce.request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  request("StartBroadcast, quiesce", quiesce);
  StartBroadcast bounded;
  bounded.request.operation = BroadcastOperation::release_handles("/srv/cache", "/cache");
  bounded.request.deadline = 9s;
  request("StartBroadcast, alias and deadline", bounded);
  StartBroadcast preflight;
  preflight.request.operation =
      BroadcastOperation::preflight(ReleaseHandles{"/srv/cache", "/cache"});
  preflight.request.deadline = 9s;
  request("StartBroadcast, preflight of a release", preflight);
  StartBroadcast would_quiesce;
  would_quiesce.request.operation = BroadcastOperation::preflight(Quiesce{});
  request("StartBroadcast, preflight of a quiesce", would_quiesce);
  request("Resume", Resume{300, {Selector::parse("service=a").selector}});
  request("ForgetBackend", ForgetBackend{golden_key("zccache", {}, "~4242")});
  request("GetReport", GetReport{300, true});
  request("CancelBroadcast", CancelBroadcast{300});
  request("ListBackends", ListBackends{{Selector::parse("version=1.*").selector}});
  request("GetStatus", GetStatus{});
  request("Watch", Watch{});
  request("ExplainPolicy, a registration",
          PolicyQuestion{1000,
                         100,
                         {20, 27},
                         PolicyQuestion::Registration{"zccache", Instance::private_to("soldr")}});
  request(
      "ExplainPolicy, a release",
      PolicyQuestion{0, 0, {}, PolicyQuestion::Control{ControlAction::kRelease, "/cache/\xFF"}});
  request("ExplainPolicy, connecting", PolicyQuestion{1000, 100, {}, {}});
  request("FindHolders", FindHolders{"/cache/\xFF", 4'026'531'841});
  request("CANCEL", Cancel{});

  BroadcastReport would(BroadcastOperation::preflight(ReleaseHandles{"/cache/\xFF", "/c"}));
  would.broadcast_id = 303;
  would.state = BroadcastState::kFinished;
  would.result.acks = {{golden_key("zccache")}};
  response("BroadcastReport, preflight of a release", would);
  BroadcastReport would_all(BroadcastOperation::preflight(Quiesce{}));
  would_all.broadcast_id = 304;
  response("BroadcastReport, preflight of a quiesce", would_all);
  response("ControlError", ControlError{ControlError::Code::kInterrupted, "the broker restarted"});
  response("Pong", Pong{"0.1.0", 4242});
  response("BroadcastAccepted", BroadcastAccepted{300, 5, 1, true});
  response("BroadcastAccepted, not all known", BroadcastAccepted{300, 5, 1, false, true});
  response("BroadcastReport", report());
  auto told = report();
  told.backends[0].said_by = SaidBy::kKernel;
  told.backends[0].cause = Cause::kProcessExited;
  told.backends[0].released = 0;
  told.asked_by = Operator{1000, 4243, "musterctl"};
  told.deadline = 9s;
  told.id_not_durable = true;
  response("BroadcastReport, who said it", told);
  response("ResumeAccepted", ResumeAccepted{3, 1});
  response("ResumeAccepted, not all", ResumeAccepted{0, 0, 2, 4});
  response("Forgotten", Forgotten{});
  response("DryRun", DryRun{{golden_key("zccache")}, {golden_key("dead")}});
  response("DryRun, joining", DryRun{{}, {}, 300});
  DryRun not_all{{golden_key("zccache"), golden_key("back")}, {}};
  not_all.would_fail = {failed_outcome()};
  not_all.reconnecting = {golden_key("back")};
  not_all.backends_unknown = true;
  response("DryRun, not all", not_all);
  response("CancelAccepted", CancelAccepted{3});
  BackendInfo info;
  info.key = golden_key("zccache", {}, "a");
  info.state = BackendState::kDead;
  info.incarnation = 12;
  info.pid = 4242;
  info.uid = 1000;
  info.labels = {{"zone", "b"}, {"tier", "hot"}};
  info.ack_timeout = 2s;
  info.idle_timeout = 60s;
  info.sdk_name = "muster-cpp";
  info.sdk_version = "0.1.0";
  info.since_unix_ms = 1'700'000'000'000;
  info.gone_because = "connection lost";
  info.open_operations = 2;
  info.gid = 100;
  info.exe = "/usr/bin/zccache";
  info.exe_problem = "Permission denied";
  info.process_started_unix_ms = 1'699'999'999'000;
  response("BackendList", std::vector<BackendInfo>{info, {}});
  info.state = BackendState::kLost;
  info.cause = Cause::kSlowReader;
  info.quiesced = QuiescedState{1'700'000'000'000, 300, QuiesceReason::kMaintenance,
                                Operator{1000, 4243, "musterctl"}};
  info.can_resume = false;
  response("BackendList, lost and quiesced", std::vector<BackendInfo>{info});
  BrokerStatus status;
  status.version = "0.1.0";
  status.pid = 4242;
  status.started_unix_ms = 1'700'000'000'000;
  status.shutting_down = true;
  status.socket_dir = "/run/muster";
  status.transport = "epoll";
  status.connections = 7;
  status.live_backends = 5;
  status.dead_backends = 2;
  status.running_broadcasts = {300, 301};
  status.reports_kept = 9;
  status.counters = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};
  status.users = {{1000, {1, 32'768}, {2, 16'384}, {3, 67'108'864}, {4, 512}, 5}};
  status.descriptors = {200, 1024, 80, true};
  response("Status", status);
  status.counters.task_failures = 18;
  status.uptime = 61s;
  status.reconnecting_backends = 1;
  status.lost_backends = 2;
  status.quiesced_backends = 3;
  status.problems = {"the disk is full"};
  response("Status, uptime and problems", status);
  response("Watching", Watching{});
  response("HolderScan", scan_that_found());
  response("PolicyExplanation",
           PolicyExplanation{
               {{"connect to backend.sock", true, "the built-in rule", "", 0},
                {"register zccache", false, "[[policy.register]] at /m.toml:12", "/m.toml", 12}}});

  Event outcome;
  outcome.kind = Event::Kind::kOutcome;
  outcome.unix_ms = 1'700'000'000'000;
  outcome.broadcast_id = 300;
  outcome.key = golden_key("soldr");
  outcome.pid = 4242;
  outcome.uid = 1000;
  outcome.detail = "process exited";
  outcome.backend_outcome = failed_outcome();
  outcome.targets = 5;
  outcome.acks = 1;
  outcome.timeouts = 2;
  outcome.failures = 3;
  outcome.skipped_dead = 4;
  outcome.operation = "quiesce (maintenance)";
  event("ControlEvent, full", outcome);
  outcome.asked_by = Operator{1000, 4243, "musterctl"};
  event("ControlEvent, asked by", outcome);
  event("ControlEvent, empty", Event{});
  Event finished;
  finished.kind = Event::Kind::kBroadcastFinished;
  finished.broadcast_id = 300;
  finished.targets = 2;
  finished.acks = 2;
  finished.operation = "quiesce (maintenance)";
  finished.backends_unknown = true;
  event("ControlEvent, not all known", finished);
}

}  // namespace
}  // namespace muster::wire
