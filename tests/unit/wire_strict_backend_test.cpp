// What the backend lane refuses, and with which sentence; and what it lets pass.
#include <functional>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "muster/v1/lifecycle.pb.h"

#include "support/wire_frames.h"
#include "wire/backend_lane.h"
#include "wire/framing.h"

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
std::string by_broker(v1::FrameKind kind, const std::string& payload) {
  return by_broker(frame_of(kBackendLane, kind, payload));
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

v1::BackendMessage failure(std::size_t detail_bytes, int reason = v1::Failure::REJECTED) {
  v1::BackendMessage message;
  message.mutable_failure()->set_reason(static_cast<v1::Failure::Reason>(reason));
  message.mutable_failure()->set_detail(std::string(detail_bytes, 'x'));
  return message;
}

v1::BackendMessage working(std::size_t note_bytes, std::uint32_t percent) {
  v1::BackendMessage message;
  message.mutable_working()->set_note(std::string(note_bytes, 'x'));
  message.mutable_working()->set_percent(percent);
  return message;
}

v1::BackendMessage register_as(const std::string& instance) {
  v1::BackendMessage message = good_register();
  message.mutable_register_backend()->mutable_key()->set_instance(instance);
  return message;
}

v1::BackendMessage register_without_key() {
  v1::BackendMessage message;
  message.mutable_register_backend();
  return message;
}

// Each good message of a backend with the kind that it must have.
std::vector<std::pair<v1::BackendMessage, v1::FrameKind>> messages_of_a_backend() {
  v1::BackendMessage activity;
  activity.mutable_activity();
  v1::BackendMessage deregister;
  deregister.mutable_deregister();
  return {{good_register(), kRequest}, {ack(), kResponse}, {failure(1), kResponse},
          {working(1, 1), kResponse},  {activity, kEvent}, {deregister, kRequest}};
}

// An Ack in an envelope that is good but for what `change` does to it.
v1::Frame ack_in(const std::function<void(v1::Frame&)>& change) {
  v1::Frame frame = frame_of(kBackendLane, kResponse, ack().SerializeAsString());
  change(frame);
  return frame;
}
v1::Frame frame_in(v1::FrameKind kind, const v1::BackendMessage& message) {
  return frame_of(kBackendLane, kind, message.SerializeAsString());
}

TEST(WireStrictBackend, EachFrameIsTakenOrRefusedWithItsSentence) {
  const auto version = [](std::uint32_t number) {
    return ack_in([number](v1::Frame& frame) { frame.set_envelope_version(number); });
  };
  const auto lane = [](std::uint32_t number) {
    return ack_in([number](v1::Frame& frame) { frame.set_payload_protocol(number); });
  };
  const auto encoding = [](int number) {
    return ack_in([number](v1::Frame& frame) {
      frame.set_payload_encoding(static_cast<v1::PayloadEncoding>(number));
    });
  };
  const auto kind = [](int number) {
    return ack_in(
        [number](v1::Frame& frame) { frame.set_kind(static_cast<v1::FrameKind>(number)); });
  };
  const std::string no_parse =
      "the payload is not a muster.v1.BackendMessage: it is cut off, malformed, or has text that "
      "is not UTF-8";
  const std::string not_known =
      "the payload is empty or has a message that this broker does not know";
  const struct {
    const char* name;
    v1::Frame frame;
    std::string said;
  } kRows[] = {
      {"envelope version 1", version(1), "taken"},
      {"envelope version 2", version(2), "envelope version 2 is not known: it must be 1"},
      {"no envelope version", version(0), "envelope version 0 is not known: it must be 1"},
      {"an empty frame", v1::Frame(), "envelope version 0 is not known: it must be 1"},
      {"the operators' lane", lane(0xFB02),
       "payload protocol 0xFB02 does not belong on this socket, which is for 0xFB01"},
      {"the operators' lane, a cancel", frame_of(0xFB02, kCancel, ""),
       "payload protocol 0xFB02 does not belong on this socket, which is for 0xFB01"},
      {"no lane", lane(0),
       "payload protocol 0x0 does not belong on this socket, which is for 0xFB01"},
      {"encoding 1", encoding(1), "payload encoding 1 is not supported: it must be NONE, 0"},
      {"encoding 2", encoding(2), "payload encoding 2 is not supported: it must be NONE, 0"},
      {"encoding 3", encoding(3), "payload encoding 3 is not supported: it must be NONE, 0"},
      {"encoding 4", encoding(4), "payload encoding 4 is not supported: it must be NONE, 0"},
      {"encoding -1", encoding(-1), "payload encoding -1 is not supported: it must be NONE, 0"},
      {"kind 4", kind(4), "frame kind 4 is not known"},
      {"kind 99", kind(99), "frame kind 99 is not known"},
      {"kind -1", kind(-1), "frame kind -1 is not known"},
      {"a cancel", frame_of(kBackendLane, kCancel, ""), "taken"},
      {"a cancel with a payload", frame_in(kCancel, ack()),
       "a CANCEL frame must have no payload; this one's length is 2"},
      {"an event as an answer", frame_in(kEvent, ack()),
       "Ack must come in a frame of kind RESPONSE, not EVENT"},
      {"an answer as a request", frame_in(kResponse, good_register()),
       "Register must come in a frame of kind REQUEST, not RESPONSE"},
      {"an empty payload", frame_of(kBackendLane, kRequest, ""), not_known},
      {"a message that is not known", frame_of(kBackendLane, kRequest, "\x3a\x01x"), not_known},
      {"a message that is cut off", frame_of(kBackendLane, kRequest, "\x0a\x05"), no_parse},
      {"a text that is not UTF-8", frame_of(kBackendLane, kResponse, "\x1a\x03\x12\x01\xff"),
       no_parse},
      {"a failure with reason 0", frame_in(kResponse, failure(0, 0)),
       "a failure's reason is 0, which is not one of those that are known"},
      {"a failure with reason 4", frame_in(kResponse, failure(0, 4)),
       "a failure's reason is 4, which is not one of those that are known"},
      {"the longest detail", frame_in(kResponse, failure(kMaxDetailBytes)), "taken"},
      {"a detail that is too long", frame_in(kResponse, failure(kMaxDetailBytes + 1)),
       "a failure's detail has 1025 bytes; the most is 1024"},
      {"the longest note", frame_in(kResponse, working(kMaxNoteBytes, 0)), "taken"},
      {"a note that is too long", frame_in(kResponse, working(kMaxNoteBytes + 1, 0)),
       "a Working's note has 1025 bytes; the most is 1024"},
      {"100 percent", frame_in(kResponse, working(0, 100)), "taken"},
      {"101 percent", frame_in(kResponse, working(0, 101)),
       "a Working's percent is 101; the most is 100"},
      {"a Register", frame_in(kRequest, good_register()), "taken"},
      {"a Register without a key", frame_in(kRequest, register_without_key()),
       "Register has no key: it must say which backend this is"},
      {"an instance of no kind", frame_in(kRequest, register_as("mine\n")),
       R"(the instance "mine\x0a" is none of "shared", "private:<service>" and )"
       R"("explicit:<name>")"},
  };
  for (const auto& row : kRows) EXPECT_EQ(by_broker(row.frame), row.said) << row.name;
}

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) all += part;
  return all;
}

