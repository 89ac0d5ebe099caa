// Connections that end, come back, are replaced or belong to processes that exit, and what becomes
// of the broadcasts that were open. Real sockets; other processes are real, too.
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "component/broker_fixture.h"

namespace muster::test {
namespace {

using ::testing::HasSubstr;

class ExitTest : public BrokerFixture {};

TEST_F(ExitTest, AProcessThatExitsFailsAtOnceAndNobodyWaitsForItsTimer) {
  Child child([&](Child::Side& side) {
    auto backend = join_from(side, socket(), "zccache");
    backend.hears();
  });
  ASSERT_EQ(heard_from(child), "registered");
  const auto id = release_handles("/cache");
  EXPECT_EQ(result(id), "release-handles /cache: failed zccache 1.0.0 (backend error)");
  EXPECT_EQ(outcome(id, "zccache").detail, "process exited");
  EXPECT_EQ(outcome(id, "zccache").pid, child.pid());
  EXPECT_EQ(backends(), "dead zccache 1.0.0 (process exited)");
}

TEST_F(ExitTest, AProcessThatIsKilledFailsAtOnce) {
  Child child([&](Child::Side& side) {
    auto backend = join_from(side, socket(), "zccache");
    side.wait_to_be_told();
  });
  ASSERT_EQ(heard_from(child), "registered");
  const auto id = release_handles("/cache");
  child.kill();
  EXPECT_EQ(result(id), "release-handles /cache: failed zccache 1.0.0 (backend error)");
  EXPECT_EQ(outcome(id, "zccache").detail, "process exited");
}

TEST_F(ExitTest, AnAckThatWasWrittenJustBeforeTheExitCounts) {
  Child child([&](Child::Side& side) {
    auto backend = join_from(side, socket(), "zccache");
    backend.hears();
    backend.acks(1);
  });
  ASSERT_EQ(heard_from(child), "registered");
  const auto id = release_handles("/cache");
  child.reap();  // ack, end of stream and exit are all there before the broker looks
  EXPECT_EQ(result(id), "release-handles /cache: acked zccache 1.0.0");
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendDead));
  EXPECT_EQ(backends(), "dead zccache 1.0.0 (process exited)");
}

TEST_F(ExitTest, AnAckBehindMoreThanTheBrokerReadsAtOnceCountsAfterTheExit) {
  Child child([&](Child::Side& side) {
    auto backend = join_from(side, socket(), "zccache");
    const int size = 400'000;
    ::setsockopt(backend.fd(), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    backend.hears();
    std::string bytes;
    while (bytes.size() < 140'000) bytes += wire::encode(0, Activity{});
    backend.send(bytes + wire::encode(1, Ack{}));
  });
  ASSERT_EQ(heard_from(child), "registered");
  const auto id = release_handles("/cache");
  child.reap();
  EXPECT_EQ(result(id), "release-handles /cache: acked zccache 1.0.0");
}

// The socket stays open in a child that says nothing: no end of stream, only the pidfd tells. The
// child may have what the process had.
TEST_F(ExitTest, AProcessThatExitedIsNotDeadWhileAChildHasItsConnection) {
  Child child([&](Child::Side& side) {
    auto backend = join_from(side, socket(), "zccache");
    if (::fork() == 0) {
      ::alarm(20);  // whatever happens, it does not stay
      side.wait_to_be_told();
      side.say("the child ends");
      ::_exit(0);
    }
    backend.hears();
    backend.acks(1);
  });
  ASSERT_EQ(heard_from(child), "registered");
  const auto id = release_handles("/cache");
  const pid_t pid = child.pid();
  child.reap();
  EXPECT_EQ(result(id), "release-handles /cache: acked zccache 1.0.0") << "said before it exited";
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendLost));
  EXPECT_EQ(backends(),
            "lost zccache 1.0.0 (process exited, but another process has its connection)");
  const auto again = release_handles("/cache");
  EXPECT_EQ(result(again), "release-handles /cache: failed zccache 1.0.0 (backend error)");
  EXPECT_EQ(outcome(again, "zccache").detail,
            "process " + std::to_string(pid) +
                " has exited, but another process (a child?) still has its connection");
  EXPECT_EQ(server_->connection_count(), 1u);
  child.tell();
  EXPECT_EQ(heard_from(child), "the child ends");
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendDead));
  EXPECT_EQ(backends(), "dead zccache 1.0.0 (process exited)");
  EXPECT_EQ(server_->connection_count(), 0u);
  EXPECT_EQ(result(release_handles("/cache")),
            "release-handles /cache: skipped dead zccache 1.0.0");
}

