// What a broker does for each answer of each backend costs no memory.
#include <gtest/gtest.h>

#include "support/allocations.h"
#include "wire/backend_lane.h"
#include "wire/framing.h"

namespace muster::wire {
namespace {

class WireAllocation : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::counts_allocations()) GTEST_SKIP() << "a sanitizer owns operator new";
  }

  // How many allocations decoding `frame` takes, once the decoder is warm.
  std::size_t of_decoding(const std::string& frame) {
    for (int i = 0; i < 2; ++i) decode(frame);
    const std::size_t before = test::allocations();
    for (int i = 0; i < 100; ++i) decode(frame);
    return test::allocations() - before;
  }

 private:
  void decode(const std::string& frame) {
    const FrameView view = next_frame(frame, kMaxBackendBody);
    ASSERT_EQ(decoder_.decode(view.body, out_), "");
  }

  BackendFrameDecoder decoder_;
  BackendFrame out_;
};

TEST_F(WireAllocation, TheCounterCounts) {
  const std::size_t before = test::allocations();
  const std::string text(1000, 'x');
  EXPECT_EQ(test::allocations() - before, 1u) << text.size();
}

TEST_F(WireAllocation, DecodingAnAckTakesNone) {
  EXPECT_EQ(of_decoding(encode(0xFFFF'FFFF'FFFF, Ack{})), 0u);
}

TEST_F(WireAllocation, DecodingAnActivityTakesNone) {
  EXPECT_EQ(of_decoding(encode(0, Activity{})), 0u);
}

TEST_F(WireAllocation, DecodingACancelTakesNone) {
  EXPECT_EQ(of_decoding(encode_cancel(kBackendLane, 300)), 0u);
}

TEST_F(WireAllocation, EncodingAFrameWithoutFieldsTakesOne) {
  const std::size_t before = test::allocations();
  const std::string frame = encode(0xFFFF'FFFF'FFFF, Ack{});
  EXPECT_LE(test::allocations() - before, 1u) << frame.size();
}

}  // namespace
}  // namespace muster::wire