const std::string kBothFieldsSet = "the payload sets two fields of which exactly one must be set";

// Two members of a oneof: Protobuf keeps the last, and somebody else may read the first.
TEST(WireStrictBackend, TwoMessagesInOneAreRefusedWhateverTheyAreAndInWhateverOrder) {
  for (const auto& [first, first_kind] : messages_of_a_backend()) {
    for (const auto& [last, last_kind] : messages_of_a_backend()) {
      const std::string both = first.SerializeAsString() + last.SerializeAsString();
      EXPECT_EQ(by_broker(last_kind, both), kBothFieldsSet)
          << first.message_case() << ' ' << last.message_case();
      EXPECT_EQ(by_broker(first_kind, both), kBothFieldsSet);
      EXPECT_EQ(by_broker(last_kind, last.SerializeAsString()), "taken");
    }
  }
}

TEST(WireStrictBackend, AMessageBesideUnknownFieldsIsOneMessage) {
  const std::string one = ack().SerializeAsString();
  for (const std::string& unknown :
       {std::string("\x7a\x03new"), std::string("\xa0\x06\x01"), std::string("\x7b\x7c")}) {
    EXPECT_EQ(by_broker(kResponse, joined({unknown, one})), "taken");
    EXPECT_EQ(by_broker(kResponse, joined({one, unknown})), "taken");
    EXPECT_EQ(by_broker(kResponse, joined({one, unknown, one})), kBothFieldsSet);
    EXPECT_EQ(by_broker(kResponse, joined({unknown, one, one})), kBothFieldsSet);
  }
  // Field 3, a failure, as a number: nothing that Protobuf takes for one.
  EXPECT_EQ(by_broker(kResponse, one + "\x18\x01"), "taken");
}

