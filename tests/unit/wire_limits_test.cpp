// Answers that are too large for the control lane.
#include <gtest/gtest.h>

#include "wire/control_lane.h"
#include "wire/framing.h"

namespace muster::wire {
namespace {

BackendKey key_of(std::size_t bytes) { return {{}, std::string(bytes, 's'), "1.0.0", ""}; }

BroadcastReport report_of(std::size_t backends, const BackendKey& key, std::size_t detail_bytes) {
  BroadcastReport report(BroadcastOperation::quiesce(QuiesceReason::kMaintenance));
  BackendOutcome outcome;
  outcome.key = key;
  outcome.outcome = OutcomeKind::kFailure;
  outcome.reason = BroadcastFailureReason::kRejected;
  outcome.detail = std::string(detail_bytes, 'd');
  outcome.note = std::string(detail_bytes, 'n');
  report.backends.assign(backends, outcome);
  report.late_failures = {{outcome.key, {}, {}, outcome.detail}};
  return report;
}

ControlResponse through_the_wire(const ControlResponse& response) {
  const std::string frame = encode(1, response);
  const FrameView view = next_frame(frame, kMaxControlBody);
  EXPECT_EQ(view.status, FrameView::Status::kComplete) << view.problem;
  std::optional<ControlAnswerFrame> out;
  EXPECT_EQ(ControlAnswerDecoder().decode(view.body, out), "");
  return std::get<ControlResponse>(std::move(out->message));
}

TEST(WireLimits, AReportThatFitsKeepsItsTexts) {
  const BroadcastReport report = report_of(1000, key_of(64), 1000);
  EXPECT_TRUE(through_the_wire(report) == ControlResponse(report));
}

TEST(WireLimits, AReportThatIsTooLargeLosesItsTextsFirst) {
  BroadcastReport report = report_of(10'000, key_of(64), 1000);
  const auto got = through_the_wire(report);
  for (auto& outcome : report.backends) outcome.detail = outcome.note = "";
  report.late_failures[0].detail = "";
  EXPECT_TRUE(got == ControlResponse(report));
}

TEST(WireLimits, AnAnswerThatIsTooLargeAnywayBecomesAnError) {
  const std::string sentence =
      "and the control lane carries 16777216: ask for fewer backends with a selection";
  BackendInfo info;
  info.gone_because = std::string(kMaxDetailBytes, 'g');
  for (const ControlResponse& response :
       {ControlResponse(report_of(17'000, key_of(1000), 0)),
        ControlResponse(std::vector<BackendInfo>(17'000, info)),
        ControlResponse(DryRun{std::vector<BackendKey>(17'000, key_of(1000)), {}})}) {
    const auto got = through_the_wire(response);
    const auto* error = std::get_if<ControlError>(&got);
    ASSERT_NE(error, nullptr);
    EXPECT_EQ(error->code, ControlError::Code::kTooLarge);
    EXPECT_NE(error->message.find(sentence), std::string::npos) << error->message;
  }
}

// An error message is the one text of an answer without a limit of its own.
TEST(WireLimits, AnAnswerOfExactlyTheLimitPasses) {
  ControlError error{ControlError::Code::kBusy, "x"};
  const std::size_t beside = encode(1, ControlResponse(error)).size() - kHeaderBytes - 1;
  // Three lengths around the text grow from one byte to four.
  error.message.assign(kMaxControlBody - beside - 9, 'x');
  EXPECT_EQ(encode(1, ControlResponse(error)).size(), kHeaderBytes + kMaxControlBody);
  EXPECT_TRUE(through_the_wire(error) == ControlResponse(error));
  error.message += 'x';
  const auto got = through_the_wire(error);
  EXPECT_EQ(std::get<ControlError>(got).code, ControlError::Code::kTooLarge);
}

}  // namespace
}  // namespace muster::wire
