// The history on the wire: what is refused, and what is read from the bytes of a report.
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "muster/json.h"
#include "muster/v1/control.pb.h"

#include "support/wire_frames.h"
#include "wire/control_lane.h"
#include "wire/history.h"
#include "wire/views.h"

namespace muster::wire {
namespace {

using namespace std::chrono_literals;

std::string ask_for(const v1::GetHistory& request) {
  v1::ControlRequest asked;
  *asked.mutable_get_history() = request;
  ControlRequestFrame out;
  const auto frame = test::frame_of(kControlLane, test::kRequest, asked.SerializeAsString());
  std::string problem = ControlRequestDecoder().decode(frame.SerializeAsString(), out);
  if (!problem.empty()) return problem;
  const auto& query = std::get<HistoryQuery>(out.message);
  return "at most " + std::to_string(query.limit);
}

TEST(WireHistory, WhatIsTooMuchIsRefused) {
  v1::GetHistory request;
  EXPECT_EQ(ask_for(request), "at most 100");
  request.set_limit(1000);
  EXPECT_EQ(ask_for(request), "at most 1000");
  request.set_limit(1001);
  EXPECT_EQ(ask_for(request), "the history was asked for 1001 entries; the most is 1000");
  request.set_limit(1);
  request.set_service(std::string(64, 'a'));
  EXPECT_EQ(ask_for(request), "at most 1");
  request.set_service(std::string(65, 'a'));
  EXPECT_NE(ask_for(request).find("the service"), std::string::npos);
  request.set_service("");
  request.set_user(std::string(257, 'a'));
  EXPECT_NE(ask_for(request).find("the user's name"), std::string::npos);
}

BroadcastReport wire_history_report() {
  BroadcastReport report(BroadcastOperation::quiesce(QuiesceReason::kMaintenance));
  report.broadcast_id = 300;
  report.state = BroadcastState::kFinished;
  for (const char* service : {"b", "a", "b"}) {
    BackendOutcome& outcome = report.backends.emplace_back();
    outcome.key = {Instance::shared(), service, "1.0.0", {}};
    outcome.outcome = OutcomeKind::kAck;
  }
  report.duration = 2ms;
  return report;
}

TEST(WireHistory, AReportIsDigestedFromItsBytes) {
  BroadcastReport report = wire_history_report();
  ReportDigest digest;
  EXPECT_EQ(digest_report(message_of(report, Texts::kAll), digest), "");
  EXPECT_EQ(digest.entry.id, 300u);
  EXPECT_EQ(digest.entry.operation, "quiesce (maintenance)");
  EXPECT_EQ(digest.entry.path, "");
  EXPECT_FALSE(digest.entry.asked_by);
  EXPECT_EQ(digest.entry.duration, 2ms);
  EXPECT_EQ(digest.entry.targets, 3u);
  EXPECT_EQ(digest.entry.acks, 3u);
  EXPECT_FALSE(digest.entry.failed);
  EXPECT_FALSE(digest.own);
  EXPECT_EQ(digest.services, (std::vector<std::string>{"a", "b"}));
  ReportDigest none;
  EXPECT_NE(digest_report("\xFF\xFF", none), "");
}

TEST(WireHistory, APayloadAndTheReportInItAreTheSameBytes) {
  const std::string bytes = message_of(wire_history_report(), Texts::kAll);
  const std::string payload = payload_of_report(bytes);
  EXPECT_EQ(report_in(payload), bytes);
  EXPECT_EQ(report_in(payload_of(ControlError{ControlError::Code::kBusy, "no"})), "");
  EXPECT_EQ(report_in(payload.substr(0, payload.size() - 1)), "");
  EXPECT_EQ(report_in(""), "");
  // An operator who waits reads the same.
  const FrameAround around = answer_around(9, payload.size());
  std::optional<ControlAnswerFrame> out;
  const std::string frame = around.before + payload + around.after;
  EXPECT_EQ(ControlAnswerDecoder().decode(next_frame(frame, kMaxControlBody).body, out), "");
  ASSERT_TRUE(out);
  const auto& report = std::get<BroadcastReport>(std::get<ControlResponse>(out->message));
  EXPECT_EQ(message_of(report, Texts::kAll), bytes);
}

TEST(WireHistory, AnInterruptedReportSaysSoWhateverItSaidBefore) {
  BroadcastReport report = wire_history_report();
  report.state = BroadcastState::kRunning;
  BroadcastReport want = report;
  want.interrupted = true;
  EXPECT_EQ(interrupted_report(message_of(report, Texts::kAll)), message_of(want, Texts::kAll));
  ReportDigest digest;
  EXPECT_EQ(digest_report(interrupted_report(interrupted_report(message_of(report, Texts::kAll))),
                          digest),
            "");
  EXPECT_TRUE(digest.entry.interrupted && digest.entry.failed);
}

TEST(WireHistory, APageAsJsonHasProtobufsNames) {
  HistoryPage page;
  page.broadcasts.emplace_back().id = 300;
  const std::string json = to_json(page);
  EXPECT_TRUE(json.starts_with("{\"broadcasts\":[{\"broadcast_id\":\"300\",\"operation\":\"\","))
      << json;
  EXPECT_NE(json.find("\"refusals\":[],\"more\":false,\"missing\":\"0\",\"problem\":\"\"}"),
            std::string::npos)
      << json;
}

}  // namespace
}  // namespace muster::wire
