// The ring alone: what it promises to the transport upon it. Other tests of a transport do not see
// these edges: buffers and room for completions run out, sends that are cut short.
#include "broker/io_ring.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <poll.h>
#include <stop_token>
#include <string>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/unique_fd.h"
#include "support/socket_pair.h"

namespace muster::broker {
namespace {

// More bytes than a socket takes.
constexpr std::size_t kTooMuch = 8 * 1024 * 1024;

using test::SocketPair;
using ::testing::ElementsAre;

class IoRingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      ring_.emplace(event_.get());
    } catch (const std::system_error& why) {
      GTEST_SKIP() << why.what();
    }
  }

  // "1: hello", "1: 0 (the last)", "2: -11 (the last)"
  std::vector<std::string> told() {
    std::vector<IoRing::Completion> completions;
    ring_->take(completions);
    std::vector<std::string> text;
    for (const auto& each : completions) {
      text.push_back(std::to_string(each.tag) + ": " +
                     (each.has_buffer() ? std::string(ring_->bytes(each).substr(0, 20))
                                        : std::to_string(each.result)) +
                     (each.more() ? "" : " (the last)"));
      if (each.has_buffer()) ring_->give_back(each);
    }
    return text;
  }
  bool was_woken() const {
    pollfd event{event_.get(), POLLIN, 0};
    return ::poll(&event, 1, 0) == 1;
  }

  os::UniqueFd event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::optional<IoRing> ring_;
};

TEST_F(IoRingTest, ASendThatDoesAllIsSilentAndOneThatDoesNotSaysHowMuchItDid) {
  const SocketPair pair;
  ASSERT_TRUE(ring_->send(pair.ours.get(), "hello", 1));
  ASSERT_TRUE(ring_->submit());
  EXPECT_EQ(pair.unread(), 5u);
  EXPECT_THAT(told(), ElementsAre());

  const std::string large(kTooMuch, 'x');
  ASSERT_TRUE(ring_->send(pair.ours.get(), large, 2));
  ASSERT_TRUE(ring_->send(pair.ours.get(), "more", 3));
  ASSERT_TRUE(ring_->submit());
  const std::size_t taken = pair.unread();
  EXPECT_GT(taken, 0u);
  EXPECT_LT(taken, large.size());
  EXPECT_THAT(told(), ElementsAre("2: " + std::to_string(taken) + " (the last)",
                                  "3: -" + std::to_string(EAGAIN) + " (the last)"));
  ASSERT_TRUE(ring_->submit_and_collect());
  EXPECT_THAT(told(), ElementsAre()) << "it was finished later";
}

TEST_F(IoRingTest, ASendToNobodyFails) {
  SocketPair pair;
  pair.theirs.reset();
  ASSERT_TRUE(ring_->send(pair.ours.get(), "hello", 1));
  ASSERT_TRUE(ring_->submit());
  EXPECT_THAT(told(), ElementsAre("1: -" + std::to_string(EPIPE) + " (the last)"));
}

TEST_F(IoRingTest, AReceiveTellsEachTimeAndThenOfTheEnd) {
  SocketPair pair;
  ASSERT_TRUE(ring_->receive(pair.ours.get(), 7));
  ASSERT_TRUE(ring_->submit());
  for (const char* text : {"a", "b"}) {
    pair.say(text);
    ASSERT_TRUE(ring_->submit_and_collect());
    EXPECT_THAT(told(), ElementsAre("7: " + std::string(text)));
  }
  pair.theirs.reset();
  ASSERT_TRUE(ring_->submit_and_collect());
  EXPECT_THAT(told(), ElementsAre("7: 0 (the last)"));
}

