// Text that is not fit for a Protobuf string, or too long, on its way out.
#include <gtest/gtest.h>

#include "muster/v1/envelope.pb.h"

#include "model/characters.h"
#include "support/wire_random.h"
#include "wire/backend_lane.h"
#include "wire/control_lane.h"
#include "wire/framing.h"
#include "wire/protobuf.h"
#include "wire/values.h"

namespace muster::wire {
namespace {

Failure through_the_wire(const Failure& failure) {
  const std::string frame = encode(1, failure);
  BackendFrame out;
  EXPECT_EQ(BackendFrameDecoder().decode(std::string_view(frame).substr(kHeaderBytes), out), "");
  return std::get<Failure>(out.message);
}

TEST(WireText, WhatWeTakeForUtf8IsWhatProtobufTakesForIt) {
  const auto seed = test::random_seed();
  SCOPED_TRACE("MUSTER_TEST_SEED=" + std::to_string(seed));
  test::WireRandom random(seed);
  int good = 0;
  for (int i = 0; i < 20'000 && !HasFailure(); ++i) {
    std::string text = random.text(12);
    if (random.chance()) text += random.bytes(4);
    v1::Frame frame;
    const std::string body =
        std::string("\x42") + static_cast<char>(text.size()) + text;  // traceparent
    const bool taken = parse(frame, body);
    EXPECT_EQ(utf8::is_valid(text), taken) << testing::PrintToString(text);
    if (taken) ++good;
    EXPECT_TRUE(utf8::is_valid(to_utf8(text, random.up_to(20))));
  }
  EXPECT_GT(good, 2'000);
  EXPECT_LT(good, 18'000);
}

TEST(WireText, BytesThatAreNotUtf8AreReplacedAndTheRestStays) {
  EXPECT_EQ(to_utf8("a\xFFz\xC3"), "a\uFFFDz\uFFFD");
  EXPECT_EQ(to_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD") << "a surrogate";
  EXPECT_EQ(to_utf8("\u00e9\U0001f600"), "\u00e9\U0001f600");
}

TEST(WireText, WhatIsTooLongIsCutAtACharactersBeginning) {
  EXPECT_EQ(to_utf8("ab\u20ac", 5), "ab\u20ac");
  EXPECT_EQ(to_utf8("ab\u20ac", 4), "ab");
  EXPECT_EQ(to_utf8("abc", 0), "");
}

TEST(WireText, AFailureOverTheLimitIsCutNotLost) {
  Failure sent;
  sent.detail.assign(1023, 'x').append("\u20ac tail");
  EXPECT_EQ(through_the_wire(sent).detail, std::string(1023, 'x'));
}

TEST(WireText, AFailureThatIsNotUtf8ArrivesWithReplacements) {
  // 600 bad bytes become 1,800; cut to whole characters within 1,024.
  const Failure sent{BroadcastFailureReason::kBackendError, std::string(600, '\xFF')};
  const Failure got = through_the_wire(sent);
  EXPECT_EQ(got.detail.size(), 1023u);
  EXPECT_EQ(got.detail.substr(0, 3), "\uFFFD");
}

TEST(WireText, PathsAreBytesAndStayWhatTheyAre) {
  OutgoingOperation sent;
  sent.operation = BroadcastOperation::release_handles("/\xFF\xC3/\n\\x");
  const std::string frame = encode(sent);
  BrokerFrame out;
  ASSERT_EQ(BrokerFrameDecoder().decode(std::string_view(frame).substr(kHeaderBytes), out), "");
  EXPECT_EQ(std::get<OutgoingOperation>(out.message).operation, sent.operation);
}

TEST(WireText, EveryFreeTextOfAnAnswerMayHoldAnyBytes) {
  const std::string bad = "\xFF\xC3(";
  const BackendKey key{Instance::private_to(bad), bad, bad, bad};
  BackendOutcome outcome;
  outcome.key = key;
  outcome.detail = outcome.note = bad;
  BroadcastReport report(BroadcastOperation::release_handles(bad));
  report.backends = {outcome};
  report.late_acks = {{key, {}, {}, bad}};
  report.operation_key = bad;
  BackendInfo info;
  info.key = key;
  info.labels = {{bad, bad}};
  info.sdk_name = info.sdk_version = info.gone_because = bad;
  BrokerStatus status;
  status.version = status.socket_dir = status.transport = bad;
  const ControlResponse responses[] = {ControlError{ControlError::Code::kBusy, bad},
                                       Pong{bad, 1},
                                       report,
                                       DryRun{{key}, {key}},
                                       std::vector<BackendInfo>{info},
                                       status};
  std::optional<ControlAnswerFrame> out;
  for (const auto& response : responses) {
    const std::string frame = encode(1, response);
    EXPECT_EQ(ControlAnswerDecoder().decode(std::string_view(frame).substr(kHeaderBytes), out), "");
  }
  Event event;
  event.key = key;
  event.detail = event.operation = bad;
  event.backend_outcome = outcome;
  const std::string frame = encode(1, event);
  EXPECT_EQ(ControlAnswerDecoder().decode(std::string_view(frame).substr(kHeaderBytes), out), "");
}

}  // namespace
}  // namespace muster::wire
