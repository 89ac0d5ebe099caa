// A Backend in a process that forks: who is the backend, and what the child makes of its copy.
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include <asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "muster/backend.h"

#include "os/listener.h"
#include "os/unique_fd.h"
#include "support/child.h"
#include "support/sanitized.h"
#include "support/scripted_broker.h"
#include "support/temp_dir.h"

namespace muster::test {
namespace {

// How many of this process' descriptors are connected to a socket at `path`.
int connections_to(const std::string& path) {
  constexpr int kMostDescriptors = 256;
  int count = 0;
  for (int fd = 0; fd < kMostDescriptors; ++fd) {
    sockaddr_un peer{};
    socklen_t length = sizeof(peer);
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0) continue;
    if (peer.sun_family == AF_UNIX && path == peer.sun_path) ++count;
  }
  return count;
}

class BackendSdkForkTest : public ::testing::Test {
 protected:
  [[nodiscard]] BackendOptions options() const {
    BackendOptions options;
    options.key.service_name = "forks";
    options.key.service_version = "1.0.0";
    options.socket_dir = dir_.path();
    options.first_retry = std::chrono::milliseconds(1);
    options.longest_retry = std::chrono::milliseconds(10);
    options.follow_fork = true;
    return options;
  }
  // Tells all that it is told, and in which process.
  static void tell_all(Backend& backend, Child::Side& side) {
    const pid_t made_in = ::getpid();
    const auto where = [made_in] { return ::getpid() == made_in ? "parent " : "child "; };
    backend.on_state([&side, where](const StateChange& change) {
      const char* names[] = {"connecting", "registered", "refused", "stopped"};
      std::string text = where() + std::string(names[static_cast<int>(change.state)]);
      if (!change.reason.empty()) text += ": " + change.reason;
      side.say(text);
    });
    backend.on_release_handles([&side, where](Request& request) {
      side.say(where() + std::string("releases ") + std::string(request.path_prefix()));
    });
  }
  TempDir dir_;
  ScriptedBroker broker_{dir_.path()};
};

TEST_F(BackendSdkForkTest, WhenTheParentHasExitedTheChildIsTheBackendByItself) {
  if (kThreadSanitized) {
    GTEST_SKIP() << "ThreadSanitizer forbids a thread after a fork, so the SDK makes none";
  }
  Child parent([&](Child::Side& side) {
    Backend backend(options());
    tell_all(backend, side);
    backend.start();
    side.wait_to_be_told();
    if (::fork() != 0) {
      for (;;) ::pause();
    }
    ::alarm(120);
    side.wait_to_be_told();  // or the test's end
  });
  ScriptedPeer first = broker_.accept();
  (void)first.welcome(1);
  EXPECT_EQ(parent.hear(), "parent registered");
  parent.tell();
  EXPECT_EQ(
      parent.hear(),
      "child connecting: the process that this one was forked from lives, and is the backend");
  first.release(7, "/cache");
  EXPECT_EQ(parent.hear(), "parent releases /cache");
  EXPECT_EQ(first.next(), "Ack 7");
  parent.kill();
  EXPECT_EQ(first.next(), "closed") << "the child has let go of it";

  ScriptedPeer second = broker_.accept();
  const Registration again = second.registration();
  EXPECT_EQ(again.key.to_string(), "forks 1.0.0");
  second.registered(2);
  EXPECT_EQ(parent.hear(), "child registered");
  second.release(8, "/srv");
  EXPECT_EQ(parent.hear(), "child releases /srv");
  EXPECT_EQ(second.next(), "Ack 8");
  parent.tell();
  EXPECT_EQ(second.next(), "Deregister");
}

TEST_F(BackendSdkForkTest, ADaemonThatForksTwiceGoesOnInTheLast) {
  if (kThreadSanitized) {
    GTEST_SKIP() << "ThreadSanitizer forbids a thread after a fork, so the SDK makes none";
  }
  Child parent([&](Child::Side& side) {
    Backend backend(options());
    tell_all(backend, side);
    backend.start();
    side.wait_to_be_told();
    if (::fork() != 0) ::_exit(0);
    if (::fork() != 0) ::_exit(0);
    ::alarm(120);
    side.wait_to_be_told();
  });
  ScriptedPeer first = broker_.accept();
  (void)first.welcome(1);
  EXPECT_EQ(parent.hear(), "parent registered");
  parent.tell();
  EXPECT_EQ(first.next(), "closed");
  // The one in the middle may get as far as to connect, and to register, before it exits.
  const auto answers = [](ScriptedPeer& peer) {
    try {
      if (!peer.next().starts_with("Register")) return false;
      peer.registered(2);
      peer.release(8, "/srv");
      return peer.next() == "Ack 8";
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::broken_pipe) throw;
      return false;
    }
  };
  for (;;) {
    ScriptedPeer next = broker_.accept();
    if (answers(next)) break;
  }
  parent.tell();
}

