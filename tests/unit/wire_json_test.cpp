// Values as JSON: the names and forms that scripts rely on.
#include <cmath>

#include <gtest/gtest.h>

#include "muster/json.h"

#include "support/key_of.h"

namespace muster {
namespace {

using namespace std::chrono_literals;
using test::key_of;

TEST(WireJson, AReportIsOneLineWithProtobufsNames) {
  BroadcastReport report(BroadcastOperation::quiesce(QuiesceReason::kMaintenance));
  report.broadcast_id = 18446744073709551615U;
  report.state = BroadcastState::kFinished;
  report.result.acks = {{key_of("a")}};
  report.result.timeouts = {{key_of("b"), 250ms}};
  report.result.failures = {{key_of("c"), BroadcastFailureReason::kUnsupportedOperation}};
  report.result.skipped_dead = {key_of("d")};
  BackendOutcome outcome;
  outcome.key = key_of("a");
  outcome.outcome = OutcomeKind::kAck;
  outcome.ack_timeout = 5s;
  outcome.latency = 412us;
  outcome.percent = 0;
  outcome.said_by = SaidBy::kBackend;
  outcome.cause = Cause::kAnswer;
  outcome.released = 3;
  report.backends = {outcome};
  report.late_acks = {{key_of("b"), 1001us, {}, ""}};
  report.started_unix_ms = 1'700'000'000'000;
  report.duration = 250'100us;
  report.operation_key = "nightly";
  report.asked_by = Operator{7, 9, "musterctl"};
  report.deadline = 9s;
  const auto key_json = [](const std::string& name) {
    return R"({"instance":"shared","service_name":")" + name +
           R"(","service_version":"1.0.0","replica":""})";
  };
  EXPECT_EQ(
      to_json(report),
      R"({"broadcast_id":"18446744073709551615","state":"FINISHED","result":{"operation":)"
      R"({"quiesce":{"reason":"MAINTENANCE"}},"acks":[{"key":)" +
          key_json("a") + R"(}],"timeouts":[{"key":)" + key_json("b") +
          R"(,"timeout_ms":250}],"failures":[{"key":)" + key_json("c") +
          R"(,"reason":"UNSUPPORTED_OPERATION"}],"skipped_dead":[)" + key_json("d") +
          R"(]},"backends":[{"key":)" + key_json("a") +
          R"(,"incarnation":"0","pid":0,"uid":0,"outcome":"ACK","reason":"UNSPECIFIED",)"
          R"("detail":"","ack_timeout_ms":5000,"latency_ms":0.412,"note":"","extensions":0,)"
          R"("redeliveries":0,"said_by":"BACKEND","cause":"ANSWER","percent":0,"released":"3"}],)"
          R"("late_acks":[{"key":)" +
          key_json("b") +
          R"(,"lateness_ms":1.001,"reason":"UNSPECIFIED","detail":""}],"late_failures":[],)"
          R"("started_unix_ms":"1700000000000","duration_ms":250.1,"operation_key":"nightly",)"
          R"("asked_by":{"uid":7,"pid":9,"command":"musterctl"},"id_not_durable":false,"backends_unknown":false,)"
          R"("verify":false,"interrupted":false,"deadline_ms":9000})");
}

TEST(WireJson, AReportSaysWhatTheKernelSaidAndHowItsHoldStands) {
  BroadcastReport report(BroadcastOperation::release_handles("/a"));
  report.verify = true;
  report.verification = Verification{{}, 2, 1500us};
  report.verification->scan.verdict = HolderVerdict::kClear;
  HoldState& hold = report.hold.emplace();
  hold.leased = true;
  hold.since_unix_ms = 1'700'000'000'000;
  hold.ended = HoldEnd::kAbandoned;
  hold.ended_unix_ms = 1'700'000'001'000;
  const std::string json = to_json(report);
  EXPECT_NE(json.find(R"("verify":true,"verification":{"scan":{)"), std::string::npos) << json;
  EXPECT_NE(json.find(R"("verdict":"CLEAR")"), std::string::npos) << json;
  EXPECT_NE(json.find(R"("scans":2,"took_us":"1500"})"), std::string::npos) << json;
  EXPECT_NE(json.find(R"("hold":{"leased":true,"owner_away":false,)"
                      R"("since_unix_ms":"1700000000000","expires_unix_ms":"0",)"
                      R"("ended":"ABANDONED","ended_unix_ms":"1700000001000","violations":[],)"
                      R"("more_violations":"0","scans":0,"last_verdict":"UNKNOWN"})"),
            std::string::npos)
      << json;
}

