// What an operator refuses of a broker's answers, and with which sentence; and what it lets pass.
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <variant>

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

std::string by_operator(const v1::Frame& frame) {
  std::optional<ControlAnswerFrame> out;
  auto problem = ControlAnswerDecoder().decode(frame.SerializeAsString(), out);
  EXPECT_EQ(out.has_value(), problem.empty());
  return said(std::move(problem));
}

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
