// Beginning and ending: options, stop(), destructors, threads, signals, fork.
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <asio/post.hpp>
#include <gtest/gtest.h>

#include "component/backend_sdk_fixture.h"

namespace muster::test {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

class BackendSdkLifetimeTest : public BackendSdkTest {};
INSTANTIATE_TEST_SUITE_P(Both, BackendSdkLifetimeTest,
                         ::testing::Values(Flavour::kOwnThread, Flavour::kCallersLoop), name_of);

class BackendSdkOwnThreadTest : public BackendSdkTest {
 protected:
  BackendSdkOwnThreadTest() : BackendSdkTest(Flavour::kOwnThread) {}
};

class BackendSdkCallersLoopTest : public BackendSdkTest {
 protected:
  BackendSdkCallersLoopTest() : BackendSdkTest(Flavour::kCallersLoop) {}
};

TEST_P(BackendSdkLifetimeTest, OptionsThatBreakARuleAreRefusedWithASentence) {
  const auto refusal = [&](auto change) {
    BackendOptions wrong = options();
    change(wrong);
    try {
      create(std::move(wrong));
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(refusal([](BackendOptions&) {}), "accepted");
  const auto says = [&](const char* word, auto change) {
    const std::string sentence = refusal(change);
    EXPECT_NE(sentence.find(word), std::string::npos) << sentence;
  };
  says("Zccache", [](BackendOptions& wrong) { wrong.key.service_name = "Zccache"; });
  says("1.4", [](BackendOptions& wrong) { wrong.key.service_version = "1.4"; });
  says("idle timeout", [](BackendOptions& wrong) { wrong.idle_timeout = 0ms; });
  says("labels", [](BackendOptions& wrong) {
    for (int i = 0; i < 17; ++i) wrong.labels["l" + std::to_string(i)] = "";
  });
  says("first_retry", [](BackendOptions& wrong) { wrong.first_retry = 0ms; });
  says("longest_retry", [](BackendOptions& wrong) { wrong.longest_retry = 0ms; });
  says("longest_retry", [](BackendOptions& wrong) { wrong.longest_retry = 25h; });
  says("too long", [](BackendOptions& wrong) { wrong.socket_dir = "/" + std::string(200, 'x'); });
}

TEST_P(BackendSdkLifetimeTest, HandlersAreSetBeforeTheStartWhichIsOnce) {
  create();
  backend_->start();
  EXPECT_THROW(backend_->start(), std::logic_error);
  EXPECT_THROW(backend_->on_quiesce([](Request&) {}), std::logic_error);
}

TEST_P(BackendSdkLifetimeTest, StoppingDeregistersAndWaitsForTheBroker) {
  ScriptedPeer peer = joined([](Request&) {});
  EXPECT_EQ(log_.wait_for("registered"), "registered 1");
  std::thread stopper([this] { backend_->stop(kGenerous); });
  EXPECT_EQ(peer.next(), "Deregister");
  peer.deregistered();
  EXPECT_EQ(peer.next(), "closed");
  stopper.join();
  EXPECT_EQ(log_.wait_for("stopped"), "stopped");
  EXPECT_EQ(backend_->state(), ConnectionState::kStopped);
}

TEST_P(BackendSdkLifetimeTest, StoppingDoesNotWaitForeverForASilentBroker) {
  ScriptedPeer peer = joined([](Request&) {});
  EXPECT_EQ(log_.wait_for("registered"), "registered 1");
  backend_->stop(1ms);
  EXPECT_EQ(log_.wait_for("stopped"), "stopped");
  EXPECT_EQ(peer.next(), "Deregister");
  EXPECT_EQ(peer.next(), "closed");
}

TEST_P(BackendSdkLifetimeTest, StoppingFromAHandlerAnswersFirst) {
  ScriptedPeer peer = joined([&](Request&) { backend_->stop(kGenerous); });
  peer.release(7);
  EXPECT_EQ(peer.next(), "Ack 7");
  EXPECT_EQ(peer.next(), "Deregister");
  peer.deregistered();
  EXPECT_EQ(log_.wait_for("stopped"), "stopped");
}

TEST_P(BackendSdkLifetimeTest, StoppingBeforeTheStartIsTheEnd) {
  create();
  backend_->stop();
  EXPECT_EQ(backend_->state(), ConnectionState::kStopped);
  backend_->start();
  EXPECT_EQ(backend_->state(), ConnectionState::kStopped);
}

TEST_P(BackendSdkLifetimeTest, TheDestructorDeregistersWithoutWaiting) {
  ScriptedPeer peer = joined([](Request&) {});
  EXPECT_EQ(log_.wait_for("registered"), "registered 1");
  backend_.reset();
  EXPECT_EQ(peer.next(), "Deregister");
  EXPECT_EQ(peer.next(), "closed");
  EXPECT_EQ(log_.count("stopped"), 0u) << "no handler is called by the destructor";
}

TEST_P(BackendSdkLifetimeTest, TheDestructorEndsTheWaitForABroker) {
  broker_.reset();
  BackendOptions patient = options();
  patient.first_retry = patient.longest_retry = 24h;
  create(patient);
  backend_->start();
  EXPECT_TRUE(log_.wait_for("connecting").starts_with("connecting: there is no broker"));
  backend_.reset();
}

TEST_P(BackendSdkLifetimeTest, TheDestructorEndsTheWaitForTheAnswerToRegister) {
  create();
  backend_->start();
  ScriptedPeer peer = broker_->accept();
  EXPECT_EQ(peer.next(), "Register zccache 1.4.2");
  backend_.reset();
  EXPECT_EQ(peer.next(), "Deregister");
}

TEST_P(BackendSdkLifetimeTest, TheDestructorDoesNotWaitForABrokerThatDoesNotRead) {
  std::optional<PendingAnswer> owed;
  ScriptedPeer peer = joined([&](Request& request) { owed = request.defer(); });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("handled"), "handled 7");
  const std::string note(1000, 'n');
  for (int i = 0; i < 2000; ++i) owed->working(1s, note);  // more than a socket takes
  backend_.reset();
}

TEST_P(BackendSdkLifetimeTest, TheDestructorWaitsForAHandlerThatRuns) {
  std::atomic<bool> returned = false;
  EventLog from_test;
  ScriptedPeer peer = joined([&](Request&) {
    EXPECT_EQ(from_test.wait_for("go on"), "go on");
    returned = true;
  });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("release"), "release 7 /cache");
  std::thread destroyer([&] {
    backend_.reset();
    EXPECT_TRUE(returned);
  });
  from_test.add("go on");
  destroyer.join();
}

// Calls what it is given when its thread has let go of all that it had.
struct AtThreadExit {
  std::function<void()> call;
  ~AtThreadExit() {
    if (call) call();
  }
};

TEST_P(BackendSdkLifetimeTest, AHandlerMayDestroyItsBackend) {
  const bool has_own_thread = GetParam() == Flavour::kOwnThread;
  ScriptedPeer peer = joined([&](Request&) {
    thread_local AtThreadExit at_exit;
    if (has_own_thread) at_exit.call = [&] { log_.add("thread ended"); };
    backend_.reset();
    log_.add("destroyed");
  });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("destroyed"), "destroyed");
  EXPECT_EQ(log_.wait_for("handled"), "handled 7");
  EXPECT_EQ(peer.next(), "Deregister");
  EXPECT_EQ(peer.next(), "closed");
  // Nobody joins it: it ends by itself, and closes what it has.
  if (has_own_thread) {
    EXPECT_EQ(log_.wait_for("thread ended"), "thread ended");
  }
}

