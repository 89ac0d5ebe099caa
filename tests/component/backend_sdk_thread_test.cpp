// The connection of a Backend with threads of its own, whatever its handlers and its process do.
#include <ctime>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "component/backend_sdk_fixture.h"

namespace muster::test {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

class BackendSdkThreadTest : public BackendSdkTest {
 protected:
  BackendSdkThreadTest() : BackendSdkTest(Flavour::kOwnThread) {}
};

TEST_F(BackendSdkThreadTest, ABlockedHandlerDoesNotKeepItFromComingBack) {
  EventLog from_test;
  ScriptedPeer peer = joined([&](Request& request) {
    if (request.broadcast_id() == 7) {
      EXPECT_EQ(from_test.wait_for("go on"), "go on");
    }
  });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("release"), "release 7 /cache");
  for (Incarnation i = 2; i < 5; ++i) {
    peer.close();
    peer = broker_->accept();
    EXPECT_EQ(peer.welcome(i), "Register zccache 1.4.2") << "while the handler blocks";
    peer.release(7);  // as the broker does for what is still open
    peer.release(8);
  }
  EXPECT_EQ(log_.count("handled"), 0u);
  from_test.add("go on");
  EXPECT_EQ(peer.next(), "Ack 7");
  EXPECT_EQ(peer.next(), "Ack 8");
  EXPECT_EQ(log_.count("release 7"), 1u);
  EXPECT_EQ(log_.count("release 8"), 1u);
}

TEST_F(BackendSdkThreadTest, CancelReachesAHandlerThatRuns) {
  std::atomic<bool> looked = false;
  ScriptedPeer peer = joined([&](Request& request) {
    while (!request.cancelled()) std::this_thread::yield();
    looked = true;
  });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("release"), "release 7 /cache");
  peer.cancel(7);
  EXPECT_TRUE(peer.next().starts_with("Failure 7 BackendError: the handler gave up"));
  EXPECT_TRUE(looked);
}

TEST_F(BackendSdkThreadTest, WhatIsCancelledBehindABusyHandlerIsNotRun) {
  EventLog from_test;
  ScriptedPeer peer = joined([&](Request& request) {
    if (request.broadcast_id() == 7) {
      EXPECT_EQ(from_test.wait_for("go on"), "go on");
    }
  });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("release"), "release 7 /cache");
  peer.release(8);
  peer.release(9);
  peer.cancel(8);
  peer.quiesce(10);  // answered at once: all before it is read
  EXPECT_TRUE(peer.next().starts_with("Failure 10 UnsupportedOperation"));
  from_test.add("go on");
  EXPECT_EQ(peer.next(), "Ack 7");
  EXPECT_EQ(peer.next(), "Ack 9");
  EXPECT_EQ(log_.count("release 8"), 0u);
}

TEST_F(BackendSdkThreadTest, StopLetsTheHandlerThatRunsAnswer) {
  EventLog from_test;
  ScriptedPeer peer = joined([&](Request&) { EXPECT_EQ(from_test.wait_for("go on"), "go on"); });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("release"), "release 7 /cache");
  std::thread stopper([&] { backend_->stop(kGenerous); });
  from_test.add("go on");
  const std::string first = peer.next();
  EXPECT_EQ(first, "Ack 7");
  EXPECT_EQ(peer.next(), "Deregister");
  peer.deregistered();
  stopper.join();
}

// The handler may get there while start() is still on its way back.
TEST_F(BackendSdkThreadTest, AHandlerMayDestroyItsBackendBeforeStartHasReturned) {
  for (int round = 0; round < 50; ++round) {
    auto* backend = new Backend(options());
    EventLog destroyed;
    backend->on_state([&](const StateChange& change) {
      if (change.state != ConnectionState::kRegistered) return;
      delete backend;
      destroyed.add("destroyed");
    });
    std::thread starter([&] { backend->start(); });
    ScriptedPeer peer = broker_->accept();
    (void)peer.welcome();
    EXPECT_EQ(destroyed.wait_for("destroyed"), "destroyed");
    starter.join();
    EXPECT_EQ(peer.next(), "Deregister");
  }
}

