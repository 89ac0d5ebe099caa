// What goes in comes out: random values of every message through its encoder and decoder.
#include <gtest/gtest.h>

#include "support/wire_random.h"
#include "wire/backend_lane.h"
#include "wire/control_lane.h"
#include "wire/framing.h"

namespace muster::wire {
namespace {

constexpr int kRoundTrips = 500;

// The body of a frame that must be whole and within the lane's limit.
std::string_view body_of(const std::string& frame, std::size_t max_body) {
  const FrameView view = next_frame(frame, max_body);
  EXPECT_EQ(view.status, FrameView::Status::kComplete) << view.problem;
  EXPECT_EQ(view.bytes, frame.size());
  return view.body;
}

class WireRoundTrip : public testing::Test {
 protected:
  template <typename Message>
  void from_backend(std::uint64_t id, const Message& message) {
    const std::string frame = encode(id, message);
    BackendFrame out;
    ASSERT_EQ(backend_.decode(body_of(frame, kMaxBackendBody), out), "");
    EXPECT_EQ(out.request_id, id);
    EXPECT_TRUE(out.message == decltype(out.message)(message)) << testing::PrintToString(frame);
  }

  template <typename Message>
  void from_broker(std::uint64_t id, const Message& message, const std::string& frame) {
    BrokerFrame out;
    ASSERT_EQ(broker_.decode(body_of(frame, kMaxBackendBody), out), "");
    EXPECT_EQ(out.request_id, id);
    EXPECT_TRUE(out.message == decltype(out.message)(message)) << testing::PrintToString(frame);
  }

  const std::uint64_t seed_ = test::random_seed();
  const testing::ScopedTrace trace_{__FILE__, __LINE__,
                                    "MUSTER_TEST_SEED=" + std::to_string(seed_)};
  test::WireRandom random_{seed_};
  // Kept for all messages: nothing of one may be left in the next.
  BackendFrameDecoder backend_;
  BrokerFrameDecoder broker_;
  ControlRequestDecoder requests_;
  ControlAnswerDecoder answers_;
};

TEST_F(WireRoundTrip, EveryMessageOfABackend) {
  for (int i = 0; i < kRoundTrips && !HasFailure(); ++i) {
    from_backend(random_.number(), random_.registration());
    from_backend(random_.number(), Ack{});
    from_backend(random_.number(), random_.failure());
    from_backend(random_.number(), random_.working());
    from_backend(random_.number(), Activity{});
    from_backend(random_.number(), Deregister{});

    const auto id = random_.number();
    const std::string cancel = encode_cancel(kBackendLane, id);
    BackendFrame out;
    ASSERT_EQ(backend_.decode(body_of(cancel, kMaxBackendBody), out), "");
    EXPECT_EQ(out.request_id, id);
    EXPECT_TRUE(std::holds_alternative<Cancel>(out.message));
  }
}

TEST_F(WireRoundTrip, HowOftenABackendWasRefusedBefore) {
  BackendFrame out;
  for (const std::optional<std::uint32_t> count :
       {std::optional<std::uint32_t>(0), std::optional<std::uint32_t>(0xFFFF'FFFF),
        std::optional<std::uint32_t>()}) {
    const std::string frame = encode(1, random_.registration(), count);
    ASSERT_EQ(backend_.decode(body_of(frame, kMaxBackendBody), out), "");
    EXPECT_EQ(out.refused_before, count);
  }
}

TEST_F(WireRoundTrip, EveryMessageOfTheBrokerToABackend) {
  for (int i = 0; i < kRoundTrips && !HasFailure(); ++i) {
    const auto id = random_.number();
    const auto registered = random_.registered();
    from_broker(id, registered, encode(id, registered));
    const auto refusal = random_.refusal();
    from_broker(id, refusal, encode(id, refusal, random_.chance()));
    const auto operation = random_.outgoing();
    from_broker(operation.broadcast_id, operation, encode(operation));
    const auto ended = random_.hold_ended();
    from_broker(0, ended, encode(ended));
    from_broker(id, Deregistered{}, encode(id, Deregistered{}));
    from_broker(id, Cancel{}, encode_cancel(kBackendLane, id));
  }
}

TEST_F(WireRoundTrip, EveryRequestOfAnOperator) {
  constexpr auto kKinds = std::variant_size_v<decltype(ControlRequestFrame::message)>;
  for (int i = 0; i < kRoundTrips && !HasFailure(); ++i) {
    const auto request = random_.request(static_cast<std::size_t>(i) % kKinds);
    const std::string frame = encode(request);
    ControlRequestFrame out;
    ASSERT_EQ(requests_.decode(body_of(frame, kMaxFirstBody), out), "");
    EXPECT_EQ(out.request_id, request.request_id);
    EXPECT_TRUE(out.message == request.message) << testing::PrintToString(frame);
  }
}

TEST_F(WireRoundTrip, EveryResponseToAnOperator) {
  constexpr auto kKinds = std::variant_size_v<ControlResponse>;
  for (int i = 0; i < kRoundTrips && !HasFailure(); ++i) {
    const auto id = random_.number();
    const auto response = random_.response(static_cast<std::size_t>(i) % kKinds);
    const std::string frame = encode(id, response);
    std::optional<ControlAnswerFrame> out;
    ASSERT_EQ(answers_.decode(body_of(frame, kMaxControlBody), out), "");
    EXPECT_EQ(out->request_id, id);
    const auto* got = std::get_if<ControlResponse>(&out->message);
    ASSERT_NE(got, nullptr);
    EXPECT_TRUE(*got == response) << testing::PrintToString(frame);
  }
}

TEST_F(WireRoundTrip, EveryEvent) {
  for (int i = 0; i < kRoundTrips && !HasFailure(); ++i) {
    const auto id = random_.number();
    const auto event = random_.event();
    const std::string frame = encode(id, event);
    std::optional<ControlAnswerFrame> out;
    ASSERT_EQ(answers_.decode(body_of(frame, kMaxControlBody), out), "");
    EXPECT_EQ(out->request_id, id);
    const auto* got = std::get_if<Event>(&out->message);
    ASSERT_NE(got, nullptr);
    EXPECT_TRUE(*got == event) << testing::PrintToString(frame);
  }
}

TEST_F(WireRoundTrip, DurationsThatDoNotFitAreCutToWhatDoes) {
  const auto extend_of = [&](std::chrono::milliseconds extend) {
    Working working;
    working.extend = extend;
    const std::string frame = encode(1, working);
    BackendFrame out;
    EXPECT_EQ(backend_.decode(body_of(frame, kMaxBackendBody), out), "");
    return std::get<Working>(out.message).extend.count();
  };
  EXPECT_EQ(extend_of(std::chrono::milliseconds(-1)), 0);
  EXPECT_EQ(extend_of(std::chrono::milliseconds::max()), 0xFFFFFFFF);
  EXPECT_EQ(extend_of(std::chrono::milliseconds::min()), 0);
}

}  // namespace
}  // namespace muster::wire
