// What the control lane refuses, and with which sentence; and what it lets pass.
#include <functional>
#include <limits>
#include <optional>
#include <string>

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
std::string by_operator(const v1::Frame& frame) {
  std::optional<ControlAnswerFrame> out;
  auto problem = ControlAnswerDecoder().decode(frame.SerializeAsString(), out);
  EXPECT_EQ(out.has_value(), problem.empty());
  return said(std::move(problem));
}

const std::string kSetTwice = "the payload sets two fields of which exactly one must be set";

std::string by_control(const std::string& payload) {
  return by_control(frame_of(kControlLane, kRequest, payload));
}

TEST(WireStrictControl, TwoRequestsInOneAreRefused) {
  v1::ControlRequest ping;
  ping.mutable_ping();
  v1::ControlRequest start;
  start.mutable_start_broadcast()->mutable_release_handles()->set_path_prefix("/a");
  v1::ControlRequest forget;
  forget.mutable_forget_backend()->mutable_key()->set_service_name("zccache");
  v1::ControlRequest list;
  list.mutable_list_holds();
  v1::ControlRequest end;
  end.mutable_end_hold()->set_hold_id(5);
  v1::ControlRequest keep;
  keep.mutable_keep_hold()->set_hold_id(5);
  const std::string one = start.SerializeAsString();
  EXPECT_EQ(by_control(one), "taken");
  for (const auto& other : {ping, start, forget, list, end, keep}) {
    EXPECT_EQ(by_control(other.SerializeAsString()), "taken");
    EXPECT_EQ(by_control(one + other.SerializeAsString()), kSetTwice);
    EXPECT_EQ(by_control(other.SerializeAsString() + one), kSetTwice);
  }
}

TEST(WireStrictControl, TwoOperationsInOneBroadcastAreRefused) {
  v1::StartBroadcast release;
  release.mutable_release_handles()->set_path_prefix("/a");
  v1::StartBroadcast quiesce;
  quiesce.mutable_quiesce()->set_reason(v1::Quiesce::MAINTENANCE);
  const auto start = [](const std::string& fields) {
    return "\x12" + std::string(1, static_cast<char>(fields.size())) + fields;
  };
  const std::string one = release.SerializeAsString();
  const std::string other = quiesce.SerializeAsString();
  EXPECT_EQ(by_control(start(one)), "taken");
  EXPECT_EQ(by_control(start(other)), "taken");
  EXPECT_EQ(by_control(start(one + other)), kSetTwice);
  EXPECT_EQ(by_control(start(other + one)), kSetTwice);
  EXPECT_EQ(by_control(start(one + one)), kSetTwice);
  // The same in two pieces, which Protobuf merges.
  EXPECT_EQ(by_control(start(one) + start(other)), kSetTwice);
}

BroadcastRequest broadcast_of(const std::string& payload) {
  ControlRequestFrame out;
  const std::string frame = frame_of(kControlLane, kRequest, payload).SerializeAsString();
  EXPECT_EQ(ControlRequestDecoder().decode(frame, out), "");
  return std::get<StartBroadcast>(out.message).request;
}

// They stand beside the operation, and are no second one.
TEST(WireStrictControl, ABroadcastMayBeVerifiedAndHeld) {
  v1::ControlRequest request;
  auto& start = *request.mutable_start_broadcast();
  start.mutable_release_handles()->set_path_prefix("/a");
  start.mutable_verify()->set_wait_ms(5);
  start.mutable_hold()->set_leased(true);
  const BroadcastRequest both = broadcast_of(request.SerializeAsString());
  EXPECT_TRUE(both.verify);
  EXPECT_EQ(both.verify_wait, std::chrono::milliseconds(5));
  EXPECT_EQ(both.hold, (HoldRequest{true, {}}));
  start.clear_verify();
  start.mutable_hold()->set_leased(false);
  const BroadcastRequest held = broadcast_of(request.SerializeAsString());
  EXPECT_FALSE(held.verify);
  EXPECT_EQ(held.hold, (HoldRequest{false, {}}));
  start.mutable_hold()->set_ttl_ms(0);
  EXPECT_EQ(broadcast_of(request.SerializeAsString()).hold,
            (HoldRequest{false, std::chrono::milliseconds(0)}))
      << "0 is not none";
  start.clear_hold();
  EXPECT_EQ(broadcast_of(request.SerializeAsString()).hold, std::nullopt);
}

