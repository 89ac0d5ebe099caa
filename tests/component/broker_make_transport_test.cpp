// Which transport is made of a name, and what is said when it cannot be had.
#include <stdexcept>
#include <string>
#include <string_view>

#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "broker/transport.h"
#include "component/deaf_events.h"
#include "support/child.h"
#include "support/forbid_io_uring.h"

namespace muster::broker {
namespace {

// "epoll", "epoll, for <why>", "error: <sentence>"
std::string made(std::string_view kind) {
  asio::io_context context;
  test::DeafEvents deaf;
  try {
    std::string fell_back;
    const auto transport = make_transport(kind, context, 1, deaf, &fell_back);
    return std::string(transport->name()) + (fell_back.empty() ? "" : ", for " + fell_back);
  } catch (const std::exception& e) {
    return std::string("error: ") + e.what();
  }
}

std::string made_without_io_uring(std::string_view kind) {
  test::Child child([&](test::Child::Side& side) {
    test::forbid_io_uring();
    side.say(made(kind));
  });
  return child.hear();
}

constexpr const char* kNotAllowed =
    "io_uring is not allowed here (kernel.io_uring_disabled or a system call filter): Operation "
    "not permitted";

TEST(MakeTransportTest, EpollIsThereAlways) {
  EXPECT_EQ(made("epoll"), "epoll");
  EXPECT_EQ(made_without_io_uring("epoll"), "epoll");
}

TEST(MakeTransportTest, AutoIsIoUringWhereItCanBeHad) {
  const std::string io_uring = made("io_uring");
  if (io_uring.starts_with("error")) GTEST_SKIP() << io_uring;
  EXPECT_EQ(io_uring, "io_uring");
  EXPECT_EQ(made("auto"), "io_uring");
}

TEST(MakeTransportTest, AutoIsEpollWhereIoUringCannotBeHadAndSaysWhy) {
  EXPECT_EQ(made_without_io_uring("auto"), std::string("epoll, for ").append(kNotAllowed));
}

TEST(MakeTransportTest, IoUringThatCannotBeHadIsAnErrorThatSaysWhyAndWhatToDo) {
  EXPECT_EQ(made_without_io_uring("io_uring"),
            std::string("error: transport io_uring unavailable, use auto or epoll: ")
                .append(kNotAllowed));
}

TEST(MakeTransportTest, AnUnknownKindIsRefusedWithTheOnesThereAre) {
  EXPECT_EQ(made("pigeon"),
            "error: the transport 'pigeon' is not known: use auto, epoll or io_uring");
}

}  // namespace
}  // namespace muster::broker
