// The ring alone: what it promises to the transport upon it. Other tests of a transport do not see
// these edges: buffers and room for completions run out, sends that are cut short.
#include <liburing.h>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/io_ring.h"
#include "os/unique_fd.h"
#include "support/host_abilities.h"
#include "support/socket_pair.h"

namespace muster::broker {

class IoRingInspection {
 public:
  // As the kernel does when it has added work.
  static void set_flag(IoRing& ring) {
    __atomic_or_fetch(ring.ring_->sq.kflags, IORING_SQ_TASKRUN, __ATOMIC_SEQ_CST);
  }
};

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
  if (const auto why = test::why_no_forced_buffers(); !why.empty()) GTEST_SKIP() << why;
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

// The kernel sets its flag after it has added the work, and may set it when the work is done: then
// it stays until there is more.
TEST_F(IoRingTest, AFlagThatStaysBehindKeepsNobodyAwake) {
  const SocketPair pair;
  ASSERT_TRUE(ring_->receive(pair.ours.get(), 1));
  ASSERT_TRUE(ring_->submit());
  ASSERT_TRUE(ring_->be_told());
  ring_->be_silent();
  IoRingInspection::set_flag(*ring_);
  ASSERT_TRUE(ring_->has_news()) << "as the kernel says";
  EXPECT_TRUE(ring_->be_told()) << "but there is none";
  EXPECT_FALSE(was_woken());
  pair.say("x");
  EXPECT_TRUE(was_woken());
}

}  // namespace
}  // namespace muster::broker
