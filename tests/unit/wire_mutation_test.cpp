// Bytes that nobody meant, through every decoder: each either decodes, to something that can be
// encoded again, or is refused with a sentence that can be sent.
#include <gtest/gtest.h>

#include "model/characters.h"
#include "support/wire_golden.h"
#include "support/wire_random.h"
#include "wire/backend_lane.h"
#include "wire/control_lane.h"
#include "wire/envelope.h"
#include "wire/framing.h"

namespace muster::wire {
namespace {

constexpr int kMutants = 200'000;
// Shorter than any text's limit, so that what was decoded is encoded again whole.
constexpr std::size_t kMaxBody = 1000;

std::string_view body_of(std::string_view frame) { return frame.substr(kHeaderBytes); }

struct Reencode {
  std::uint64_t id;

  template <typename Message>
  std::string operator()(const Message& message) const {
    return encode(id, message);
  }
  std::string operator()(const Cancel& /*cancel*/) const { return encode_cancel(kBackendLane, id); }
  std::string operator()(const Refusal& refusal) const { return encode(id, refusal, true); }
  std::string operator()(const OutgoingOperation& operation) const { return encode(operation); }
  std::string operator()(const HoldEnded& ended) const { return encode(ended); }
  std::string operator()(const UnknownMessage& /*message*/) const { return {}; }  // not called
};

class WireMutation : public testing::Test {
 protected:
  WireMutation() {
    for (const auto* file : {"backend_lane.hex", "control_lane.hex", "control_holds.hex"}) {
      for (const auto& [name, frame] : test::load_golden(file)) {
        bodies_.emplace_back(body_of(frame));
      }
    }
  }

  const std::string& any_body() { return bodies_[random_.up_to(bodies_.size() - 1)]; }

  void mutate(std::string& bytes) {
    const auto at = random_.up_to(bytes.size());
    const auto left = bytes.size() - at;
    switch (random_.up_to(5)) {
      case 0:
        if (left > 0) bytes[at] = static_cast<char>(bytes[at] ^ 1 << random_.up_to(7));
        break;
      case 1:
        if (left > 0) bytes[at] = static_cast<char>(random_.up_to(255));
        break;
      case 2:
        bytes.insert(at, random_.bytes(4));
        break;
      case 3:
        bytes.erase(at, random_.up_to(std::min<std::size_t>(left, 8)));
        break;
      case 4: {  // a piece of another message
        const auto& other = any_body();
        bytes.insert(at, other.substr(random_.up_to(other.size()), random_.up_to(60)));
        break;
      }
      default:
        bytes.resize(at);
    }
  }

  std::string mutant() {
    if (random_.up_to(9) == 0) return random_.bytes(80);
    std::string body = any_body();
    // Half of the time the envelope stays good, so that the payload's reader gets to work.
    Envelope envelope;
    const std::uint32_t lane = random_.chance() ? kBackendLane : kControlLane;
    if (random_.chance() && EnvelopeReader().read(body, lane, envelope).empty()) {
      std::string payload(envelope.payload);
      for (auto n = random_.up_to(3) + 1; n > 0; --n) mutate(payload);
      envelope.payload = payload;
      body = body_of(encode_frame(envelope));
    } else {
      for (auto n = random_.up_to(3) + 1; n > 0; --n) mutate(body);
    }
    if (body.size() > kMaxBody) body.resize(kMaxBody);
    return body;
  }

  void check_sentence(const std::string& problem) {
    EXPECT_LT(problem.size(), 1000u);
    EXPECT_TRUE(utf8::is_valid(problem)) << testing::PrintToString(problem);
    EXPECT_EQ(problem.find('\n'), std::string::npos) << problem;
  }

  void through_backend(std::string_view body) {
    BackendFrame out;
    const auto problem = backend_.decode(body, out);
    check_sentence(problem);
    const auto* registration = std::get_if<Registration>(&out.message);
    // What breaks a rule of registration is the core's to refuse: it is not encoded again whole.
    if (!problem.empty() || (registration != nullptr && registration->problem())) return;
    ++accepted_;
    const auto again = std::visit(Reencode{out.request_id}, out.message);
    BackendFrame second;
    EXPECT_EQ(backend_.decode(body_of(again), second), "");
    EXPECT_EQ(second.request_id, out.request_id);
    EXPECT_TRUE(second.message == out.message);
  }

