// Whole frames over a socket pair; the other end is a plain descriptor in the test's hands.
#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <gtest/gtest.h>

#include "net/framed_stream.h"
#include "net/spawn.h"

namespace muster::net {
namespace {

std::string frame(std::string_view body) {
  std::string bytes(wire::kHeaderBytes, '\0');
  wire::put_header(bytes.data(), body.size());
  bytes += body;
  return bytes;
}

class FramedStreamTest : public ::testing::Test {
 protected:
  FramedStreamTest() { open({}); }

  void open(const StreamLimits& limits) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    peer_.reset(ends[1]);
    stream_ =
        std::make_shared<FramedStream>(context_.get_executor(), os::UniqueFd(ends[0]), limits);
  }

  static asio::awaitable<void> receive_into(std::shared_ptr<FramedStream> stream,
                                            std::vector<std::string>& out) {
    for (;;) {
      const Received received = co_await stream->receive();
      if (received.error) {
        out.push_back(received.problem.empty() ? received.error.message() : received.problem);
        co_return;
      }
      const std::string_view body = received.body;
      out.push_back(body.size() > 40 ? std::to_string(body.size()) + " bytes" : std::string(body));
    }
  }

  // Receives until the end, here and now.
  std::vector<std::string> received() {
    std::vector<std::string> all;
    start_receiving(all);
    context_.run();
    context_.restart();
    return all;
  }
  void start_receiving(std::vector<std::string>& out) {
    spawn(context_.get_executor(), "test", receive_into(stream_, out),
          [](const char*, std::string_view what) { ADD_FAILURE() << what; });
  }