TEST(WireJson, APathThatIsNotTextIsShownAndGivenInBase64) {
  BroadcastReport report(BroadcastOperation::release_handles("/a\xFF", "/b\xFE"));
  EXPECT_NE(to_json(report).find(
                R"("release_handles":{"path_prefix":"/a\\xff","path_prefix_bytes":"L2H/",)"
                R"("alias":"/b\\xfe","alias_bytes":"L2L+"})"),
            std::string::npos)
      << to_json(report);
  report.result.operation = BroadcastOperation::release_handles("/a b");
  EXPECT_NE(to_json(report).find(
                R"("release_handles":{"path_prefix":"/a b","path_prefix_bytes":"","alias":"",)"
                R"("alias_bytes":""})"),
            std::string::npos)
      << to_json(report);
}

TEST(WireJson, DurationsAreShortWhateverTheyAre) {
  for (std::int64_t us = 1; us < 2'000'000'000'000; us = us * 7 + 1) {
    BroadcastReport report(BroadcastOperation::quiesce(QuiesceReason::kMaintenance));
    report.duration = std::chrono::microseconds(us);
    const std::string json = to_json(report);
    const auto at = json.find(R"("duration_ms":)") + 14;
    const std::string number = json.substr(at, json.find(',', at) - at);
    const auto point = number.find('.');
    EXPECT_LE(number.size() - std::min(point, number.size()), 4u) << number;
    EXPECT_EQ(std::llround(std::stod(number) * 1000.0), us) << number;
  }
}

TEST(WireJson, AListOfBackendsIsOneObject) {
  EXPECT_EQ(to_json(std::vector<BackendInfo>{}), R"({"backends":[]})");
  BackendInfo info;
  info.key = key_of("a");
  info.labels = {{"zone", "b"}, {"tier", "hot"}, {"a", ""}};  // shown in order of names
  info.ack_timeout = 2s;
  info.since_unix_ms = 5;
  EXPECT_EQ(
      to_json(std::vector<BackendInfo>{info}),
      R"({"backends":[{"key":{"instance":"shared","service_name":"a","service_version":)"
      R"("1.0.0","replica":""},"state":"LIVE","incarnation":"0","pid":0,"uid":0,"labels":)"
      R"({"a":"","tier":"hot","zone":"b"},"sdk_name":"","sdk_version":"",)"
      R"("since_unix_ms":"5","gone_because":"","open_operations":0,"gid":0,"exe":"","exe_problem":"",)"
      R"("process_started_unix_ms":"0","cause":"NONE","quiesced_unix_ms":"0","quiesced_by_broadcast":"0",)"
      R"("quiesced_reason":"UNSPECIFIED","cannot_resume":false,"ack_timeout_ms":2000}]})");
}

TEST(WireJson, AStatusHasItsCounters) {
  BrokerStatus status;
  status.version = "0.1.0";
  status.running_broadcasts = {1, 2};
  status.counters.acks = 9;
  const std::string json = to_json(status);
  EXPECT_NE(json.find(R"("running_broadcasts":["1","2"])"), std::string::npos) << json;
  EXPECT_NE(json.find(R"("acks":"9")"), std::string::npos) << json;
  EXPECT_NE(json.find(R"("shutting_down":false)"), std::string::npos) << json;
}

TEST(WireJson, ADryRunAnErrorAndAnEventAreOneLineEach) {
  EXPECT_EQ(
      to_json(DryRun{}),
      R"({"would_ask":[],"skipped_dead":[],"would_fail":[],"reconnecting":[],"backends_unknown":false})");
  EXPECT_EQ(to_json(ControlError{ControlError::Code::kKeyConflict, "two\nlines \x1b \xFF"}),
            "{\"code\":\"KEY_CONFLICT\",\"message\":\"two\\nlines \\u001b \uFFFD\"}");
  Event event;
  event.kind = Event::Kind::kBackendDead;
  event.unix_ms = 5;
  event.detail = "process exited";
  EXPECT_EQ(to_json(event),
            R"({"kind":"BACKEND_DEAD","unix_ms":"5","broadcast_id":"0","pid":0,"uid":0,)"
            R"("detail":"process exited","targets":0,"acks":0,"timeouts":0,"failures":0,)"
            R"("skipped_dead":0,"operation":""})");
  event = Event();
  event.kind = Event::Kind::kBroadcastFinished;
  event.broadcast_id = 7;
  event.targets = 2;
  event.acks = 2;
  event.operation = "quiesce";
  event.backends_unknown = true;
  EXPECT_EQ(to_json(event),
            R"({"kind":"BROADCAST_FINISHED","unix_ms":"0","broadcast_id":"7","pid":0,"uid":0,)"
            R"("detail":"","targets":2,"acks":2,"timeouts":0,"failures":0,)"
            R"("skipped_dead":0,"operation":"quiesce","backends_unknown":true})");
}

}  // namespace
}  // namespace muster
