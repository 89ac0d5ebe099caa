// The envelope, read and written without Protobuf, against Protobuf.
#include <algorithm>

#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include "muster/v1/envelope.pb.h"
#include "muster/v1/lifecycle.pb.h"

#include "support/wire_random.h"
#include "wire/backend_lane.h"
#include "wire/envelope.h"
#include "wire/framing.h"
#include "wire/protobuf.h"

namespace muster::wire {
namespace {

constexpr std::size_t kMutations = 100'000;

std::string text_of(const Envelope& envelope) {
  std::string text(to_string(envelope.kind));
  for (const std::uint64_t number :
       {std::uint64_t{envelope.lane}, envelope.request_id, envelope.deadline_unix_ms}) {
    text += ' ' + std::to_string(number);
  }
  for (const auto bytes : {envelope.payload, envelope.traceparent, envelope.tracestate}) {
    text += " [" + std::string(bytes) + ']';
  }
  return text;
}

std::size_t payloads_of(std::string_view body) {
  google::protobuf::UnknownFieldSet fields;
  fields.ParseFromArray(body.data(), static_cast<int>(body.size()));
  std::size_t payloads = 0;
  for (int i = 0; i < fields.field_count(); ++i) {
    const auto& field = fields.field(i);
    const bool has_length = field.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED;
    payloads += field.number() == v1::Frame::kPayloadFieldNumber && has_length ? 1 : 0;
  }
  return payloads;
}

// What a reader that leaves all to Protobuf makes of a body: text_of(), or nothing.
std::string text_by_protobuf(std::string_view body) {
  v1::Frame frame;
  if (!parse(frame, body) || payloads_of(body) > 1) return {};
  const bool good = frame.envelope_version() == 1 && frame.payload_protocol() == kBackendLane &&
                    frame.payload_encoding() == v1::PAYLOAD_ENCODING_NONE &&
                    v1::FrameKind_IsValid(frame.kind()) &&
                    (frame.kind() != v1::FRAME_KIND_CANCEL || frame.payload().empty());
  if (!good) return {};
  Envelope envelope;
  envelope.kind = static_cast<FrameKind>(frame.kind());
  envelope.lane = frame.payload_protocol();
  envelope.request_id = frame.request_id();
  envelope.deadline_unix_ms = frame.deadline_unix_ms();
  envelope.payload = frame.payload();
  envelope.traceparent = frame.traceparent();
  envelope.tracestate = frame.tracestate();
  return text_of(envelope);
}

class WireEnvelope : public testing::Test {
 protected:
  // A frame as Protobuf writes it, mostly of the right form.
  v1::Frame frame() {
    v1::Frame frame;
    frame.set_envelope_version(rarely() ? random_.number32() : 1);
    const auto kind = rarely() ? random_.up_to(8) : random_.up_to(3);
    frame.set_kind(static_cast<v1::FrameKind>(kind));
    frame.set_payload_protocol(rarely() ? random_.number32() : kBackendLane);
    if (kind != v1::FRAME_KIND_CANCEL || rarely()) frame.set_payload(random_.bytes(300));
    frame.set_request_id(random_.number());
    if (rarely()) {
      frame.set_payload_encoding(static_cast<v1::PayloadEncoding>(random_.up_to(5)));
    }
    if (random_.chance()) frame.set_deadline_unix_ms(random_.number());
    if (random_.chance()) frame.set_traceparent(random_.text(60));
    if (random_.chance()) frame.set_tracestate(random_.text(60));
    return frame;
  }