struct ShutDown {
  const char* name;
  bool by_child;
  bool before_exit;
};
class ShutDownTest : public ExitTest, public ::testing::WithParamInterface<ShutDown> {};

// The end of what it sends is not the end of who has the socket.
TEST_P(ShutDownTest, AChildThatHasTheConnectionIsNotPassedOver) {
  const ShutDown how = GetParam();
  Child child([&](Child::Side& side) {
    auto backend = join_from(side, socket(), "zccache");
    if (::fork() == 0) {
      ::alarm(20);
      side.wait_to_be_told();
      if (how.by_child) ::shutdown(backend.fd(), SHUT_WR);
      side.say("shut down");
      side.wait_to_be_told();
      ::_exit(0);
    }
    if (!how.by_child) ::shutdown(backend.fd(), SHUT_WR);
    if (!how.before_exit) ::_exit(0);
    backend.hears();  // its broker ends, at the latest
  });
  ASSERT_EQ(heard_from(child), "registered");
  if (how.before_exit) {
    if (how.by_child) {
      child.tell();
      EXPECT_EQ(heard_from(child), "shut down");
    }
    ASSERT_TRUE(run_until_told(Event::Kind::kBackendReconnecting));
    EXPECT_EQ(backends(), "reconnecting zccache 1.0.0 (connection closed)");
    child.kill();
  }
  child.reap();
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendLost));
  const std::string lost =
      "lost zccache 1.0.0 (process exited, but another process has its connection)";
  EXPECT_EQ(backends(), lost);
  if (!how.by_child || !how.before_exit) {
    child.tell();
    EXPECT_EQ(heard_from(child), "shut down");
  }
  settle();
  EXPECT_EQ(backends(), lost);
  EXPECT_EQ(result(release_handles("/cache")),
            "release-handles /cache: failed zccache 1.0.0 (backend error)");
  EXPECT_EQ(server_->connection_count(), 1u);
  child.tell();
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendDead));
  EXPECT_EQ(backends(), "dead zccache 1.0.0 (process exited)");
  EXPECT_EQ(server_->connection_count(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Each, ShutDownTest,
                         ::testing::Values(ShutDown{"ByTheChildAfterTheExit", true, false},
                                           ShutDown{"ByTheChildBeforeTheExit", true, true},
                                           ShutDown{"ByTheProcessThatExits", false, false},
                                           ShutDown{"ByTheProcessThatIsKilledLater", false, true}),
                         [](const auto& of) { return std::string(of.param.name); });

TEST_F(ExitTest, AProcessThatSendsNothingMoreIsDisconnectedAndMayComeBack) {
  auto& half = join("zccache");
  ::shutdown(half.fd(), SHUT_WR);
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendReconnecting));
  const auto id = release_handles("/cache");
  EXPECT_EQ(server_->connection_count(), 1u);
  auto& again = join("zccache");
  EXPECT_EQ(server_->connection_count(), 1u) << "the first one is let go of";
  EXPECT_EQ(half.hears(), "end of stream");
  EXPECT_EQ(again.hears(), "operation " + std::to_string(id) + ": release-handles /cache");
  again.acks(id);
  EXPECT_EQ(result(id), "release-handles /cache: acked zccache 1.0.0");
}

TEST_F(ExitTest, AProcessThatShutDownItsEndAndClosesItIsDisconnectedUntilItExits) {
  Child child([&](Child::Side& side) {
    auto backend = join_from(side, socket(), "zccache");
    ::shutdown(backend.fd(), SHUT_WR);
    side.wait_to_be_told();
    backend.closes();
    side.say("closed");
    side.wait_to_be_told();
  });
  ASSERT_EQ(heard_from(child), "registered");
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendReconnecting));
  child.tell();
  EXPECT_EQ(heard_from(child), "closed");
  ASSERT_TRUE(run_until([&] { return server_->connection_count() == 0; }));
  EXPECT_EQ(backends(), "reconnecting zccache 1.0.0 (connection closed)");
  child.kill();
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendDead));
  EXPECT_EQ(backends(), "dead zccache 1.0.0 (process exited)");
}