// One message in two pieces, as Protobuf has it: the second adds to the first.
TEST(WireStrictControl, AVerificationAndAHoldInTwoPiecesAreOne) {
  v1::ControlRequest first;
  auto& start = *first.mutable_start_broadcast();
  start.mutable_release_handles()->set_path_prefix("/a");
  start.mutable_verify()->set_wait_ms(5);
  start.mutable_hold()->set_leased(true);
  v1::StartBroadcast rest;
  rest.mutable_verify()->set_mount_namespace(7);
  rest.mutable_hold()->set_ttl_ms(600);
  std::string fields = start.SerializeAsString() + rest.SerializeAsString();
  const BroadcastRequest both =
      broadcast_of("\x12" + std::string(1, static_cast<char>(fields.size())) + fields);
  EXPECT_TRUE(both.verify);
  EXPECT_EQ(both.verify_wait, std::chrono::milliseconds(5));
  EXPECT_EQ(both.mount_namespace, 7u);
  EXPECT_EQ(both.hold, (HoldRequest{true, std::chrono::milliseconds(600)}));
}

TEST(WireStrictControl, TwoQuestionsAboutPolicyInOneAreRefused) {
  v1::ControlRequest question;
  question.mutable_explain_policy()->mutable_registration()->set_service("zccache");
  EXPECT_EQ(by_control(question.SerializeAsString()), "taken");
  v1::ExplainPolicy other;
  other.mutable_control()->set_path("/a");
  const std::string fields =
      question.explain_policy().SerializeAsString() + other.SerializeAsString();
  EXPECT_EQ(by_control("\x52" + std::string(1, static_cast<char>(fields.size())) + fields),
            kSetTwice);
}

// --- the envelope

