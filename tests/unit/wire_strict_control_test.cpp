// What a broker refuses of the control lane's requests, and with which sentence; and what it lets
// pass.
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
using test::said;

std::string by_control(const v1::Frame& frame) {
  ControlRequestFrame out;
  return said(ControlRequestDecoder().decode(frame.SerializeAsString(), out));
}
std::string by_control(v1::FrameKind kind, const v1::ControlRequest& request) {
  return by_control(frame_of(kControlLane, kind, request.SerializeAsString()));
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

TEST(WireStrictControl, APreflightIsOfOneOperation) {
  const auto start = [](const std::string& fields) {
    return "\x12" + std::string(1, static_cast<char>(fields.size())) + fields;
  };
  v1::StartBroadcast release;
  release.mutable_release_handles()->set_path_prefix("/a");
  v1::StartBroadcast preflight;
  preflight.mutable_preflight()->mutable_release_handles()->set_path_prefix("/a");
  v1::StartBroadcast other;
  other.mutable_preflight()->mutable_quiesce()->set_reason(v1::Quiesce::MAINTENANCE);
  const std::string one = preflight.SerializeAsString();
  EXPECT_EQ(by_control(start(one)), "taken");
  EXPECT_EQ(by_control(start(other.SerializeAsString())), "taken");
  // A real one beside it, or two that are asked about, in one message or in pieces.
  EXPECT_EQ(by_control(start(one + release.SerializeAsString())), kSetTwice);
  EXPECT_EQ(by_control(start(release.SerializeAsString() + one)), kSetTwice);
  EXPECT_EQ(by_control(start(one + other.SerializeAsString())), kSetTwice);
  EXPECT_EQ(by_control(start(one) + start(other.SerializeAsString())), kSetTwice);
  // Of nothing.
  v1::StartBroadcast nothing;
  nothing.mutable_preflight();
  EXPECT_EQ(by_control(start(nothing.SerializeAsString())),
            "the operation is missing or not known: it must be release_handles, quiesce or "
            "preflight");
  nothing.mutable_preflight()->mutable_quiesce();
  EXPECT_NE(by_control(start(nothing.SerializeAsString())), "taken") << "for no reason";
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
       "the operation is missing or not known: it must be release_handles, quiesce or preflight"},
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

}  // namespace
}  // namespace muster::wire