TEST_F(ExitTest, AConnectionThatIsShutDownBeforeItRegisteredIsClosed) {
  auto& half = connect();
  ::shutdown(half.fd(), SHUT_WR);
  EXPECT_EQ(half.hears(), "end of stream");
  EXPECT_EQ(server_->connection_count(), 0u);
}

// As a daemon does that connects first and goes to the background then.
TEST_F(ExitTest, AProcessThatExitsRightAfterItRegisteredIsNotDeadWhileAChildHasItsConnection) {
  Child child([&](Child::Side& side) {
    TestBackend backend(socket());
    backend.registers("zccache");
    if (::fork() != 0) return;
    ::alarm(20);
    side.say(backend.hears());
    side.wait_to_be_told();
    ::_exit(0);
  });
  EXPECT_EQ(heard_from(child), "registered");
  child.reap();
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendLost));
  const auto id = release_handles("/cache");
  EXPECT_EQ(result(id), "release-handles /cache: failed zccache 1.0.0 (backend error)");
  child.tell();
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendDead));
}

TEST_F(ExitTest, AProcessThatExitedBeforeItWasAcceptedIsKnownToBeDead) {
  Child child([&](Child::Side&) {
    TestBackend backend(socket());
    backend.registers("zccache");
  });
  child.reap();
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendDead));
  EXPECT_EQ(backends(), "dead zccache 1.0.0 (process exited)");
  EXPECT_EQ(server_->connection_count(), 0u);
}

TEST_F(ExitTest, ANewProcessWithTheKeyOfOneThatDiedWasNotAsked) {
  std::optional<Child> first(std::in_place, [&](Child::Side& side) {
    auto backend = join_from(side, socket(), "zccache");
    backend.hears();
  });
  ASSERT_EQ(heard_from(*first), "registered");
  auto& witness = join("witness");  // keeps the broadcast open
  const auto id = release_handles("/cache");
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendDead));
  auto& successor = join("zccache");
  witness.acks(id);
  EXPECT_EQ(result(id),
            "release-handles /cache: acked witness 1.0.0; failed zccache 1.0.0 (backend error)");
  EXPECT_EQ(successor.has_heard(), "nothing");
  EXPECT_EQ(sink_.count(Event::Kind::kBackendReturned), 0u);
  EXPECT_EQ(sink_.count(Event::Kind::kBackendRegistered), 3u);
}

TEST_F(ExitTest, AProcessThatSharesItsKeyIsNamed) {
  Child first([&](Child::Side& side) {
    auto backend = join_from(side, socket(), "zccache");
    backend.hears();
    side.wait_to_be_told();
  });
  ASSERT_EQ(heard_from(first), "registered");
  join("zccache");
  ASSERT_EQ(sink_.count(Event::Kind::kBackendRegistered), 2u);
  EXPECT_EQ(sink_.events.front().detail, "");
  EXPECT_EQ(sink_.events.back().detail,
            "another process of this user has the same key: this one is replica ~" +
                std::to_string(::getpid()));
}

TEST_F(ExitTest, AProcessThatReturnsAfterItsConnectionWasLostIsNotConfusedWithAnother) {
  Child other([&](Child::Side& side) {
    side.wait_to_be_told();
    auto backend = join_from(side, socket(), "zccache");
    side.say(backend.hears());
  });
  join("zccache").closes();
  const auto id = release_handles("/cache");
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendReconnecting));
  other.tell();
  EXPECT_EQ(heard_from(other), "registered");
  // The other one has a replica of its own, and was not asked; the first is still waited for.
  settle();
  EXPECT_TRUE(is_running(id));
  auto& first = join("zccache");
  EXPECT_EQ(first.hears(), "operation 1: release-handles /cache");
  first.acks(id);
  EXPECT_EQ(result(id), "release-handles /cache: acked zccache 1.0.0");
}

}  // namespace
}  // namespace muster::test