  // Changes that meet the odd corners of the encoding: long varints, tags of other types, fields
  // twice, groups, cut ends.
  void mutate(std::string& body) {
    static const std::string kOddities[] = {std::string("\x80\x00", 2),
                                            "\x0b",
                                            "\x0c",
                                            "\x0d",
                                            "\x09",
                                            "\x00",
                                            "\xff\xff\xff\xff\x0f",
                                            "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                                            "\x53\x54",
                                            "\x7a\x01z",
                                            "\x78\x01",
                                            "\x22\x01x",
                                            "\x42\x01y",
                                            "\x42\x02\xc3\xa9",
                                            "\x4a\x01\xff",
                                            "\x88\x00\x01",
                                            "\x88\x80\x80\x80\x10\x01",
                                            "\x22\x81\x00z",
                                            "\x22\x81\x80\x80\x80\x00z",
                                            "\x30\x80\x02",
                                            "\x10\x80\x80\x80\x80\x10",
                                            "\x08\x81\x80\x80\x80\x10"};
    const auto at = random_.up_to(body.size());
    const auto left = body.size() - at;
    switch (random_.up_to(4)) {
      case 0:
        if (left > 0) body[at] = static_cast<char>(random_.up_to(255));
        break;
      case 1:
        body.insert(at, kOddities[random_.up_to(std::size(kOddities) - 1)]);
        break;
      case 2:
        body.erase(at, random_.up_to(std::min<std::size_t>(left, 3)));
        break;
      case 3:
        body += kOddities[random_.up_to(std::size(kOddities) - 1)];
        break;
      default:
        body.resize(at);
    }
  }

  // True when the body was accepted.
  bool check_against_protobuf(std::string_view body) {
    Envelope envelope;
    const auto problem = reader_.read(body, kBackendLane, envelope);
    const auto expected = text_by_protobuf(body);
    EXPECT_EQ(problem.empty(), !expected.empty()) << problem << testing::PrintToString(body);
    if (problem.empty()) {
      EXPECT_EQ(text_of(envelope), expected) << testing::PrintToString(body);
    }
    return problem.empty();
  }

  bool rarely() { return random_.up_to(19) == 0; }

