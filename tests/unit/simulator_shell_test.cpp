// The simulator's shell: that it finds what the core must not do to its shell.
#include <chrono>
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "simulator/sim_shell.h"

namespace muster::simulator {
namespace {

class SimShellTest : public ::testing::Test {
 protected:
  SimShellTest() : shell_(4, [](const Event&) {}), broker_(config_, shell_) {}

  core::ConnectionId connect(std::uint32_t connection) {
    shell_.connect(connection, 1);
    return shell_.accept(connection).id;
  }
  core::ConnectionId open() {
    const auto id = connect(1);
    enter();
    return id;
  }
  void enter() { shell_.begin(broker_, core::SteadyTime(std::chrono::hours(1))); }
  // What the core does wrong; empty when nothing is found.
  template <class Call>
  std::string wrong(Call&& call) {
    try {
      call();
    } catch (const Violation& violation) {
      return violation.what();
    }
    return {};
  }

  SimShell shell_;
  const core::Config config_;
  core::Broker broker_;
};

TEST_F(SimShellTest, NobodyCallsItOutOfTurn) {
  const auto id = open();
  shell_.end();
  EXPECT_NE(wrong([&] { shell_.hang_up(id); }), "");
  EXPECT_NE(wrong([&] { (void)shell_.next_broadcast_id(); }), "");
  EXPECT_NE(wrong([&] { shell_.drained(); }), "");
  EXPECT_NE(wrong([&] { shell_.report({}); }), "");
}

TEST_F(SimShellTest, TheCoreIsNotEnteredTwice) {
  enter();
  EXPECT_NE(wrong([&] { enter(); }), "");
}

TEST_F(SimShellTest, AConnectionIsHungUpAndReleasedOnce) {
  const auto id = open();
  EXPECT_EQ(wrong([&] { shell_.hang_up(id); }), "");
  EXPECT_NE(wrong([&] { shell_.hang_up(id); }), "");
  EXPECT_NE(wrong([&] { shell_.send(id, 1, core::CancelNotice{}); }), "");
  EXPECT_EQ(wrong([&] { shell_.release(id); }), "");
  EXPECT_NE(wrong([&] { shell_.release(id); }), "");
  EXPECT_NE(wrong([&] { shell_.send(id, 1, core::CancelNotice{}); }), "");
  EXPECT_NE(wrong([&] { shell_.refuse(id, 1, {RefusalCode::kDenied, "no", {}}, false); }), "");
}

TEST_F(SimShellTest, TheNextUserOfASlotIsNotTheOneBefore) {
  const auto first = open();
  shell_.release(first);
  shell_.end();
  const auto second = connect(2);
  EXPECT_EQ(second.slot, first.slot);
  enter();
  EXPECT_NE(wrong([&] { shell_.send(first, 1, core::CancelNotice{}); }), "");
  EXPECT_EQ(wrong([&] { shell_.send(second, 1, core::CancelNotice{}); }), "");
}

TEST_F(SimShellTest, OperationsToAConnectionComeInOrder) {
  const auto id = open();
  const auto operation = [&](BroadcastId broadcast) {
    OutgoingOperation sent;
    sent.broadcast_id = broadcast;
    return sent;
  };
  EXPECT_EQ(wrong([&] { shell_.send(id, operation(2)); }), "");
  EXPECT_NE(wrong([&] { shell_.send(id, operation(2)); }), "");
  EXPECT_NE(wrong([&] { shell_.send(id, operation(1)); }), "");
}

TEST_F(SimShellTest, ADeadlineMeansSomethingAndIsCancelledWhileItIsArmed) {
  enter();
  EXPECT_NE(wrong([&] { shell_.arm({}, {}); }), "");
  EXPECT_NE(wrong([&] { shell_.arm({0, 1}, {}); }), "") << "the broker knows no such deadline";
  EXPECT_NE(wrong([&] { shell_.cancel({0, 1}); }), "");
}

TEST_F(SimShellTest, ItDrainsOnceAndNothingIsSentAfterwards) {
  const auto id = open();
  EXPECT_EQ(wrong([&] { shell_.drained(); }), "");
  EXPECT_NE(wrong([&] { shell_.send(id, 1, core::CancelNotice{}); }), "");
  EXPECT_NE(wrong([&] { shell_.drained(); }), "");
}

TEST_F(SimShellTest, AQueueOverItsBoundEndsTheConnection) {
  const auto id = open();
  for (std::uint64_t i = 0; i < 4; ++i) shell_.send(id, i, core::CancelNotice{});
  EXPECT_FALSE(shell_.line(1)->too_slow);
  shell_.send(id, 4, core::CancelNotice{});
  EXPECT_TRUE(shell_.line(1)->too_slow);
}

}  // namespace
}  // namespace muster::simulator
