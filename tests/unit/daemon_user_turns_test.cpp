// Turns of operators' requests: what one user queues is one share, over all its connections.
#include <chrono>
#include <memory>
#include <string>
#include <sys/types.h>
#include <unistd.h>
#include <vector>

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "musterd/control/user_turns.h"
#include "net/spawn.h"

namespace muster::daemon {
namespace {

using std::chrono::microseconds;

constexpr uid_t kAnna = 70'001;
constexpr uid_t kBert = 70'002;
constexpr uid_t kCarl = 70'003;

// Connections that want turns, on a clock that only their work moves.
class DaemonUserTurnsTest : public ::testing::Test {
 protected:
  struct Connection {
    Connection(DaemonUserTurnsTest& test_of, uid_t uid, char name_of)
        : test(test_of), turn(test_of.turns_, uid), name(name_of) {}
    DaemonUserTurnsTest& test;
    UserTurns::Turn turn;
    char name;
    bool ended = false;
  };

  // As many connections, of which each has as many requests, which take so long.
  void ask(uid_t uid, char name, int connections, int requests, microseconds each) {
    for (int i = 0; i < connections; ++i) {
      auto connection = std::make_unique<Connection>(*this, uid, name);
      net::spawn(loop_.get_executor(), "connection", serve(*connection, requests, each),
                 [](const char*, std::string_view what) { ADD_FAILURE() << what; });
      connections_.push_back(std::move(connection));
    }
  }
  static asio::awaitable<void> serve(Connection& connection, int requests, microseconds each) {
    for (int i = 0; i < requests; ++i) {
      co_await UserTurns::Turn::begin(connection.turn);
      connection.test.order_ += connection.name;
      connection.test.now_ += each;
      connection.turn.end();
    }
    connection.ended = true;
  }

  asio::io_context loop_{1};
  std::chrono::steady_clock::time_point now_{std::chrono::hours(1)};
  std::shared_ptr<UserTurns> turns_ =
      std::make_shared<UserTurns>(loop_.get_executor(), [this] { return now_; });
  std::vector<std::unique_ptr<Connection>> connections_;
  std::string order_;  // in which connections had turns
};

TEST_F(DaemonUserTurnsTest, UsersHaveOneTurnAfterTheOtherHoweverManyConnectionsTheyHave) {
  ask(kAnna, 'a', 60, 3, microseconds(1000));
  ask(kBert, 'b', 1, 5, microseconds(1000));
  ask(kCarl, 'c', 2, 3, microseconds(1500));
  loop_.run();
  EXPECT_EQ(order_.size(), 60U * 3 + 5 + 6);
  EXPECT_EQ(order_.substr(0, 21), "abcabcabcabcabcacaaaa");
}

TEST_F(DaemonUserTurnsTest, TheConnectionsOfAUserShareATurn) {
  ask(kAnna, 'a', 4, 100, microseconds(100));
  ask(kBert, 'b', 1, 30, microseconds(100));
  loop_.run();
  const std::string ten_of_a(10, 'a');
  const std::string ten_of_b(10, 'b');
  EXPECT_EQ(order_.substr(0, 60), ten_of_a + ten_of_b + ten_of_a + ten_of_b + ten_of_a + ten_of_b);
}

TEST_F(DaemonUserTurnsTest, WhoAsksForLittleDoesNotWaitForTheQueuesOfOthers) {
  ask(kAnna, 'a', 60, 10, microseconds(1000));
  ASSERT_EQ(loop_.poll_one() + loop_.poll_one(), 2U);
  ask(kBert, 'b', 3, 1, microseconds(10));
  loop_.run();
  EXPECT_LT(order_.find("bbb"), 4U) << order_.substr(0, 40);
}

TEST_F(DaemonUserTurnsTest, TheBrokersOwnUserHasEverySecondTurnWhenItWaits) {
  ask(kAnna, 'a', 10, 4, microseconds(1000));
  ask(kBert, 'b', 10, 4, microseconds(1000));
  ask(::geteuid(), 'o', 2, 4, microseconds(1000));
  loop_.run();
  // At first each has a turn, as nobody has used one up.
  EXPECT_EQ(order_.substr(0, 16),
            "aboo"
            "aobo"
            "aobo"
            "aobo")
      << order_;
}

TEST_F(DaemonUserTurnsTest, ATurnIsOverWhenItsUserHasUsedItUp) {
  ask(kAnna, 'a', 1, 1, microseconds(700));
  loop_.run();
  Connection other(*this, kAnna, 'a');
  EXPECT_FALSE(other.turn.is_over()) << "it has none";
  net::spawn(loop_.get_executor(), "other", UserTurns::Turn::begin(other.turn), {});
  loop_.restart();
  loop_.run();
  EXPECT_FALSE(other.turn.is_over());
  now_ += microseconds(299);
  EXPECT_FALSE(other.turn.is_over());
  now_ += microseconds(1);
  EXPECT_TRUE(other.turn.is_over()) << "the other connection used the rest";
}

// A long step is over: whoever of that user asks next, after the loop has looked at its sockets,
// is no crowd.
TEST_F(DaemonUserTurnsTest, WhatWasUsedUpCountsUntilTheLoopHasLookedAtItsSocketsAgain) {
  ask(kAnna, 'a', 1, 1, microseconds(20'000));
  loop_.run();
  loop_.restart();
  ask(kBert, 'b', 1, 1, microseconds(10));
  const auto handlers = loop_.run();
  loop_.restart();
  ask(kAnna, 'c', 1, 1, microseconds(10));
  EXPECT_EQ(loop_.run(), handlers) << "it waited, and the other did not";
  EXPECT_EQ(order_, "abc");
}

TEST_F(DaemonUserTurnsTest, WhoLeavesWhileItWaitsHoldsNobodyUp) {
  ask(kAnna, 'a', 3, 2, microseconds(1000));
  ASSERT_GT(loop_.poll_one() + loop_.poll_one() + loop_.poll_one(), 0U);
  connections_[1]->turn.cancel();
  connections_[2]->turn.cancel();
  loop_.run();
  for (const auto& connection : connections_) EXPECT_TRUE(connection->ended);
  // Whose connections are all gone has its place again.
  connections_.clear();
  ask(kAnna, 'a', 1, 1, microseconds(10));
  loop_.restart();
  loop_.run();
  EXPECT_TRUE(connections_.front()->ended);
}

}  // namespace
}  // namespace muster::daemon