  void peer_sends(std::string_view bytes) {
    ASSERT_EQ(::send(peer_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // All that comes until the stream is closed.
  static std::string drain(int fd) {
    std::string all;
    char buffer[65536];
    ssize_t bytes = 0;
    while ((bytes = ::recv(fd, buffer, sizeof(buffer), 0)) > 0) {
      all.append(buffer, static_cast<std::size_t>(bytes));
    }
    return all;
  }
  // What is there now.
  std::string peer_has() {
    std::string all(1 << 20, '\0');
    const ssize_t bytes = ::recv(peer_.get(), all.data(), all.size(), MSG_DONTWAIT);
    all.resize(bytes < 0 ? 0 : static_cast<std::size_t>(bytes));
    return all;
  }

  asio::io_context context_{1};
  os::UniqueFd peer_;
  std::shared_ptr<FramedStream> stream_;
};

using Texts = std::vector<std::string>;
const std::string kEnd = make_error_code(Errc::kEndOfStream).message();

TEST_F(FramedStreamTest, FramesOfOneReadComeOneByOne) {
  peer_sends(frame("one") + frame("") + frame("three"));
  peer_.reset();
  EXPECT_EQ(received(), (Texts{"one", "", "three", kEnd}));
}

TEST_F(FramedStreamTest, AFrameMayComeInAnyPieces) {
  const std::string bytes = frame("hello") + frame("world");
  Texts all;
  start_receiving(all);
  for (const char byte : bytes) {
    peer_sends({&byte, 1});
    context_.poll();
  }
  EXPECT_EQ(all, (Texts{"hello", "world"}));
  peer_.reset();
  context_.run();
  EXPECT_EQ(all.back(), kEnd);
}

TEST_F(FramedStreamTest, AnEndInsideAFrameIsTold) {
  peer_sends(frame("one") + frame("two").substr(0, 6));
  peer_.reset();
  EXPECT_EQ(received(), (Texts{"one", make_error_code(Errc::kTruncated).message()}));
  EXPECT_EQ(received(), (Texts{make_error_code(Errc::kTruncated).message()})) << "and stays";
}

TEST_F(FramedStreamTest, TheFirstFrameHasALimitOfItsOwn) {
  open({.first_body = 3, .body = 5, .queued_bytes = 100});
  peer_sends(frame("one") + frame("three") + frame("toolong"));
  const Texts all = received();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[1], "three");
  EXPECT_NE(all[2].find("7 bytes"), std::string::npos) << all[2];

  open({.first_body = 3, .body = 5, .queued_bytes = 100});
  peer_sends(frame("three"));
  EXPECT_NE(received().at(0).find("limit of 3"), std::string::npos);
}

TEST_F(FramedStreamTest, AnotherFramingVersionIsBad) {
  peer_sends("GET / HTTP/1.1");
  EXPECT_NE(received().at(0).find("framing version"), std::string::npos);
}

TEST_F(FramedStreamTest, LargeFramesGrowTheBufferAndSmallOnesFollow) {
  open({.first_body = 1 << 24, .body = 1 << 24, .queued_bytes = 100});
  std::thread writer([this] {
    const std::string large = frame(std::string(5'000'000, 'x')) + frame("small");
    for (int i = 0; i < 2; ++i) {
      std::string_view rest = large;
      while (!rest.empty()) {
        const ssize_t sent = ::send(peer_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent <= 0) return;
        rest.remove_prefix(static_cast<std::size_t>(sent));
      }
    }
    ::shutdown(peer_.get(), SHUT_WR);
  });
  EXPECT_EQ(received(), (Texts{"5000000 bytes", "small", "5000000 bytes", "small", kEnd}));
  writer.join();
}

TEST_F(FramedStreamTest, AFloodLeavesTurnsToOthers) {
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += frame("x");
  peer_sends(flood);
  Texts all;
  start_receiving(all);
  std::size_t seen_by_other = 0;
  context_.poll_one();  // reads all there is
  asio::post(context_, [&] { seen_by_other = all.size(); });
  while (seen_by_other == 0) context_.poll_one();
  EXPECT_LT(seen_by_other, 200u);
  peer_.reset();
  context_.run();
  EXPECT_EQ(all.size(), 1001u);
}

TEST_F(FramedStreamTest, WhatIsSentInOneTurnGoesTogetherAndInOrder) {
  std::string expected;
  for (int i = 0; i < 200; ++i) {
    const std::string one = frame(std::to_string(i));
    EXPECT_FALSE(stream_->send(one));
    expected += one;
  }
  EXPECT_EQ(peer_has(), "") << "at the next turn";
  context_.run();
  EXPECT_EQ(peer_has(), expected);
  EXPECT_EQ(stream_->queued_bytes(), 0u);
}

TEST_F(FramedStreamTest, SendNowWritesBeforeItReturnsAndKeepsTheOrder) {
  EXPECT_FALSE(stream_->send(frame("first")));
  EXPECT_FALSE(stream_->send_now(frame("second")));
  EXPECT_EQ(peer_has(), frame("first") + frame("second"));
  context_.run();
}

TEST_F(FramedStreamTest, TheQueueIsBoundedAndAFullOneTakesNothing) {
  open({.first_body = 100, .body = 100, .queued_bytes = 20});
  EXPECT_FALSE(stream_->send(frame("12345")));
  EXPECT_FALSE(stream_->send(frame("12345")));
  EXPECT_EQ(stream_->send(std::string("x")), Errc::kQueueFull);
  EXPECT_EQ(stream_->queued_bytes(), 20u);
  context_.run();
  context_.restart();
  EXPECT_EQ(peer_has(), frame("12345") + frame("12345"));
  EXPECT_FALSE(stream_->send(frame("again"))) << "there is room again";
  context_.run();
  EXPECT_EQ(peer_has(), frame("again"));
}

TEST_F(FramedStreamTest, AReaderThatIsSlowGetsEverythingAndThenTheEnd) {
  open({.first_body = 100, .body = 100, .queued_bytes = 1 << 24});
  std::string expected;
  for (int i = 0; i < 200; ++i) {
    const std::string one = frame(std::string(50'000, static_cast<char>('a' + i % 26)));
    EXPECT_FALSE(i % 2 == 0 ? stream_->send(one) : stream_->send_now(one));
    expected += one;
  }
  stream_->close_after_flush();
  EXPECT_EQ(stream_->send(frame("no more")), Errc::kClosed);
  std::string all;
  std::thread reader([&] { all = drain(peer_.get()); });
  context_.run();
  reader.join();
  EXPECT_FALSE(stream_->is_open());
  EXPECT_TRUE(all == expected) << all.size() << " of " << expected.size() << " bytes";
}

TEST_F(FramedStreamTest, ClosingAfterNothingClosesAtOnce) {
  stream_->close_after_flush();
  EXPECT_FALSE(stream_->is_open());
  EXPECT_EQ(stream_->native_handle(), -1);
  EXPECT_EQ(drain(peer_.get()), "");
}

TEST_F(FramedStreamTest, ClosingEndsWhoeverReceives) {
  Texts all;
  start_receiving(all);
  context_.poll();
  stream_->close();
  context_.run();
  EXPECT_EQ(all, (Texts{make_error_code(Errc::kClosed).message()}));
  EXPECT_EQ(stream_->send(frame("x")), Errc::kClosed);
}

TEST_F(FramedStreamTest, WhatAPeerSaidBeforeItWentAwayIsStillReceived) {
  peer_sends(frame("refused"));
  ::shutdown(peer_.get(), SHUT_RDWR);
  const auto error = stream_->send_now(frame("register"));
  EXPECT_EQ(error, std::errc::broken_pipe);
  EXPECT_EQ(stream_->send(frame("more")), error);
  const Texts all = received();
  EXPECT_EQ(all, (Texts{"refused", error.message()}));
}

TEST_F(FramedStreamTest, AFailedWriteEndsWhoeverReceives) {
  Texts all;
  start_receiving(all);
  context_.poll();
  ::shutdown(peer_.get(), SHUT_RD);
  EXPECT_FALSE(stream_->send(frame("x")));
  context_.run();
  EXPECT_EQ(all, (Texts{std::make_error_code(std::errc::broken_pipe).message()}));
}

TEST_F(FramedStreamTest, LastWordsNeedNoLoop) {
  Texts all;
  start_receiving(all);
  context_.poll();
  stream_->say_goodbye(frame("bye"));
  EXPECT_EQ(drain(peer_.get()), frame("bye"));
}

TEST_F(FramedStreamTest, LastWordsAreLeftOutWhereTheyWouldCutAFrame) {
  open({.first_body = 100, .body = 100, .queued_bytes = 1 << 24});
  const std::string large = frame(std::string(1 << 23, 'x'));
  EXPECT_FALSE(stream_->send_now(large));
  stream_->say_goodbye(frame("bye"));
  const std::string all = drain(peer_.get());
  EXPECT_TRUE(large.starts_with(all));
}

TEST_F(FramedStreamTest, ItMayBeDestroyedWhileItIsUsed) {
  Texts all;
  start_receiving(all);
  EXPECT_FALSE(stream_->send_now(frame(std::string(200'000, 'x'))));
  EXPECT_FALSE(stream_->send(frame("y")));
  context_.poll();
  stream_.reset();
  ::shutdown(peer_.get(), SHUT_RDWR);
  context_.run();
  EXPECT_EQ(all.size(), 1u);
}

TEST(FramedStreamLifetimeTest, ItMayEndWithItsContext) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const os::UniqueFd peer(ends[1]);
  auto context = std::make_unique<asio::io_context>();
  auto stream = std::make_shared<FramedStream>(context->get_executor(), os::UniqueFd(ends[0]));
  const auto receive = [](std::shared_ptr<FramedStream> from) -> asio::awaitable<void> {
    (void)co_await from->receive();
    ADD_FAILURE() << "nothing comes";
  };
  spawn(context->get_executor(), "reader", receive(stream), [](const char*, std::string_view) {});
  while (!stream->send_now(frame(std::string(50'000, 'x')))) {
  }
  context->poll();
  stream.reset();
  context.reset();  // with a suspended reader and a suspended writer
  char buffer[65536];
  while (::recv(peer.get(), buffer, sizeof(buffer), 0) > 0) {
  }
}

TEST(SpawnTest, AFailureIsReportedWithTheTasksName) {
  asio::io_context context;
  const auto task = [](int what) -> asio::awaitable<void> {
    if (what == 1) throw std::runtime_error("boom");
    if (what == 2) throw 2;
    co_return;
  };
  std::string told;
  const auto note = [&](const char* name, std::string_view what) {
    told += std::string(name) + ": " + std::string(what) + "; ";
  };
  spawn(context.get_executor(), "fine", task(0), note);
  spawn(context.get_executor(), "one", task(1), note);
  spawn(context.get_executor(), "two", task(2), note);
  context.run();
  EXPECT_EQ(told, "one: boom; two: unknown exception; ");
}

}  // namespace
}  // namespace muster::net