TEST(WireStrictBackend, AFrameWithTwoPayloadsIsRefused) {
  const std::string frame =
      frame_of(kBackendLane, kResponse, ack().SerializeAsString()).SerializeAsString();
  v1::BackendMessage other;
  other.mutable_failure()->set_reason(v1::Failure::REJECTED);
  const std::string payload = other.SerializeAsString();
  std::string second = "\x22";
  second += static_cast<char>(payload.size());
  second += payload;
  // Read by hand, and by Protobuf because of a text that is not ASCII.
  for (const std::string& rest : {std::string(), std::string("\x4a\x02\xc3\xa9")}) {
    BackendFrame out;
    BackendFrameDecoder decoder;
    EXPECT_EQ(said(decoder.decode(frame + rest, out)), "taken");
    for (const std::string& both : {joined({frame, second, rest}), joined({second, frame, rest})}) {
      EXPECT_EQ(said(decoder.decode(both, out)),
                "the frame has two payloads: it must have at most one");
    }
  }
}

TEST(WireStrictBackend, ASentenceStaysShortWhateverItIsAbout) {
  EXPECT_LT(by_broker(kRequest, register_as(std::string(60'000, 'x'))).size(), 300u);
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
  // A preflight of nothing that is known.
  message.mutable_operation()->mutable_preflight();
  EXPECT_TRUE(is_unknown(message));
  message.mutable_operation()->mutable_preflight()->mutable_quiesce();
  EXPECT_TRUE(is_unknown(message));
  ASSERT_TRUE(message.mutable_operation()->mutable_preflight()->ParseFromString(
      std::string("\xA2\x06\x00", 3)));  // field 100
  EXPECT_TRUE(is_unknown(message));
  // A whole message of tomorrow that asks for an answer.
  v1::BrokerMessage tomorrow;
  ASSERT_TRUE(tomorrow.ParseFromString(std::string("\xA2\x06\x00", 3)));  // field 100
  EXPECT_TRUE(is_unknown(tomorrow));
}

// What an SDK sees that was built before there were preflights: no operation that it knows, which
// it answers as unsupported. It must never see the release that is asked about.
TEST(WireStrictBackend, APreflightHasNoReleaseForAnOlderSdk) {
  OutgoingOperation sent;
  sent.broadcast_id = 7;
  for (const auto& operation : {BroadcastOperation::preflight(ReleaseHandles{"/a", "/b"}),
                                BroadcastOperation::preflight(Quiesce{})}) {
    sent.operation = operation;
    const std::string bytes = encode(sent);
    v1::Frame frame;
    ASSERT_TRUE(frame.ParseFromString(bytes.substr(kHeaderBytes)));
    v1::BrokerMessage message;
    ASSERT_TRUE(message.ParseFromString(frame.payload()));
    EXPECT_FALSE(message.operation().has_release_handles());
    EXPECT_FALSE(message.operation().has_quiesce());
    EXPECT_TRUE(message.operation().has_preflight());
    EXPECT_FALSE(message.operation().has_hold_id());
  }
}

// It promises nothing, so there is nothing to hold.
TEST(WireStrictBackend, APreflightHasNoHoldWhateverIsSent) {
  v1::BrokerMessage message;
  auto& operation = *message.mutable_operation();
  operation.mutable_preflight()->mutable_release_handles()->set_path_prefix("/a");
  operation.set_ack_timeout_ms(250);
  operation.set_hold_id(7);
  operation.set_hold_expires_unix_ms(9);
  BrokerFrame frame;
  const auto sent = frame_of(kBackendLane, kRequest, message.SerializeAsString());
  EXPECT_EQ(BrokerFrameDecoder().decode(sent.SerializeAsString(), frame), "");
  const auto* read = std::get_if<OutgoingOperation>(&frame.message);
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(read->operation, BroadcastOperation::preflight(ReleaseHandles{"/a", {}}));
  EXPECT_EQ(read->ack_timeout, std::chrono::milliseconds(250));
  EXPECT_EQ(read->hold_id, std::nullopt);
  EXPECT_EQ(read->hold_expires_unix_ms, 0u);
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