milliseconds cpu_time() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return milliseconds(used.tv_sec * 1000 + used.tv_nsec / 1'000'000);
}

// What a program does that goes into the background the old way, after it made its Backend.
TEST_F(BackendSdkThreadTest, AProgramThatClosesAllItsDescriptorsIsConnectedAgainAndDoesNotSpin) {
  const pid_t daemon = ::fork();
  ASSERT_GE(daemon, 0);
  if (daemon == 0) {
    ::alarm(60);
    Backend backend(options());
    backend.on_release_handles([](Request&) {});
    backend.start();
    while (backend.state() != ConnectionState::kRegistered) std::this_thread::yield();
    closefrom(3);
    // Whatever gets the numbers now is not the SDK's.
    for (int i = 0; i < 8; ++i) (void)::open("/dev/null", O_RDWR);
    const milliseconds before = cpu_time();
    ::poll(nullptr, 0, 500);
    ::_exit(cpu_time() - before < 200ms ? 0 : 1);
  }
  ScriptedPeer peer = broker_->accept();
  (void)peer.welcome();
  ScriptedPeer again = broker_->accept();
  EXPECT_EQ(again.welcome(2), "Register zccache 1.4.2");
  again.release(7);
  EXPECT_EQ(again.next(), "Ack 7");
  int status = -1;
  ASSERT_EQ(::waitpid(daemon, &status, 0), daemon);
  EXPECT_EQ(status, 0) << "CPU time was spent on nothing";
}

// Children that are forked while other threads speak end, whatever locks those held.
TEST_F(BackendSdkThreadTest, ForkingWhileOtherThreadsPostHangsNobody) {
  std::optional<PendingAnswer> owed;
  BackendOptions wanted = options();
  wanted.idle_timeout = 1min;
  wanted.follow_fork = true;
  create(wanted);
  on_release([&](Request& request) { owed = request.defer(); });
  backend_->start();
  ScriptedPeer peer = broker_->accept();
  (void)peer.welcome();
  peer.release(7);
  EXPECT_EQ(log_.wait_for("handled"), "handled 7");
  std::atomic<bool> enough = false;
  std::thread poster([&] {
    while (!enough) {
      owed->working(1s, "note");
      backend_->activity();
    }
  });
  int failed = 0;
  for (int i = 0; i < 100; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(20);
      backend_->activity();
      owed->working(1s, "note");
      ::_exit(0);
    }
    int status = -1;
    if (::waitpid(child, &status, 0) != child || status != 0) ++failed;
  }
  EXPECT_EQ(failed, 0);
  enough = true;
  poster.join();
  owed->ack();
  EXPECT_EQ(peer.next_answer(), "Ack 7");
}

// As a unit with User=www-data has it: another user, and nothing in the environment.
TEST_F(BackendSdkThreadTest, ADaemonWithoutARuntimeDirectoryWaits) {
  const pid_t daemon = ::fork();
  ASSERT_GE(daemon, 0);
  if (daemon == 0) {
    ::alarm(60);
    if (::getuid() == 0 && ::setuid(33) != 0) ::_exit(2);
    ::clearenv();
    BackendOptions bare = options();
    bare.socket_dir.clear();
    std::atomic<bool> told = false;
    Backend backend(bare);
    backend.on_state([&](const StateChange& change) { told = !change.reason.empty(); });
    backend.start();
    while (!told) std::this_thread::yield();
    const ConnectionState state = backend.state();
    backend.stop();
    // Where there is a system's broker it may be refused, or registered; it never aborts.
    ::_exit(state == ConnectionState::kStopped ? 3 : 0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(daemon, &status, 0), daemon);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace muster::test
