// The transport alone: what it delivers, what it survives, what it costs.
#include <array>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdexcept>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/send_queue.h"
#include "broker/transport.h"
#include "os/process_setup.h"
#include "support/open_descriptors.h"
#include "support/socket_pair.h"
#include "support/test_transport.h"
#include "wire/framing.h"

namespace muster::broker {
namespace {

using test::SocketPair;
using ::testing::ElementsAre;

std::string frame(std::string_view body) {
  std::string bytes(wire::kHeaderBytes, '\0');
  wire::put_header(bytes.data(), body.size());
  return bytes.append(body);
}

// Writes down what it is told, and does what the test asks it to.
struct TransportNotes final : Transport::Events, Transport::Watcher {
  void turn_begins() noexcept override {}
  void frame_arrived(ConnectionId connection, std::string_view body) override {
    said.push_back(std::to_string(connection.slot) + ": " + std::string(body));
    if (body == "throw") throw std::runtime_error("no memory");
    if (body == "hang up") transport->hang_up(connection);
    if (body == "release") transport->release(connection);
  }
  void stream_broken(ConnectionId connection, std::string problem) override {
    said.push_back(std::to_string(connection.slot) + " broken: " + problem);
  }
  void lost(ConnectionId connection, core::LossCause cause) override {
    said.push_back(std::to_string(connection.slot) + (cause == core::LossCause::kClosed ? " lost"
                                                      : cause == core::LossCause::kSlowReader
                                                          ? " slow"
                                                          : " over its user's quota"));
    if (throws_when_lost) throw std::runtime_error("still no memory");
  }
  void half_closed(ConnectionId connection) override {
    said.push_back(std::to_string(connection.slot) + " half closed");
  }
  void handling_failed(ConnectionId connection, std::string_view what) noexcept override {
    if (connection.generation == 0) return said.push_back("failed: " + std::string(what));
    said.push_back(std::to_string(connection.slot) + " failed: " + std::string(what));
  }
  void readable(std::uint64_t token) override {
    said.push_back("readable " + std::to_string(token));
    transport->unwatch(watch);
    if (token == 0) throw std::runtime_error("no memory");
  }

  Transport* transport = nullptr;
  bool throws_when_lost = false;
  Transport::WatchId watch;
  std::vector<std::string> said;
};

class TransportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    os::raise_descriptor_limit();
    before_ = test::open_descriptors();
    context_.emplace();
    notes_.transport = nullptr;
    transport_ = make_transport(test::test_transport(), *context_, 1024 * 1024, notes_);
    notes_.transport = transport_.get();
  }
  std::array<core::QueueAccount, 2> accounts_;
  void TearDown() override {
    transport_->stop();
    context_->restart();
    context_->run_for(std::chrono::seconds(10));
    EXPECT_TRUE(context_->stopped()) << "something keeps the loop running";
    transport_.reset();
    context_.reset();
    EXPECT_EQ(test::open_descriptors(), before_);
  }

  void settle() {
    while (context_->poll() > 0) {
    }
  }

  std::optional<asio::io_context> context_;
  TransportNotes notes_;
  std::unique_ptr<Transport> transport_;
  long before_ = 0;
};

TEST_F(TransportTest, FramesComeOneByOneAndTheEndComesLast) {
  SocketPair pair;
  (void)transport_->open(std::move(pair.ours));
  pair.say(frame("a") + frame("") + frame("ccc"));
  pair.theirs.reset();
  settle();
  EXPECT_THAT(notes_.said, ElementsAre("0: a", "0: ", "0: ccc", "0 lost"));
  EXPECT_EQ(transport_->open_count(), 0u);
}