TEST_F(IoRingTest, AReceiveEndsWhenBuffersRunOutLosesNothingAndGoesOnWhenArmedAgain) {
  const SocketPair pair;
  ASSERT_TRUE(ring_->receive(pair.ours.get(), 7));
  ASSERT_TRUE(ring_->submit());
  const int size = 4'000'000;
  ASSERT_EQ(::setsockopt(pair.theirs.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)), 0);
  std::size_t said = 0;
  while (said < 1'500'000) {
    pair.say(std::string(50'000, 'x'));
    said += 50'000;
  }

  std::size_t got = 0;
  int times_out_of_buffers = 0;
  for (int i = 0; i < 1'000 && got < said; ++i) {
    std::vector<IoRing::Completion> completions;
    do {
      ASSERT_TRUE(ring_->submit_and_collect());
      ring_->take(completions);
    } while (ring_->has_news() && (completions.empty() || completions.back().more()));
    for (const auto& each : completions) {
      if (each.has_buffer()) {
        got += ring_->bytes(each).size();
        ring_->give_back(each);
      }
      if (each.more()) continue;
      ASSERT_EQ(each.result, -ENOBUFS);
      ++times_out_of_buffers;
      ASSERT_TRUE(ring_->receive(pair.ours.get(), 7));
    }
  }
  EXPECT_EQ(got, said);
  EXPECT_GT(times_out_of_buffers, 0);
}

TEST_F(IoRingTest, ARequestThatIsForgottenDoesNotTouchWhoeverHasItsNumber) {
  const SocketPair pair;
  ASSERT_TRUE(ring_->send(pair.ours.get(), "hello", 1));
  ASSERT_TRUE(ring_->receive(pair.ours.get(), 2));
  pair.say("not for this one");
  ring_->forget(pair.ours.get());
  ASSERT_TRUE(ring_->submit_and_collect());
  EXPECT_EQ(pair.unread(), 0u);
  EXPECT_THAT(told(), ElementsAre("1: 0 (the last)", "2: 0 (the last)"));
}

TEST_F(IoRingTest, ThereIsRoomForSoManyRequestsAndThenTheyMustBeSubmitted) {
  const SocketPair pair;
  int fit = 0;
  while (fit < 100'000 && ring_->send(pair.ours.get(), "x", 1)) ++fit;
  EXPECT_GE(fit, 256);
  EXPECT_LT(fit, 100'000);
  ASSERT_TRUE(ring_->submit());
  EXPECT_FALSE(ring_->has_requests());
  // The socket may have been full before all were sent; those say so.
  EXPECT_EQ(pair.unread() + told().size(), static_cast<std::size_t>(fit));
}

TEST_F(IoRingTest, MoreCompletionsThanThereIsRoomForAllCome) {
  constexpr std::size_t kMany = 6'000;  // the ring has room for 4,096
  const SocketPair pair;
  std::string large(kTooMuch, 'x');
  ASSERT_TRUE(ring_->send(pair.ours.get(), large, 1));  // fills the socket
  for (std::size_t i = 1; i < kMany; ++i) {
    if (ring_->send(pair.ours.get(), "x", 1)) continue;
    ASSERT_TRUE(ring_->submit());
    ASSERT_TRUE(ring_->send(pair.ours.get(), "x", 1));
  }
  ASSERT_TRUE(ring_->submit());
  EXPECT_EQ(told().size(), kMany);
}

TEST_F(IoRingTest, WhoeverIsToBeToldIsToldAndNobodyElse) {
  const SocketPair pair;
  ASSERT_TRUE(ring_->receive(pair.ours.get(), 7));
  ASSERT_TRUE(ring_->submit());
  ASSERT_TRUE(ring_->be_told());
  EXPECT_FALSE(was_woken());
  pair.say("a");
  EXPECT_TRUE(was_woken());
  eventfd_t ignored = 0;
  ASSERT_EQ(::eventfd_read(event_.get(), &ignored), 0);

  ring_->be_silent();
  ASSERT_TRUE(ring_->submit_and_collect());
  EXPECT_THAT(told(), ElementsAre("7: a"));
  pair.say("b");
  EXPECT_FALSE(was_woken());
  // What came in silence is not slept upon.
  EXPECT_FALSE(ring_->be_told());
  ASSERT_TRUE(ring_->submit_and_collect());
  EXPECT_THAT(told(), ElementsAre("7: b"));
  EXPECT_TRUE(ring_->be_told());
}

// The kernel sets its flag after it has added the work, and may set it when the work is done.
TEST_F(IoRingTest, AFlagThatStaysBehindKeepsNobodyAwake) {
  constexpr std::uint64_t kPairs = 4;
  constexpr std::uint64_t kBursts = 60'000;
  constexpr int kEnough = 100;
  // Where a core is shared, a burst takes as long as the other side waits for it.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  const std::array<SocketPair, kPairs> pairs;
  for (std::uint64_t i = 0; i < kPairs; ++i) {
    ASSERT_TRUE(ring_->receive(pairs[i].ours.get(), i + 1));
  }
  ASSERT_TRUE(ring_->submit());
  std::atomic<std::uint64_t> burst = 0;
  std::jthread others([&](const std::stop_token& stop) {
    for (std::uint64_t next = 1;; ++next) {
      while (burst < next) {
        if (stop.stop_requested()) return;
        std::this_thread::yield();
      }
      for (const auto& pair : pairs) pair.say("x");
    }
  });
  std::uint64_t arrived = 0;
  bool good = true;
  while (good && burst < kBursts && std::chrono::steady_clock::now() < end) {
    ++burst;
    while (good && arrived < burst * kPairs) {
      // A request each time, so that the kernel is entered whatever its flags say.
      good = ring_->wait_writable(pairs[0].theirs.get(), kPairs + 1) && ring_->submit_and_collect();
      for (const auto& text : told()) arrived += text.ends_with(": x") ? 1 : 0;
    }
    // Nobody says anything now.
    int tries = 0;
    while (!ring_->be_told() && ++tries < kEnough) {
      ring_->be_silent();
      good = ring_->submit_and_collect() && told().empty() && good;
    }
    ring_->be_silent();
    good = good && tries < kEnough;
  }
  EXPECT_TRUE(good) << "in burst " << burst;
}

}  // namespace
}  // namespace muster::broker