TEST_F(BackendSdkForkTest, ByDefaultAChildDoesNothingAndHoldsNothing) {
  Child parent([&](Child::Side& side) {
    BackendOptions alone = options();
    alone.follow_fork = BackendOptions().follow_fork;
    std::optional<Backend> backend(std::in_place, std::move(alone));
    tell_all(*backend, side);
    backend->start();
    side.wait_to_be_told();
    if (::fork() == 0) {
      ::alarm(120);
      backend->activity();
      backend->stop();
      backend.reset();
      side.say("child is there");
      side.wait_to_be_told();
      ::_exit(0);
    }
    for (;;) ::pause();
  });
  ScriptedPeer peer = broker_.accept();
  (void)peer.welcome(1);
  EXPECT_EQ(parent.hear(), "parent registered");
  parent.tell();
  EXPECT_EQ(parent.hear(), "child is there");
  peer.release(7, "/cache");
  EXPECT_EQ(parent.hear(), "parent releases /cache");
  EXPECT_EQ(peer.next(), "Ack 7");
  parent.kill();
  EXPECT_EQ(peer.next(), "closed") << "though the child lives";
  parent.tell();
}

TEST_F(BackendSdkForkTest, OneThatIsStartedAfterTheForkIsTheChildsAlone) {
  if (kThreadSanitized) {
    GTEST_SKIP() << "ThreadSanitizer forbids a thread after a fork, so the SDK makes none";
  }
  Child parent([&](Child::Side& side) {
    Backend backend(options());
    tell_all(backend, side);
    if (::fork() != 0) {
      for (;;) ::pause();
    }
    ::alarm(120);
    backend.start();
    side.wait_to_be_told();
  });
  ScriptedPeer peer = broker_.accept();
  (void)peer.welcome(1);
  EXPECT_EQ(parent.hear(), "child registered");
  parent.tell();
  EXPECT_EQ(peer.next(), "Deregister");
}

TEST_F(BackendSdkForkTest, AHandlerMayForkForAProgram) {
  Child parent([&](Child::Side& side) {
    Backend backend(options());
    backend.on_release_handles([&](Request&) {
      const pid_t helper = ::fork();
      if (helper == 0) {
        ::execl("/bin/true", "true", nullptr);
        ::_exit(9);
      }
      int status = -1;
      (void)::waitpid(helper, &status, 0);
      side.say("helper ended with " + std::to_string(status));
    });
    backend.start();
    side.wait_to_be_told();
  });
  ScriptedPeer peer = broker_.accept();
  (void)peer.welcome(1);
  peer.release(7, "/cache");
  EXPECT_EQ(parent.hear(), "helper ended with 0");
  EXPECT_EQ(peer.next(), "Ack 7");
  parent.tell();
  EXPECT_EQ(peer.next(), "Deregister");
}

// A child has no part in the connection, at whatever moment of connecting it was forked.
TEST_F(BackendSdkForkTest, AForkWhileItConnectsLeavesTheChildNoConnection) {
  constexpr int kBackends = 8;
  constexpr int kForks = 100;
  const std::string socket = dir_.path() / "moody" / "backend.sock";
  std::filesystem::create_directory(dir_.path() / "moody");
  Child parent([&](Child::Side& side) {
    auto listening = os::listen_unix(socket, 0600);
    std::thread broker([&] {
      for (pollfd ready{listening.socket.get(), POLLIN, 0};;) {
        if (::poll(&ready, 1, -1) != 1) continue;
        const os::UniqueFd closed(::accept4(ready.fd, nullptr, nullptr, SOCK_CLOEXEC));
      }
    });
    std::deque<Backend> backends;
    for (int i = 0; i < kBackends; ++i) {
      BackendOptions moody = options();
      moody.socket_dir = dir_.path() / "moody";
      moody.key.replica = std::to_string(i);
      moody.longest_retry = moody.first_retry;
      moody.follow_fork = false;
      backends.emplace_back(std::move(moody)).start();
    }
    int connected = 0;
    for (int i = 0; i < kForks; ++i) {
      const pid_t child = ::fork();
      if (child == 0) ::_exit(connections_to(socket));
      int status = -1;
      if (::waitpid(child, &status, 0) != child || status != 0) ++connected;
    }
    side.say(std::to_string(connected) + " children with a connection");
    ::_exit(0);
  });
  EXPECT_EQ(parent.hear(), "0 children with a connection");
}

// The caller forks with its loop in hand, and says nothing to Asio: the child leaves it alone.
TEST_F(BackendSdkForkTest, OnACallersLoopAChildDoesNothingAndHoldsNothing) {
  Child parent([&](Child::Side& side) {
    asio::io_context loop;
    auto backend = std::make_unique<Backend>(options(), loop);
    tell_all(*backend, side);
    backend->start();
    while (backend->state() != ConnectionState::kRegistered) loop.run_one();
    if (::fork() == 0) {
      ::alarm(120);
      loop.notify_fork(asio::execution_context::fork_child);
      loop.poll();  // what is left of the parent's connection
      backend.reset();
      side.say("child is there");
      side.wait_to_be_told();
      ::_exit(0);
    }
    loop.run();
  });
  ScriptedPeer peer = broker_.accept();
  (void)peer.welcome(1);
  // The child may be the first to speak: the parent's handler runs after its state has changed.
  const std::string first = parent.hear();
  const std::string second = parent.hear();
  EXPECT_THAT((std::vector{first, second}),
              ::testing::UnorderedElementsAre("parent registered", "child is there"));
  peer.release(7, "/cache");
  EXPECT_EQ(parent.hear(), "parent releases /cache");
  EXPECT_EQ(peer.next(), "Ack 7");
  parent.kill();
  EXPECT_EQ(peer.next(), "closed") << "though the child lives";
  parent.tell();
}

}  // namespace
}  // namespace muster::test