// The parent or the child may shut down what both have; the child may still have the other end.
TEST_F(TransportTest, AnEndThatSendsNothingMoreIsNoEndBeforeNobodyHasIt) {
  SocketPair pair;
  const ConnectionId id = transport_->open(std::move(pair.ours));
  pair.say(frame("a"));
  const os::UniqueFd other(::dup(pair.theirs.get()));
  ::shutdown(pair.theirs.get(), SHUT_WR);
  pair.theirs.reset();
  settle();
  EXPECT_THAT(notes_.said, ElementsAre("0: a", "0 half closed"));
  EXPECT_TRUE(transport_->has_peer(id));
  transport_->drain(id);
  transport_->drain_all();
  transport_->send(id, frame("still read"));
  settle();
  EXPECT_THAT(notes_.said, ElementsAre("0: a", "0 half closed"));
  char one = 0;
  EXPECT_EQ(::recv(other.get(), &one, 1, MSG_DONTWAIT), 1);
}

TEST_F(TransportTest, TheEndOfOneThatWasHalfClosedComesOnce) {
  SocketPair pair;
  (void)transport_->open(std::move(pair.ours));
  ::shutdown(pair.theirs.get(), SHUT_WR);
  settle();
  pair.theirs.reset();
  settle();
  EXPECT_THAT(notes_.said, ElementsAre("0 half closed", "0 lost"));
  EXPECT_EQ(transport_->open_count(), 0u);
  EXPECT_EQ(context_->poll(), 0u) << "nothing is awaited of it";
}

TEST_F(TransportTest, OneThatIsHalfClosedAndReleasedIsForgotten) {
  SocketPair pair;
  const ConnectionId id = transport_->open(std::move(pair.ours));
  ::shutdown(pair.theirs.get(), SHUT_WR);
  settle();
  transport_->release(id);
  settle();
  SocketPair next;
  (void)transport_->open(std::move(next.ours));
  pair.theirs.reset();
  settle();
  EXPECT_THAT(notes_.said, ElementsAre("0 half closed"));
  EXPECT_EQ(transport_->open_count(), 1u);
}

TEST_F(TransportTest, ManyConnectionsAreServedInSeveralTurns) {
  constexpr int kMany = 1200;  // a turn takes 512 events
  std::vector<SocketPair> pairs(kMany);
  for (auto& pair : pairs) {
    (void)transport_->open(std::move(pair.ours));
    pair.say(frame("x"));
  }
  settle();
  EXPECT_EQ(notes_.said.size(), static_cast<std::size_t>(kMany));
}

TEST_F(TransportTest, AHandlerThatThrowsEndsItsConnectionAndNoOther) {
  SocketPair bad;
  SocketPair good;
  (void)transport_->open(std::move(bad.ours));
  const auto other = transport_->open(std::move(good.ours));
  bad.say(frame("throw") + frame("never seen"));
  settle();
  EXPECT_THAT(notes_.said, ElementsAre("0: throw", "0 failed: no memory"));
  EXPECT_EQ(bad.heard(), "end");
  notes_.said.clear();
  good.say(frame("fine"));
  transport_->send(other, std::string("hello"));
  settle();
  EXPECT_THAT(notes_.said, ElementsAre("1: fine"));
  EXPECT_EQ(good.heard(), "hello");
}

TEST_F(TransportTest, AHandlerThatThrowsWhenToldOfALossIsToldNothingMore) {
  notes_.throws_when_lost = true;
  SocketPair pair;
  (void)transport_->open(std::move(pair.ours));
  pair.theirs.reset();
  settle();
  EXPECT_THAT(notes_.said, ElementsAre("0 lost", "0 failed: still no memory"));
}

TEST_F(TransportTest, NothingIsDeliveredAfterHangingUpInTheMiddleOfABuffer) {
  SocketPair one;
  SocketPair two;
  (void)transport_->open(std::move(one.ours));
  (void)transport_->open(std::move(two.ours));
  one.say(frame("hang up") + frame("never seen"));
  two.say(frame("release") + frame("never seen"));
  settle();
  EXPECT_THAT(notes_.said, ElementsAre("0: hang up", "1: release"));
  EXPECT_EQ(one.heard(), "end");
  EXPECT_EQ(two.heard(), "end");
}

