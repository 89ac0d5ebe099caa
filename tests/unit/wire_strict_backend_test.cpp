// What the backend lane refuses, and with which sentence; and what it lets pass.
#include <set>

#include <gtest/gtest.h>

#include "muster/v1/lifecycle.pb.h"

#include "support/wire_frames.h"
#include "wire/backend_lane.h"

namespace muster::wire {
namespace {

using test::frame_of;
using test::kCancel;
using test::kEvent;
using test::kRequest;
using test::kResponse;
using test::said;

std::string by_broker(const v1::Frame& frame) {
  BackendFrame out;
  return said(BackendFrameDecoder().decode(frame.SerializeAsString(), out));
}
std::string by_broker(v1::FrameKind kind, const v1::BackendMessage& message) {
  return by_broker(frame_of(kBackendLane, kind, message.SerializeAsString()));
}
std::string by_backend(v1::FrameKind kind, const v1::BrokerMessage& message) {
  BrokerFrame out;
  const auto frame = frame_of(kBackendLane, kind, message.SerializeAsString());
  return said(BrokerFrameDecoder().decode(frame.SerializeAsString(), out));
}

v1::BackendMessage ack() {
  v1::BackendMessage message;
  message.mutable_ack();
  return message;
}

v1::BackendMessage good_register() {
  v1::BackendMessage message;
  message.mutable_register_backend()->mutable_key()->set_service_name("zccache");
  return message;
}

// Each good message of a backend with the kind that it must have.
std::vector<std::pair<v1::BackendMessage, v1::FrameKind>> messages_of_a_backend() {
  v1::BackendMessage failure;
  failure.mutable_failure()->set_reason(v1::Failure::REJECTED);
  v1::BackendMessage working;
  working.mutable_working();
  v1::BackendMessage activity;
  activity.mutable_activity();
  v1::BackendMessage deregister;
  deregister.mutable_deregister();
  return {{good_register(), kRequest}, {ack(), kResponse}, {failure, kResponse},
          {working, kResponse},        {activity, kEvent}, {deregister, kRequest}};
}

// --- the envelope

TEST(WireStrictBackend, AnotherEnvelopeVersionIsRefused) {
  auto frame = frame_of(kBackendLane, kResponse, ack().SerializeAsString());
  EXPECT_EQ(by_broker(frame), "taken");
  frame.set_envelope_version(2);
  EXPECT_EQ(by_broker(frame), "envelope version 2 is not known: it must be 1");
  frame.clear_envelope_version();
  EXPECT_EQ(by_broker(frame), "envelope version 0 is not known: it must be 1");
  EXPECT_EQ(by_broker(v1::Frame()), "envelope version 0 is not known: it must be 1");
}

TEST(WireStrictBackend, AnotherLaneIsRefused) {
  const std::string on_backend =
      "payload protocol 0xFB02 does not belong on this socket, which is for 0xFB01";
  EXPECT_EQ(by_broker(frame_of(0xFB02, kResponse, ack().SerializeAsString())), on_backend);
  EXPECT_EQ(by_broker(frame_of(0xFB02, kCancel, "")), on_backend);
  EXPECT_EQ(by_broker(frame_of(0, kResponse, ack().SerializeAsString())),
            "payload protocol 0x0 does not belong on this socket, which is for 0xFB01");
}

TEST(WireStrictBackend, EveryEncodingButNoneIsRefused) {
  auto frame = frame_of(kBackendLane, kResponse, ack().SerializeAsString());
  for (const int encoding : {1, 2, 3, 4, -1}) {
    frame.set_payload_encoding(static_cast<v1::PayloadEncoding>(encoding));
    EXPECT_EQ(by_broker(frame), "payload encoding " + std::to_string(encoding) +
                                    " is not supported: it must be NONE, 0");
  }
}

TEST(WireStrictBackend, AnUnknownKindIsRefused) {
  for (const int kind : {4, 99, -1}) {
    EXPECT_EQ(by_broker(static_cast<v1::FrameKind>(kind), ack()),
              "frame kind " + std::to_string(kind) + " is not known");
  }
}

TEST(WireStrictBackend, ACancelWithAPayloadIsRefused) {
  EXPECT_EQ(by_broker(frame_of(kBackendLane, kCancel, "")), "taken");
  EXPECT_EQ(by_broker(kCancel, ack()),
            "a CANCEL frame must have no payload; this one's length is 2");
}

TEST(WireStrictBackend, ABodyThatIsNoFrameIsRefused) {
  BackendFrame out;
  for (const std::string_view body :
       {"\x08", "\x22\x05x", "\xff\xff\xff\xff\xff\xff", "\x42\x01\xff"}) {
    EXPECT_EQ(BackendFrameDecoder().decode(body, out),
              "the body is not a Frame: it is cut off or malformed");
  }
  EXPECT_EQ(BackendFrameDecoder().decode("", out), "envelope version 0 is not known: it must be 1");
}

TEST(WireStrictBackend, UnknownFieldsAreIgnored) {
  const std::string unknown = "\x7a\x03new\xa0\x06\x01";  // fields 15 and 100
  const auto padded = [&](const auto& message) { return message.SerializeAsString() + unknown; };
  v1::BackendMessage message;
  message.mutable_ack()->ParseFromString(unknown);
  const auto frame = frame_of(kBackendLane, kResponse, padded(message));
  BackendFrame out;
  EXPECT_EQ(BackendFrameDecoder().decode(padded(frame), out), "");
  EXPECT_EQ(out.request_id, 300u);
  EXPECT_TRUE(std::holds_alternative<Ack>(out.message));
}

// --- what a backend sends

TEST(WireStrictBackend, EveryMessageOfABackendHasItsKind) {
  for (const auto& [message, wanted] : messages_of_a_backend()) {
    EXPECT_EQ(by_broker(wanted, message), "taken")
        << testing::PrintToString(message.SerializeAsString());
    for (const auto kind : {kRequest, kResponse, kEvent}) {
      if (kind == wanted) continue;
      EXPECT_NE(by_broker(kind, message).find(" must come in a frame of kind "), std::string::npos)
          << testing::PrintToString(message.SerializeAsString());
    }
  }
  EXPECT_EQ(by_broker(kEvent, ack()), "Ack must come in a frame of kind RESPONSE, not EVENT");
  EXPECT_EQ(by_broker(kResponse, good_register()),
            "Register must come in a frame of kind REQUEST, not RESPONSE");
}

TEST(WireStrictBackend, AnEmptyOrUnknownMessageOfABackendIsRefused) {
  const std::string sentence =
      "the payload is empty or has a message that this broker does not know";
  EXPECT_EQ(by_broker(frame_of(kBackendLane, kRequest, "")), sentence);
  EXPECT_EQ(by_broker(frame_of(kBackendLane, kRequest, "\x3a\x01x")), sentence);
}

TEST(WireStrictBackend, APayloadThatDoesNotParseIsRefused) {
  const std::string sentence =
      "the payload is not a muster.v1.BackendMessage: it is cut off, malformed, or has text that "
      "is not UTF-8";
  EXPECT_EQ(by_broker(frame_of(kBackendLane, kRequest, "\x0a\x05")), sentence);
  EXPECT_EQ(by_broker(frame_of(kBackendLane, kResponse, "\x1a\x03\x12\x01\xff")), sentence);
}

TEST(WireStrictBackend, AFailureWithoutAKnownReasonIsRefused) {
  v1::BackendMessage message;
  message.mutable_failure();
  EXPECT_EQ(by_broker(kResponse, message),
            "a failure's reason is 0, which is not one of those that are known");
  message.mutable_failure()->set_reason(static_cast<v1::Failure::Reason>(4));
  EXPECT_EQ(by_broker(kResponse, message),
            "a failure's reason is 4, which is not one of those that are known");
}

TEST(WireStrictBackend, DetailsAndNotesOverTheirLimitsAreRefused) {
  v1::BackendMessage message;
  message.mutable_failure()->set_reason(v1::Failure::REJECTED);
  message.mutable_failure()->set_detail(std::string(kMaxDetailBytes, 'x'));
  EXPECT_EQ(by_broker(kResponse, message), "taken");
  message.mutable_failure()->mutable_detail()->push_back('x');
  EXPECT_EQ(by_broker(kResponse, message), "a failure's detail has 1025 bytes; the most is 1024");

  message.mutable_working()->set_note(std::string(kMaxNoteBytes, 'x'));
  EXPECT_EQ(by_broker(kResponse, message), "taken");
  message.mutable_working()->mutable_note()->push_back('x');
  EXPECT_EQ(by_broker(kResponse, message), "a Working's note has 1025 bytes; the most is 1024");
}

TEST(WireStrictBackend, APercentOverOneHundredIsRefused) {
  v1::BackendMessage message;
  message.mutable_working()->set_percent(100);
  EXPECT_EQ(by_broker(kResponse, message), "taken");
  message.mutable_working()->set_percent(101);
  EXPECT_EQ(by_broker(kResponse, message), "a Working's percent is 101; the most is 100");
}

TEST(WireStrictBackend, ARegisterNeedsAKeyWithAnInstanceThatCanBeRead) {
  v1::BackendMessage message;
  message.mutable_register_backend();
  EXPECT_EQ(by_broker(kRequest, message), "Register has no key: it must say which backend this is");
  message = good_register();
  EXPECT_EQ(by_broker(kRequest, message), "taken");
  auto& instance = *message.mutable_register_backend()->mutable_key()->mutable_instance();
  instance = "mine\n";
  EXPECT_EQ(by_broker(kRequest, message),
            R"(the instance "mine\x0a" is none of "shared", "private:<service>" and )"
            R"("explicit:<name>")");
  instance = std::string(60'000, 'x');
  EXPECT_LT(by_broker(kRequest, message).size(), 300u);
}

// --- what a broker sends to a backend

TEST(WireStrictBackend, EveryMessageOfTheBrokerHasItsKind) {
  v1::BrokerMessage registered;
  registered.mutable_registered();
  v1::BrokerMessage refused;
  refused.mutable_refused()->set_code(v1::Refused::QUOTA);
  v1::BrokerMessage operation;
  operation.mutable_operation()->mutable_release_handles();
  v1::BrokerMessage ended;
  ended.mutable_hold_ended()->set_why(v1::HoldEnded::COMPLETED);
  v1::BrokerMessage deregistered;
  deregistered.mutable_deregistered();
  const std::vector<std::pair<v1::BrokerMessage, std::set<v1::FrameKind>>> rules = {
      {registered, {kResponse}},
      {refused, {kResponse, kEvent}},
      {operation, {kRequest}},
      {ended, {kEvent}},
      {deregistered, {kResponse}}};
  for (const auto& [message, kinds] : rules) {
    for (const auto kind : {kRequest, kResponse, kEvent}) {
      const auto answer = by_backend(kind, message);
      EXPECT_EQ(answer == "taken", kinds.contains(kind))
          << testing::PrintToString(message.SerializeAsString()) << answer;
    }
  }
}

// What a newer broker asks is the SDK's to answer as unsupported: it ends no connection.
TEST(WireStrictBackend, AnOperationThatIsNotKnownIsTakenAsUnknown) {
  const auto is_unknown = [](const v1::BrokerMessage& message) {
    BrokerFrame frame;
    auto sent = frame_of(kBackendLane, kRequest, message.SerializeAsString());
    sent.set_request_id(7);
    EXPECT_EQ(BrokerFrameDecoder().decode(sent.SerializeAsString(), frame), "");
    const auto* operation = std::get_if<OutgoingOperation>(&frame.message);
    return operation != nullptr && operation->operation.is_unknown() &&
           operation->broadcast_id == 7 && frame.request_id == 7;
  };
  v1::BrokerMessage message;
  message.mutable_operation();
  EXPECT_TRUE(is_unknown(message));
  message.mutable_operation()->mutable_quiesce();
  EXPECT_TRUE(is_unknown(message));
  message.mutable_operation()->mutable_quiesce()->set_reason(static_cast<v1::Quiesce::Reason>(9));
  EXPECT_TRUE(is_unknown(message));
  // A whole message of tomorrow that asks for an answer.
  v1::BrokerMessage tomorrow;
  ASSERT_TRUE(tomorrow.ParseFromString(std::string("\xA2\x06\x00", 3)));  // field 100
  EXPECT_TRUE(is_unknown(tomorrow));
}

TEST(WireStrictBackend, WhatANewerBrokerTellsIsTaken) {
  v1::BrokerMessage tomorrow;
  ASSERT_TRUE(tomorrow.ParseFromString(std::string("\xA2\x06\x00", 3)));
  EXPECT_EQ(by_backend(kEvent, tomorrow), "taken");
  EXPECT_EQ(by_backend(kResponse, tomorrow), "taken");
  EXPECT_EQ(by_backend(kEvent, v1::BrokerMessage()), "the payload is empty");
}

TEST(WireStrictBackend, CodesOfANewerBrokerAreTaken) {
  v1::BrokerMessage message;
  message.mutable_refused();
  EXPECT_EQ(by_backend(kResponse, message), "taken");
  message.mutable_hold_ended()->set_why(static_cast<v1::HoldEnded::Why>(99));
  EXPECT_EQ(by_backend(kEvent, message), "taken");
}

}  // namespace
}  // namespace muster::wire