  void through_broker(std::string_view body) {
    BrokerFrame out;
    const auto problem = broker_.decode(body, out);
    check_sentence(problem);
    if (!problem.empty()) return;
    ++accepted_;
    if (const auto* operation = std::get_if<OutgoingOperation>(&out.message)) {
      if (operation->tracestate.size() > kMaxTraceBytes) return;
      if (operation->traceparent.size() > kMaxTraceBytes) return;
    }
    // Of what this version does not know it can say no more than that.
    if (std::holds_alternative<UnknownMessage>(out.message)) return;
    BrokerFrame second;
    EXPECT_EQ(broker_.decode(body_of(std::visit(Reencode{out.request_id}, out.message)), second),
              "");
    EXPECT_TRUE(second.message == out.message);
  }

  void through_requests(std::string_view body) {
    ControlRequestFrame out;
    const auto problem = requests_.decode(body, out);
    check_sentence(problem);
    if (!problem.empty()) return;
    ++accepted_;
    ControlRequestFrame second;
    EXPECT_EQ(requests_.decode(body_of(encode(out)), second), "");
    EXPECT_TRUE(second.message == out.message);
  }

  void through_answers(std::string_view body) {
    std::optional<ControlAnswerFrame> out;
    const auto problem = answers_.decode(body, out);
    check_sentence(problem);
    EXPECT_EQ(out.has_value(), problem.empty());
    if (!out) return;
    ++accepted_;
    const auto again = std::visit(Reencode{out->request_id}, out->message);
    std::optional<ControlAnswerFrame> second;
    EXPECT_EQ(answers_.decode(body_of(again), second), "");
    EXPECT_TRUE(second && second->message == out->message);
  }

  const std::uint64_t seed_ = test::random_seed();
  const testing::ScopedTrace trace_{__FILE__, __LINE__,
                                    "MUSTER_TEST_SEED=" + std::to_string(seed_)};
  test::WireRandom random_{seed_};
  std::vector<std::string> bodies_;
  int accepted_ = 0;
  BackendFrameDecoder backend_;
  BrokerFrameDecoder broker_;
  ControlRequestDecoder requests_;
  ControlAnswerDecoder answers_;
};

TEST_F(WireMutation, EveryDecoderTakesOrRefusesWhateverComes) {
  for (int i = 0; i < kMutants && !HasFailure(); ++i) {
    const std::string body = mutant();
    through_backend(body);
    through_broker(body);
    through_requests(body);
    through_answers(body);
    if (HasFailure()) ADD_FAILURE() << "the body was\n" << test::golden_entry("mutant", body);
  }
  // The mutants are neither all good nor all bad: each is refused by the other lane's decoders.
  EXPECT_GT(accepted_, kMutants / 20);
  EXPECT_LT(accepted_, kMutants * 2);
}

TEST_F(WireMutation, FramingTakesOrRefusesWhateverComes) {
  for (int i = 0; i < kMutants && !HasFailure(); ++i) {
    std::string input = random_.bytes(12);
    if (random_.chance() && !input.empty()) input[0] = 1;
    const auto max_body = random_.number();
    const FrameView view = next_frame(input, max_body);
    switch (view.status) {
      case FrameView::Status::kBad:
        EXPECT_NE(view.problem, "");
        break;
      case FrameView::Status::kComplete:
        EXPECT_LE(view.bytes, input.size());
        EXPECT_EQ(view.bytes, kHeaderBytes + view.body.size());
        EXPECT_LE(view.body.size(), max_body);
        break;
      case FrameView::Status::kIncomplete:
        EXPECT_GT(view.bytes, input.size());
        EXPECT_TRUE(view.bytes == kHeaderBytes || view.bytes - kHeaderBytes <= max_body);
        break;
    }
  }
}

}  // namespace
}  // namespace muster::wire