TEST_P(BackendSdkLifetimeTest, AnAnswerMayOutliveItsBackend) {
  std::optional<PendingAnswer> owed;
  ScriptedPeer peer = joined([&](Request& request) { owed = request.defer(); });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("handled"), "handled 7");
  backend_.reset();
  if (loop_) loop_->finish();
  loop_.reset();
  EXPECT_TRUE(owed->cancelled());
  owed->working(1s);
  owed->ack();
  owed.reset();
  EXPECT_EQ(peer.next(), "Deregister");
  EXPECT_EQ(peer.next(), "closed");
}

TEST_P(BackendSdkLifetimeTest, ThreadsMayUseItWhileItLosesItsBroker) {
  BackendOptions wanted = options();
  wanted.idle_timeout = 1min;
  create(wanted);
  std::optional<PendingAnswer> owed;
  on_release([&](Request& request) { owed = request.defer(); });
  backend_->start();
  ScriptedPeer peer = broker_->accept();
  (void)peer.welcome();
  peer.release(7);
  EXPECT_EQ(log_.wait_for("handled"), "handled 7");
  std::atomic<bool> enough = false;
  std::thread user([&] {
    while (!enough) {
      backend_->activity();
      owed->working(1s);
      (void)backend_->state();
    }
  });
  for (Incarnation i = 2; i < 20; ++i) {
    peer.close();
    peer = broker_->accept();
    (void)peer.welcome(i);
    EXPECT_EQ(log_.wait_for("registered"), "registered " + std::to_string(i));
  }
  enough = true;
  user.join();
  owed->ack();
  EXPECT_EQ(peer.next_answer(), "Ack 7");
}