TEST_F(TransportTest, ASlotIsUsedAgainWithANewGeneration) {
  SocketPair first;
  const auto one = transport_->open(std::move(first.ours));
  transport_->release(one);
  SocketPair second;
  const auto two = transport_->open(std::move(second.ours));
  EXPECT_EQ(one.slot, two.slot);
  EXPECT_NE(one.generation, two.generation);
  transport_->send(one, std::string("to nobody"));
  transport_->hang_up(one);
  EXPECT_EQ(second.heard(), "nothing");
  EXPECT_EQ(transport_->open_count(), 1u);
}

TEST_F(TransportTest, AHungUpSlotIsNotUsedAgainBeforeItsRelease) {
  SocketPair first;
  const auto one = transport_->open(std::move(first.ours));
  transport_->hang_up(one);
  SocketPair second;
  const auto two = transport_->open(std::move(second.ours));
  EXPECT_NE(one.slot, two.slot);
  transport_->release(one);
  transport_->release(two);
}

TEST_F(TransportTest, WhatASenderFindsOutIsReportedLaterFromTheLoop) {
  SocketPair pair;
  const auto id = transport_->open(std::move(pair.ours));
  pair.say(frame("last words"));
  pair.theirs.reset();
  transport_->send(id, std::string("x"));  // EPIPE
  transport_->send(id, std::string("y"));
  EXPECT_TRUE(notes_.said.empty());
  settle();
  EXPECT_THAT(notes_.said, ElementsAre("0: last words", "0 lost"));
}

TEST_F(TransportTest, APeerThatIsTooSlowIsReportedLaterAndItsAnswersFirst) {
  transport_->stop();
  context_->run();  // what the old one waited for
  context_->restart();
  transport_ = make_transport(test::test_transport(), *context_, 1000, notes_);
  SocketPair pair;
  const auto id = transport_->open(std::move(pair.ours));
  pair.say(frame("an answer"));
  const std::string bytes(64 * 1024, 'x');
  for (int i = 0; i < 100; ++i) transport_->send(id, bytes);
  EXPECT_TRUE(notes_.said.empty());
  settle();
  EXPECT_THAT(notes_.said, ElementsAre("0: an answer", "0 slow"));
  EXPECT_EQ(transport_->open_count(), 0u);
}

