// What the control lane refuses, and with which sentence; and what it lets pass.
#include <limits>

#include <gtest/gtest.h>

#include "muster/v1/control.pb.h"

#include "support/wire_frames.h"
#include "wire/control_lane.h"

namespace muster::wire {
namespace {

using test::frame_of;
using test::kCancel;
using test::kEvent;
using test::kRequest;
using test::kResponse;
using test::said;

std::string by_control(const v1::Frame& frame) {
  ControlRequestFrame out;
  return said(ControlRequestDecoder().decode(frame.SerializeAsString(), out));
}
std::string by_control(v1::FrameKind kind, const v1::ControlRequest& request) {
  return by_control(frame_of(kControlLane, kind, request.SerializeAsString()));
}
std::string by_operator(v1::FrameKind kind, const std::string& payload) {
  std::optional<ControlAnswerFrame> out;
  const auto frame = frame_of(kControlLane, kind, payload);
  auto problem = ControlAnswerDecoder().decode(frame.SerializeAsString(), out);
  EXPECT_EQ(out.has_value(), problem.empty());
  return said(std::move(problem));
}
std::string by_operator(const v1::ControlResponse& response) {
  return by_operator(kResponse, response.SerializeAsString());
}
std::string by_operator(const v1::ControlEvent& event) {
  return by_operator(kEvent, event.SerializeAsString());
}

// --- the envelope

TEST(WireStrictControl, AnotherLaneIsRefused) {
  EXPECT_EQ(by_control(frame_of(0xFB01, kCancel, "")),
            "payload protocol 0xFB01 does not belong on this socket, which is for 0xFB02");
}

TEST(WireStrictControl, ACancelWithAPayloadIsRefused) {
  EXPECT_EQ(by_control(frame_of(kControlLane, kCancel, "")), "taken");
  EXPECT_EQ(by_control(frame_of(kControlLane, kCancel, "x")),
            "a CANCEL frame must have no payload; this one's length is 1");
}

TEST(WireStrictControl, UnknownFieldsAreIgnored) {
  const std::string unknown = "\x7a\x03new\xa0\x06\x01";  // fields 15 and 100
  const auto padded = [&](const auto& message) { return message.SerializeAsString() + unknown; };
  v1::ControlRequest request;
  request.mutable_get_report()->set_broadcast_id(5);
  request.mutable_get_report()->MergeFromString(unknown);
  ControlRequestFrame got;
  EXPECT_EQ(ControlRequestDecoder().decode(
                padded(frame_of(kControlLane, kRequest, padded(request))), got),
            "");
  EXPECT_EQ(std::get<GetReport>(got.message).id, 5u);
}

// --- what an operator sends

TEST(WireStrictControl, ABroadcastWithoutAnOperationIsRefused) {
  v1::ControlRequest request;
  request.mutable_start_broadcast();
  EXPECT_EQ(by_control(kRequest, request),
            "the operation is missing or not known: it must be release_handles or quiesce");
}

TEST(WireStrictControl, ARequestMustComeInARequestFrameAndBeKnown) {
  v1::ControlRequest request;
  request.mutable_ping();
  EXPECT_EQ(by_control(kRequest, request), "taken");
  EXPECT_EQ(by_control(kEvent, request),
            "a request must come in a frame of kind REQUEST, not EVENT");
  EXPECT_EQ(by_control(kRequest, v1::ControlRequest()),
            "the payload is empty or has a request that this broker does not know");
}

TEST(WireStrictControl, TraceContextOverItsLimitIsRefused) {
  v1::ControlRequest request;
  request.mutable_start_broadcast()->mutable_release_handles()->set_path_prefix("/");
  auto frame = frame_of(kControlLane, kRequest, request.SerializeAsString());
  frame.set_traceparent(std::string(kMaxTraceBytes, 'x'));
  frame.set_tracestate(std::string(kMaxTraceBytes, 'x'));
  EXPECT_EQ(by_control(frame), "taken");
  frame.mutable_tracestate()->push_back('x');
  EXPECT_EQ(by_control(frame), "tracestate has 513 bytes; the most is 512");
  frame.mutable_traceparent()->push_back('x');
  EXPECT_EQ(by_control(frame), "traceparent has 513 bytes; the most is 512");
}

TEST(WireStrictControl, ASelectorThatBreaksARuleIsRefused) {
  v1::ControlRequest request;
  auto& term = *request.mutable_list_backends()->add_selection()->add_terms();
  term.set_field("colour");
  term.set_glob("red");
  EXPECT_NE(by_control(kRequest, request).find("names no field"), std::string::npos);
  term.set_field("service");
  EXPECT_EQ(by_control(kRequest, request), "taken");
  for (int i = 1; i < 256; ++i) request.mutable_list_backends()->add_selection();
  EXPECT_EQ(by_control(kRequest, request), "taken");
  request.mutable_list_backends()->add_selection();
  EXPECT_EQ(by_control(kRequest, request), "the selection has 257 selectors; the most is 256");
}

TEST(WireStrictControl, ALongRequestMayHaveLongFieldsButNotMany) {
  v1::ControlRequest request;
  request.mutable_ping();
  const std::string ping = request.SerializeAsString();
  const std::string one_field = "\x7a\x80\x80\x40" + std::string(1 << 20, 'x');
  EXPECT_EQ(by_control(frame_of(kControlLane, kRequest, ping + one_field)), "taken");

  std::string many;
  for (int i = 0; i < 70'000; ++i) many.append("\x7a\x00", 2);
  const std::string sentence = "the request is malformed or has more than 65536 fields";
  EXPECT_EQ(by_control(frame_of(kControlLane, kRequest, ping + many)), sentence);
  // Inside of a message, or of an unknown group.
  auto& start = *request.mutable_start_broadcast();
  start.mutable_release_handles()->set_path_prefix("/");
  for (int i = 0; i < 70'000; ++i) start.add_selection();
  EXPECT_EQ(by_control(kRequest, request), sentence);
  EXPECT_EQ(by_control(frame_of(kControlLane, kRequest, ping + "\x7b" + many + "\x7c")), sentence);
  // Beside the request, in the envelope; this decoder goes on to read what is right.
  ControlRequestDecoder decoder;
  ControlRequestFrame out;
  const std::string frame = frame_of(kControlLane, kRequest, ping).SerializeAsString();
  EXPECT_EQ(decoder.decode(frame + many, out),
            "the body is not a Frame: it is cut off or malformed");
  EXPECT_EQ(decoder.decode(frame + one_field, out), "");
  EXPECT_EQ(decoder.decode(frame + "\x7a\x01x", out), "");
  EXPECT_EQ(decoder.decode(frame, out), "");
}

// --- what a broker answers to an operator

TEST(WireStrictControl, AnAnswerMustBeKnown) {
  EXPECT_EQ(by_operator(v1::ControlResponse()),
            "the payload is empty or has a response that is not known here");
  EXPECT_EQ(by_operator(kRequest, ""),
            "an answer must come in a frame of kind RESPONSE or EVENT, not REQUEST");
  EXPECT_EQ(by_operator(kCancel, ""),
            "an answer must come in a frame of kind RESPONSE or EVENT, not CANCEL");
}

// A newer broker has more of each.
TEST(WireStrictControl, AnEnumerationOfANewerBrokerIsTaken) {
  v1::ControlResponse response;
  response.mutable_error();
  EXPECT_EQ(by_operator(response), "taken");
  response.mutable_error()->set_code(static_cast<v1::ControlError::Code>(99));
  EXPECT_EQ(by_operator(response), "taken");
  response.mutable_backends()->add_backends()->set_state(static_cast<v1::BackendInfo::State>(99));
  EXPECT_EQ(by_operator(response), "taken");
  v1::ControlEvent event;
  EXPECT_EQ(by_operator(event), "taken");
  event.set_kind(static_cast<v1::ControlEvent::Kind>(99));
  EXPECT_EQ(by_operator(event), "taken");
  auto& report = *response.mutable_report();
  report.set_state(static_cast<v1::BroadcastReport::State>(99));
  report.mutable_result()->mutable_operation()->mutable_quiesce()->set_reason(
      static_cast<v1::Quiesce::Reason>(99));
  report.mutable_result()->add_failures()->set_reason(static_cast<v1::Failure::Reason>(99));
  auto& outcome = *report.add_backends();
  outcome.set_outcome(static_cast<v1::BackendOutcome::Outcome>(99));
  outcome.set_reason(static_cast<v1::Failure::Reason>(99));
  outcome.set_cause(static_cast<v1::Statement::Cause>(99));
  EXPECT_EQ(by_operator(response), "taken");
}

TEST(WireStrictControl, AReportMustMakeSense) {
  v1::ControlResponse response;
  auto& report = *response.mutable_report();
  EXPECT_EQ(by_operator(response), "taken");  // its operation may be of a newer version
  report.mutable_result()->mutable_operation()->mutable_release_handles()->set_path_prefix("/");
  EXPECT_EQ(by_operator(response), "taken");

  auto& outcome = *report.add_backends();
  outcome.set_outcome(v1::BackendOutcome::FAILURE);
  EXPECT_EQ(by_operator(response), "a backend's outcome is a failure without a reason");
  outcome.set_reason(v1::Failure::REJECTED);
  EXPECT_EQ(by_operator(response), "taken");
  outcome.set_latency_ms(-1);
  EXPECT_EQ(by_operator(response), "latency_ms is -1.000000, which is no duration");
  outcome.set_latency_ms(std::numeric_limits<double>::quiet_NaN());
  EXPECT_NE(by_operator(response), "taken");
  outcome.set_latency_ms(std::numeric_limits<double>::infinity());
  EXPECT_NE(by_operator(response), "taken");
  outcome.set_latency_ms(1e300);
  EXPECT_NE(by_operator(response), "taken");
  outcome.clear_latency_ms();
  outcome.mutable_key()->set_instance("?");
  EXPECT_NE(by_operator(response), "taken");
  outcome.clear_key();
}

}  // namespace
}  // namespace muster::wire