TEST_F(BackendSdkCallersLoopTest, TheLoopEndsByItselfAfterStop) {
  ScriptedPeer peer = joined([](Request&) {});
  EXPECT_EQ(log_.wait_for("registered"), "registered 1");
  backend_->stop(1h);
  EXPECT_EQ(peer.next(), "Deregister");
  peer.deregistered();
  loop_->finish();
  EXPECT_EQ(backend_->state(), ConnectionState::kStopped);
}

TEST_F(BackendSdkCallersLoopTest, LastWordsAreSaidEvenIfTheLoopRunsNoMore) {
  std::optional<PendingAnswer> owed;
  ScriptedPeer peer = joined([&](Request& request) { owed = request.defer(); });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("handled"), "handled 7");
  loop_->stop();
  owed->ack();
  backend_.reset();
  EXPECT_EQ(peer.next(), "Ack 7");
  EXPECT_EQ(peer.next(), "Deregister");
  EXPECT_EQ(peer.next(), "closed");
}

TEST_F(BackendSdkCallersLoopTest, AnAnswerFromALaterTurnOfTheLoopIsWrittenAtOnce) {
  create();
  on_release([this](Request& request) {
    asio::post(loop_->context,
               [answer = std::make_shared<PendingAnswer>(request.defer())] { answer->ack(); });
  });
  backend_->start();
  ScriptedPeer peer = broker_->accept();
  (void)peer.welcome();
  peer.release(7);
  EXPECT_EQ(peer.next(), "Ack 7");
}

TEST_F(BackendSdkOwnThreadTest, SignalsAreLeftToTheDaemonsThreads) {
  sigset_t blocked;
  sigemptyset(&blocked);
  ScriptedPeer peer = joined([&](Request&) { pthread_sigmask(SIG_SETMASK, nullptr, &blocked); });
  peer.release(7);
  EXPECT_EQ(peer.next(), "Ack 7");
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD, SIGPIPE, SIGALRM}) {
    EXPECT_EQ(sigismember(&blocked, signal), 1) << signal;
  }
  EXPECT_EQ(sigismember(&blocked, SIGSEGV), 0) << "a fault is reported where it happens";
  sigset_t ours;
  pthread_sigmask(SIG_SETMASK, nullptr, &ours);
  EXPECT_EQ(sigismember(&ours, SIGTERM), 0) << "the caller's mask is as it was";
}

TEST_F(BackendSdkOwnThreadTest, AForkedChildLeavesItsParentsConnectionAlone) {
  std::optional<PendingAnswer> owed;
  ScriptedPeer peer = joined([&](Request& request) { owed = request.defer(); });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("handled"), "handled 7");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::alarm(20);
    backend_->activity();
    owed->ack();
    backend_->stop(kGenerous);
    backend_.reset();
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  owed->reject("the parent's answer");
  EXPECT_EQ(peer.next(), "Failure 7 Rejected: the parent's answer");
}

}  // namespace
}  // namespace muster::test