TEST(WireStrictControl, UnknownFieldsAreIgnored) {
  const std::string unknown = "\xaa\x06\x03new\xa0\x06\x01";  // fields 101 and 100
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

v1::Frame request_in(v1::FrameKind kind, const v1::ControlRequest& request) {
  return frame_of(kControlLane, kind, request.SerializeAsString());
}

v1::ControlRequest ping() {
  v1::ControlRequest request;
  request.mutable_ping();
  return request;
}

v1::Frame traced(std::size_t parent_bytes, std::size_t state_bytes) {
  v1::ControlRequest request;
  request.mutable_start_broadcast()->mutable_release_handles()->set_path_prefix("/");
  v1::Frame frame = request_in(kRequest, request);
  frame.set_traceparent(std::string(parent_bytes, 'x'));
  frame.set_tracestate(std::string(state_bytes, 'x'));
  return frame;
}

v1::Frame selecting(const std::string& field, int selectors) {
  v1::ControlRequest request;
  auto& term = *request.mutable_list_backends()->add_selection()->add_terms();
  term.set_field(field);
  term.set_glob("red");
  while (request.list_backends().selection_size() < selectors) {
    request.mutable_list_backends()->add_selection();
  }
  return request_in(kRequest, request);
}

v1::ControlRequest broadcast_without_operation() {
  v1::ControlRequest request;
  request.mutable_start_broadcast();
  return request;
}

TEST(WireStrictControl, EachRequestIsTakenOrRefusedWithItsSentence) {
  const struct {
    const char* name;
    v1::Frame frame;
    std::string said;
  } kRows[] = {
      {"the backends' lane", frame_of(0xFB01, kCancel, ""),
       "payload protocol 0xFB01 does not belong on this socket, which is for 0xFB02"},
      {"a cancel", frame_of(kControlLane, kCancel, ""), "taken"},
      {"a cancel with a payload", frame_of(kControlLane, kCancel, "x"),
       "a CANCEL frame must have no payload; this one's length is 1"},
      {"no operation", request_in(kRequest, broadcast_without_operation()),
       "the operation is missing or not known: it must be release_handles or quiesce"},
      {"a request", request_in(kRequest, ping()), "taken"},
      {"a request as an event", request_in(kEvent, ping()),
       "a request must come in a frame of kind REQUEST, not EVENT"},
      {"an empty request", request_in(kRequest, {}),
       "the payload is empty or has a request that this broker does not know"},
      {"the longest trace", traced(kMaxTraceBytes, kMaxTraceBytes), "taken"},
      {"a tracestate that is too long", traced(kMaxTraceBytes, kMaxTraceBytes + 1),
       "tracestate has 513 bytes; the most is 512"},
      {"a traceparent that is too long", traced(kMaxTraceBytes + 1, 0),
       "traceparent has 513 bytes; the most is 512"},
      {"a selector", selecting("service", 1), "taken"},
      {"the most selectors", selecting("service", 256), "taken"},
      {"one selector more", selecting("service", 257),
       "the selection has 257 selectors; the most is 256"},
  };
  for (const auto& row : kRows) EXPECT_EQ(by_control(row.frame), row.said) << row.name;
  EXPECT_NE(by_control(selecting("colour", 1)).find("names no field"), std::string::npos);
}

TEST(WireStrictControl, ALongRequestMayHaveLongFieldsButNotMany) {
  v1::ControlRequest request;
  request.mutable_ping();
  const std::string ping = request.SerializeAsString();
  const std::string one_field = "\xaa\x06\x80\x80\x40" + std::string(1 << 20, 'x');
  EXPECT_EQ(by_control(frame_of(kControlLane, kRequest, ping + one_field)), "taken");

  std::string many;
  for (int i = 0; i < 70'000; ++i) many.append("\xaa\x06\x00", 3);
  const std::string sentence = "the request is malformed or has more than 65536 fields";
  EXPECT_EQ(by_control(frame_of(kControlLane, kRequest, ping + many)), sentence);
  // Inside of a message, or of an unknown group.
  auto& start = *request.mutable_start_broadcast();
  start.mutable_release_handles()->set_path_prefix("/");
  for (int i = 0; i < 70'000; ++i) start.add_selection();
  EXPECT_EQ(by_control(kRequest, request), sentence);
  EXPECT_EQ(by_control(frame_of(kControlLane, kRequest, ping + "\xab\x06" + many + "\xac\x06")),
            sentence);
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

v1::ControlResponse failed_report(const std::function<void(v1::BackendOutcome&)>& change) {
  v1::ControlResponse response;
  auto& report = *response.mutable_report();
  report.mutable_result()->mutable_operation()->mutable_release_handles()->set_path_prefix("/");
  auto& outcome = *report.add_backends();
  outcome.set_outcome(v1::BackendOutcome::FAILURE);
  outcome.set_reason(v1::Failure::REJECTED);
  change(outcome);
  return response;
}

v1::ControlResponse report_after(double latency_ms) {
  return failed_report([&](v1::BackendOutcome& outcome) { outcome.set_latency_ms(latency_ms); });
}

template <class Message>
Message message_with(const std::function<void(Message&)>& change) {
  Message message;
  change(message);
  return message;
}

TEST(WireStrictControl, EachAnswerIsTakenOrRefusedWithItsSentence) {
  using Response = v1::ControlResponse;
  const auto framed = [](const Response& response) {
    return frame_of(kControlLane, kResponse, response.SerializeAsString());
  };
  const auto with = [&](const std::function<void(Response&)>& change) {
    return framed(message_with<Response>(change));
  };
  const auto event = [](int kind) {
    v1::ControlEvent message;
    message.set_kind(static_cast<v1::ControlEvent::Kind>(kind));
    return frame_of(kControlLane, kEvent, message.SerializeAsString());
  };
  const auto nothing = [](v1::BackendOutcome&) {};
  const struct {
    const char* name;
    v1::Frame frame;
    std::string said;
  } kRows[] = {
      {"an empty answer", framed({}),
       "the payload is empty or has a response that is not known here"},
      {"an answer as a request", frame_of(kControlLane, kRequest, ""),
       "an answer must come in a frame of kind RESPONSE or EVENT, not REQUEST"},
      {"an answer as a cancel", frame_of(kControlLane, kCancel, ""),
       "an answer must come in a frame of kind RESPONSE or EVENT, not CANCEL"},
      // What a newer broker has more of.
      {"an error without a code", with([](Response& r) { r.mutable_error(); }), "taken"},
      {"an error's code of later", with([](Response& r) {
         r.mutable_error()->set_code(static_cast<v1::ControlError::Code>(99));
       }),
       "taken"},
      {"a backend's state of later", with([](Response& r) {
         r.mutable_backends()->add_backends()->set_state(static_cast<v1::BackendInfo::State>(99));
       }),
       "taken"},
      {"an event without a kind", event(0), "taken"},
      {"an event's kind of later", event(99), "taken"},
      {"a report without an operation", with([](Response& r) { r.mutable_report(); }), "taken"},
      {"a report's enumerations of later", with([](Response& r) {
         auto& report = *r.mutable_report();
         report.set_state(static_cast<v1::BroadcastReport::State>(99));
         report.mutable_result()->mutable_operation()->mutable_quiesce()->set_reason(
             static_cast<v1::Quiesce::Reason>(99));
         report.mutable_result()->add_failures()->set_reason(static_cast<v1::Failure::Reason>(99));
         auto& outcome = *report.add_backends();
         outcome.set_outcome(static_cast<v1::BackendOutcome::Outcome>(99));
         outcome.set_reason(static_cast<v1::Failure::Reason>(99));
         outcome.set_cause(static_cast<v1::Statement::Cause>(99));
       }),
       "taken"},
      // What makes no sense.
      {"a failure with a reason", framed(failed_report(nothing)), "taken"},
      {"a failure without a reason",
       framed(failed_report([](v1::BackendOutcome& outcome) { outcome.clear_reason(); })),
       "a backend's outcome is a failure without a reason"},
      {"a latency below zero", framed(report_after(-1)),
       "latency_ms is -1.000000, which is no duration"},
      {"a latency that is no number",
       framed(report_after(std::numeric_limits<double>::quiet_NaN())),
       "latency_ms is nan, which is no duration"},
      {"a latency without end", framed(report_after(std::numeric_limits<double>::infinity())),
       "latency_ms is inf, which is no duration"},
      {"an instance that cannot be read", framed(failed_report([](v1::BackendOutcome& outcome) {
         outcome.mutable_key()->set_instance("?");
       })),
       R"(the instance "?" is none of "shared", "private:<service>" and "explicit:<name>")"},
  };
  for (const auto& row : kRows) EXPECT_EQ(by_operator(row.frame), row.said) << row.name;
  EXPECT_NE(by_operator(framed(report_after(1e300))), "taken");
}

template <class Answer>
Answer answered(const v1::ControlResponse& response) {
  std::optional<ControlAnswerFrame> out;
  const auto frame = frame_of(kControlLane, kResponse, response.SerializeAsString());
  EXPECT_EQ(ControlAnswerDecoder().decode(frame.SerializeAsString(), out), "");
  return std::get<Answer>(std::get<ControlResponse>(out->message));
}

TEST(WireStrictControl, AReportWithoutThemHasNoVerificationAndNoHold) {
  v1::ControlResponse response;
  response.mutable_report()->set_broadcast_id(5);
  const auto report = answered<BroadcastReport>(response);
  EXPECT_FALSE(report.verify);
  EXPECT_EQ(report.verification, std::nullopt);
  EXPECT_EQ(report.hold, std::nullopt);
}

TEST(WireStrictControl, AVerificationThatSaysNothingIsNoYes) {
  v1::ControlResponse response;
  response.mutable_report()->set_verify(true);
  response.mutable_report()->mutable_verification();
  response.mutable_report()->mutable_hold();
  const auto report = answered<BroadcastReport>(response);
  EXPECT_EQ(report.verification->scan.verdict, HolderVerdict::kUnknown);
  EXPECT_EQ(report.hold->last_verdict, HolderVerdict::kUnknown);
  EXPECT_EQ(report.hold->ended, std::nullopt);
}

TEST(WireStrictControl, AVerificationThatContradictsItselfIsRefused) {
  v1::ControlResponse response;
  v1::HolderScan& scan = *response.mutable_report()->mutable_verification()->mutable_scan();
  scan.set_verdict(v1::HolderScan::CLEAR);
  const auto by_whoever_asked = [&] {
    return by_operator(frame_of(kControlLane, kResponse, response.SerializeAsString()));
  };
  EXPECT_EQ(by_whoever_asked(), "taken");
  scan.add_holders();
  EXPECT_EQ(by_whoever_asked(),
            "a scan says that the path is clear, and also who holds it or what was not seen");
}

TEST(WireStrictControl, WhatANewerBrokerSaysOfAHoldIsNeitherClearNorGoingOn) {
  v1::ControlResponse response;
  v1::HoldState& hold = *response.mutable_hold()->mutable_state();
  hold.set_ended(static_cast<v1::HoldEnded::Why>(99));
  hold.set_last_verdict(static_cast<v1::HolderScan::Verdict>(99));
  const auto info = answered<HoldInfo>(response);
  EXPECT_EQ(info.state.ended, HoldEnd::kExpired);
  EXPECT_EQ(info.state.last_verdict, HolderVerdict::kUnknown);
  EXPECT_TRUE(info.operation.is_unknown());
}

TEST(WireStrictControl, ATimeWithoutEndIsCut) {
  v1::ControlResponse response;
  response.mutable_report()->mutable_verification()->set_took_us(~std::uint64_t{0});
  EXPECT_GT(answered<BroadcastReport>(response).verification->took.count(), 0);
}

}  // namespace
}  // namespace muster::wire