TEST_F(TransportTest, WhatWaitsForConnectionsOfOneAccountIsBoundedForAllOfThemTogether) {
  // Until the transport has stopped.
  core::QueueAccount& account = accounts_[0];
  core::QueueAccount& other = accounts_[1];
  account.limit = 150'000;
  SocketPair a;
  SocketPair b;
  SocketPair c;
  const auto first = transport_->open(std::move(a.ours));
  const auto second = transport_->open(std::move(b.ours));
  const auto stranger = transport_->open(std::move(c.ours));
  transport_->charge(first, account);
  transport_->charge(second, account);
  transport_->charge(stranger, other);
  const auto bytes = std::make_shared<const OutboundBytes>(std::string(50'000, 'x'));
  transport_->send(first, bytes);
  EXPECT_EQ(account.used, 0u) << "the socket took it at once: nothing waits";
  while (account.used < 100'000) transport_->send(first, bytes);
  for (int i = 0; i < 10; ++i) transport_->send(second, bytes);
  for (int i = 0; i < 10; ++i) transport_->send(stranger, bytes);
  EXPECT_LE(account.used, account.limit);
  EXPECT_GT(other.used, 0u);
  settle();
  EXPECT_THAT(notes_.said, ElementsAre("1 over its user's quota"));
  // What was read, and what will never be, does not count any more.
  while (account.used != 0) {
    ASSERT_NE(a.heard(), "nothing");
    settle();
  }
  transport_->hang_up(stranger);
  EXPECT_EQ(other.used, 0u);
}

TEST_F(TransportTest, OneFrameForManyArrivesWholeAndInOrderWhateverTheSocketsTake) {
  constexpr std::size_t kPeers = 5;
  constexpr int kFrames = 40;
  std::vector<SocketPair> pairs(kPeers);
  std::vector<ConnectionId> ids;
  for (auto& pair : pairs) ids.push_back(transport_->open(std::move(pair.ours)));
  std::string expected;
  for (int i = 0; i < kFrames; ++i) {
    const auto shared =
        std::make_shared<const OutboundBytes>(std::string(20'000, static_cast<char>('a' + i % 26)));
    expected += shared->bytes;
    for (const auto id : ids) transport_->send(id, shared);
  }
  for (auto& pair : pairs) {
    std::string got;
    while (got.size() < expected.size()) {
      settle();
      const auto part = pair.heard();
      ASSERT_NE(part, "nothing");
      ASSERT_NE(part, "end");
      got += part;
    }
    EXPECT_TRUE(got == expected);
  }
  EXPECT_TRUE(notes_.said.empty());
}

TEST_F(TransportTest, WhatIsQueuedGoesOutBeforeTheEndAsFarAsTheSocketTakesIt) {
  SocketPair pair;
  const auto id = transport_->open(std::move(pair.ours));
  for (int i = 0; i < 15; ++i) transport_->send(id, std::string(50'000, 'x'));
  int taken = 0;
  ASSERT_EQ(::ioctl(pair.theirs.get(), SIOCINQ, &taken), 0);
  ASSERT_LT(taken, 15 * 50'000) << "nothing is queued";
  std::size_t got = 0;
  while (got < 100'000) got += pair.heard().size();
  transport_->hang_up(id);
  for (std::string part = pair.heard(); part != "end"; part = pair.heard()) {
    ASSERT_NE(part, "nothing");
    got += part.size();
  }
  EXPECT_GT(got, static_cast<std::size_t>(taken));
}

TEST_F(TransportTest, DrainingDeliversWhatIsThereAndLeavesTheEndForLater) {
  SocketPair pair;
  const auto id = transport_->open(std::move(pair.ours));
  pair.say(frame("a") + frame("b"));
  pair.theirs.reset();
  transport_->drain(id);
  EXPECT_THAT(notes_.said, ElementsAre("0: a", "0: b"));
  settle();
  EXPECT_THAT(notes_.said, ElementsAre("0: a", "0: b", "0 lost"));
}

TEST_F(TransportTest, DrainingAllSeesEverybodyWhoIsReadable) {
  constexpr std::size_t kMany = 1200;
  std::vector<SocketPair> pairs(kMany);
  for (auto& pair : pairs) {
    (void)transport_->open(std::move(pair.ours));
    pair.say(frame("x"));
  }
  transport_->drain_all();
  EXPECT_EQ(notes_.said.size(), kMany);
}

TEST_F(TransportTest, AWatchTellsUntilItIsUnwatched) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const os::UniqueFd in(ends[0]);
  const os::UniqueFd out(ends[1]);
  notes_.watch = transport_->watch(in.get(), notes_, 42);
  settle();
  EXPECT_TRUE(notes_.said.empty());
  ASSERT_EQ(::write(out.get(), "x", 1), 1);
  settle();
  EXPECT_THAT(notes_.said, ElementsAre("readable 42"));
}

TEST_F(TransportTest, AWatcherThatThrowsEndsNothing) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  os::UniqueFd in(ends[0]);
  os::UniqueFd(ends[1]).reset();  // the end of the pipe is readable, too
  notes_.watch = transport_->watch(in.get(), notes_, 0);
  SocketPair pair;
  (void)transport_->open(std::move(pair.ours));
  pair.say(frame("fine"));
  settle();
  EXPECT_THAT(notes_.said,
              ::testing::UnorderedElementsAre("readable 0", "failed: no memory", "0: fine"));
}

TEST_F(TransportTest, WhatCannotBeWatchedIsAnErrorAndLeavesNothingBehind) {
  EXPECT_THROW((void)transport_->watch(-1, notes_, 0), std::system_error);
  os::UniqueFd file(::open("/proc/self/stat", O_RDONLY | O_CLOEXEC));  // no epoll for files
  EXPECT_THROW((void)transport_->open(std::move(file)), std::system_error);
  EXPECT_EQ(transport_->open_count(), 0u);
}

}  // namespace
}  // namespace muster::broker