  const std::uint64_t seed_ = test::random_seed();
  const testing::ScopedTrace trace_{__FILE__, __LINE__,
                                    "MUSTER_TEST_SEED=" + std::to_string(seed_)};
  test::WireRandom random_{seed_};
  EnvelopeReader reader_;
};

TEST_F(WireEnvelope, IsWrittenByteForByteAsProtobufWouldWriteIt) {
  for (int i = 0; i < 5000 && !HasFailure(); ++i) {
    auto frame = this->frame();
    frame.set_envelope_version(1);
    frame.clear_payload_encoding();
    Envelope envelope;
    envelope.kind = static_cast<FrameKind>(frame.kind());
    envelope.lane = frame.payload_protocol();
    envelope.request_id = frame.request_id();
    envelope.deadline_unix_ms = frame.deadline_unix_ms();
    envelope.payload = frame.payload();
    envelope.traceparent = frame.traceparent();
    envelope.tracestate = frame.tracestate();

    const std::string ours = encode_frame(envelope);
    const FrameView view = next_frame(ours, kMaxControlBody);
    ASSERT_EQ(view.status, FrameView::Status::kComplete);
    EXPECT_EQ(view.body, frame.SerializeAsString());
    EXPECT_EQ(body_bytes(envelope, frame.payload().size()), view.body.size());
  }
}

TEST_F(WireEnvelope, IsReadAsProtobufWouldReadIt) {
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < kMutations && !HasFailure(); ++i) {
    std::string body = frame().SerializeAsString();
    for (auto n = random_.up_to(3); n > 0; --n) mutate(body);
    if (check_against_protobuf(body)) ++accepted;
  }
  // Neither side of the comparison may be idle.
  EXPECT_GT(accepted, kMutations / 10);
  EXPECT_LT(accepted, kMutations * 9 / 10);
}

TEST_F(WireEnvelope, EveryBeginningOfAFrameIsReadAsProtobufWouldReadIt) {
  v1::Frame frame;
  frame.set_envelope_version(1);
  frame.set_payload_protocol(kBackendLane);
  frame.set_payload("payload");
  frame.set_request_id(300);
  frame.set_traceparent("trace");
  const std::string body = frame.SerializeAsString();
  for (std::size_t n = 0; n <= body.size(); ++n) check_against_protobuf(body.substr(0, n));
}

TEST_F(WireEnvelope, ThePayloadIsNotCopied) {
  const std::string frame = encode(300, Failure{BroadcastFailureReason::kRejected, "no"});
  const std::string_view body = std::string_view(frame).substr(kHeaderBytes);
  Envelope envelope;
  ASSERT_EQ(reader_.read(body, kBackendLane, envelope), "");
  EXPECT_GE(envelope.payload.data(), body.data());
  EXPECT_LT(envelope.payload.data(), body.data() + body.size());
}

TEST_F(WireEnvelope, MessagesWithoutFieldsAreWrittenAsProtobufWouldWriteThem) {
  const auto payload_of = [&](const std::string& frame) {
    Envelope envelope;
    EXPECT_EQ(reader_.read(std::string_view(frame).substr(kHeaderBytes), kBackendLane, envelope),
              "");
    return std::string(envelope.payload);
  };
  v1::BackendMessage message;
  message.mutable_ack();
  EXPECT_EQ(payload_of(encode(1, Ack{})), message.SerializeAsString());
  message.mutable_activity();
  EXPECT_EQ(payload_of(encode(1, Activity{})), message.SerializeAsString());
  message.mutable_deregister();
  EXPECT_EQ(payload_of(encode(1, Deregister{})), message.SerializeAsString());
  v1::BrokerMessage answer;
  answer.mutable_deregistered();
  EXPECT_EQ(payload_of(encode(1, Deregistered{})), answer.SerializeAsString());
}

// The two-byte comparisons of the decoder take nothing that Protobuf would not, and nothing else.
TEST_F(WireEnvelope, EveryPayloadOfTwoBytesIsTheMessageThatProtobufReads) {
  BackendFrameDecoder decoder;
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string payload{static_cast<char>(first), static_cast<char>(second)};
      v1::BackendMessage message;
      const bool parses = parse(message, payload);
      for (const auto kind : {FrameKind::kRequest, FrameKind::kResponse, FrameKind::kEvent}) {
        Envelope envelope;
        envelope.kind = kind;
        envelope.lane = kBackendLane;
        envelope.payload = payload;
        const std::string frame = encode_frame(envelope);
        BackendFrame out;
        const bool taken =
            decoder.decode(std::string_view(frame).substr(kHeaderBytes), out).empty();
        const auto is = [&](auto known, FrameKind wanted) {
          return parses && message.message_case() == known && kind == wanted;
        };
        EXPECT_EQ(taken && std::holds_alternative<Ack>(out.message),
                  is(v1::BackendMessage::kAck, FrameKind::kResponse));
        EXPECT_EQ(taken && std::holds_alternative<Activity>(out.message),
                  is(v1::BackendMessage::kActivity, FrameKind::kEvent));
        EXPECT_EQ(taken && std::holds_alternative<Deregister>(out.message),
                  is(v1::BackendMessage::kDeregister, FrameKind::kRequest));
      }
    }
  }
}

// An Ack in the usual form is read by its bytes alone: whatever stands where its id should be, it
// is taken for what Protobuf takes it for.
TEST_F(WireEnvelope, AnAckMeansWhatProtobufReadsWhateverItEndsWith) {
  constexpr std::string_view kBytes("\x00\x01\x28\x38\x7F\x80\xFF", 7);
  constexpr int kEndings = 50'000;
  std::string head = encode(1, Ack{}).substr(kHeaderBytes);
  head.pop_back();
  BackendFrameDecoder decoder;
  int acks = 0;
  for (int i = 0; i < kEndings; ++i) {
    std::string body = head;
    for (auto bytes = random_.up_to(12); bytes > 0; --bytes) {
      body += kBytes[random_.up_to(kBytes.size() - 1)];
    }
    v1::Frame frame;
    const bool parses = parse(frame, body);
    BackendFrame out;
    const bool taken = decoder.decode(body, out).empty();
    ASSERT_EQ(taken, parses) << testing::PrintToString(body);
    if (!taken) continue;
    ++acks;
    ASSERT_TRUE(std::holds_alternative<Ack>(out.message));
    ASSERT_EQ(out.request_id, frame.request_id()) << testing::PrintToString(body);
  }
  EXPECT_GT(acks, kEndings / 100);
}

}  // namespace
}  // namespace muster::wire
