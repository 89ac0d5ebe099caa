// Its place in the file system: musterd notices that nobody can find it any more, within 2 s.
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "os/listener.h"
#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

using std::chrono::steady_clock;

class MusterdPlaceTest : public MusterdTest {
 protected:
  void expect_it_serves_again(Process& broker, steady_clock::time_point since) {
    broker.wait_for("sockets were deleted, made them again");
    EXPECT_LT(steady_clock::now() - since, std::chrono::seconds(kSanitized ? 10 : 2));
    EXPECT_EQ(ping(), broker.pid());
    join("late").closes();
  }
  // The socket that `process` has at `path`.
  static os::UniqueFd listener_of(pid_t process, const std::string& path) {
    const os::UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
    for (int number = 0; number < 1024; ++number) {
      os::UniqueFd taken(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), number, 0)));
      sockaddr_un address{};
      socklen_t size = sizeof(address);
      int listens = 0;
      socklen_t of_flag = sizeof(listens);
      if (taken && ::getsockname(taken.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
          address.sun_family == AF_UNIX && path == address.sun_path &&
          ::getsockopt(taken.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &of_flag) == 0 &&
          listens == 1) {
        return taken;
      }
    }
    return {};
  }
};

TEST_F(MusterdPlaceTest, MakesItsSocketsAgainWhateverWasTakenAway) {
  Process broker = start({"--state-dir", (dir_ / "state").native()});
  TestBackend a = join("a");
  for (const auto* gone : {"", "backend.sock", "control.sock", "musterd.lock"}) {
    SCOPED_TRACE(gone);
    const auto since = steady_clock::now();
    std::filesystem::remove_all(gone[0] == '\0' ? sockets() : sockets() / gone);
    expect_it_serves_again(broker, since);
  }
  const auto since = steady_clock::now();
  std::filesystem::rename(sockets(), dir_ / "moved");
  expect_it_serves_again(broker, since);
  // Who was connected stays so.
  EXPECT_EQ(ControlClient(sockets()).backends().front().key.service_name, "a");
  EXPECT_EQ(broker.end().status, 0);
  EXPECT_FALSE(std::filesystem::exists(backend_socket()));
}

// The first one is stopped: whether it has noticed yet does not count.
TEST_F(MusterdPlaceTest, ASecondBrokerIsRefusedWhateverWasDoneToTheDirectory) {
  const std::filesystem::path root = dir_ / "root";
  const std::filesystem::path place = root / "s";
  const auto broker_there = [&](const std::filesystem::path& directory, const std::string& state) {
    return musterd({"--socket-dir", directory.native(), "--transport", test_transport(),
                    "--state-dir", (dir_ / state).native()});
  };
  const auto remove = [](const std::filesystem::path& what) { std::filesystem::remove_all(what); };
  const std::vector<std::pair<std::string, std::function<void()>>> cases = {
      {"removed", [&] { remove(place); }},
      {"its files removed",
       [&] {
         remove(place);
         std::filesystem::create_directory(place);
       }},
      {"moved away", [&] { std::filesystem::rename(place, root / "moved"); }},
      {"removed with its parent",
       [&] {
         remove(root);
         std::filesystem::create_directory(root);
       }},
  };
  for (const auto& [what, happens] : cases) {
    SCOPED_TRACE(what);
    std::filesystem::create_directories(root);
    Process first(broker_there(place, "state"));
    first.wait_for("listening");
    TestBackend a(place / "backend.sock");
    a.registers("a");
    ASSERT_EQ(a.hears(), "registered");
    first.signal(SIGSTOP);
    happens();
    const Finished second = run_program(broker_there(place, "other"));
    EXPECT_EQ(second.status, 1);
    EXPECT_EQ(without_time(second.err),
              "error   another broker (pid " + std::to_string(first.pid()) + ") already serves " +
                  place.native() + ": stop it first, or choose another directory");
    EXPECT_FALSE(std::filesystem::exists(place / "control.sock")) << "nobody can ask the second";
    first.signal(SIGCONT);
    first.wait_for("sockets were deleted, made them again");
    EXPECT_EQ(ControlClient(place).backends().front().key.service_name, "a");
    first.end(SIGKILL);  // it would wait for the backend
    remove(root);
  }
}

TEST_F(MusterdPlaceTest, ASecondBrokerIsRefusedWhateverNameTheDirectoryHas) {
  const std::filesystem::path real = dir_ / "real";
  std::filesystem::create_directory(real);
  std::filesystem::create_directory_symlink(real, dir_ / "link");
  std::filesystem::create_directory_symlink(real / "s", sockets());
  std::filesystem::create_directory(real / "s");
  for (const auto& name : {dir_ / "link" / "s", real / "s", real / "s" / "", sockets()}) {
    SCOPED_TRACE(name);
    Process first = start({"--state-dir", (dir_ / "state").native()});
    first.signal(SIGSTOP);
    std::filesystem::remove_all(real / "s");
    if (name == sockets()) std::filesystem::remove(sockets());
    const Finished second = run_program(
        musterd({"--socket-dir", name.native(), "--state-dir", (dir_ / "other").native()}));
    EXPECT_EQ(second.status, 1);
    EXPECT_NE(second.err.find("another broker (pid " + std::to_string(first.pid())),
              std::string::npos)
        << second.err;
    first.signal(SIGCONT);
    first.end(SIGKILL);
    std::filesystem::create_directory(real / "s");
  }
}

TEST_F(MusterdPlaceTest, ASecondBrokerIsRefusedWhoseStateDirectoryWasRemoved) {
  Process first = start({"--state-dir", (dir_ / "state").native()});
  first.signal(SIGSTOP);
  // It may still be writing, until the signal has arrived.
  for (std::error_code again; std::filesystem::exists(dir_ / "state");) {
    std::filesystem::remove_all(dir_ / "state", again);
  }
  const Finished second = run_program(
      musterd({"--socket-dir", (dir_ / "t").native(), "--state-dir", (dir_ / "state").native()}));
  EXPECT_EQ(second.status, 1);
  EXPECT_NE(second.err.find("another broker (pid " + std::to_string(first.pid()) +
                            ") keeps its state in " + (dir_ / "state").native()),
            std::string::npos)
      << second.err;
  EXPECT_FALSE(std::filesystem::exists(dir_ / "t" / "control.sock")) << "it never let anybody in";
  first.signal(SIGCONT);
  first.wait_for("the broadcast ids were deleted, writing them again");
  EXPECT_EQ(first.end().status, 0);
}

TEST_F(MusterdPlaceTest, ABrokerThatIsGoneKeepsNobodyAway) {
  for (const int signal : {SIGKILL, SIGTERM}) {
    Process first = start({"--state-dir", (dir_ / "state").native()});
    first.end(signal);
    std::filesystem::remove_all(sockets());
    Process second = start({"--state-dir", (dir_ / "state").native()});
    EXPECT_EQ(ping(), second.pid());
  }
}

// One in another network namespace is not seen before it holds the lock of the new directory.
TEST_F(MusterdPlaceTest, EndsWithAFailureWhenAnotherBrokerIsThereNow) {
  Process first = start({"--state-dir", (dir_ / "state").native()});
  std::filesystem::remove_all(sockets());
  const auto second = os::SocketDirClaim::claim(sockets());
  ASSERT_EQ(second.problem, "");
  const std::string why = first.wait_for("cannot be made again, exiting");
  EXPECT_NE(why.find("another broker (pid " + std::to_string(::getpid()) + ")"), std::string::npos)
      << why;
  EXPECT_EQ(first.finish().status, 1);
}

TEST_F(MusterdPlaceTest, EndsWithoutWritingWhereAnotherBrokerHasItsStateNow) {
  const std::filesystem::path state = dir_ / "state";
  Process first = start({"--state-dir", state.native()});
  join("a").closes();  // all that a start writes is written by then
  first.signal(SIGSTOP);
  // It may still be writing, until the signal has arrived.
  for (std::error_code again; std::filesystem::exists(state);) {
    std::filesystem::remove_all(state, again);
  }
  std::filesystem::create_directory(state);
  const os::UniqueFd other(::open(state.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(other.get(), LOCK_EX | LOCK_NB), 0);
  first.signal(SIGCONT);
  first.wait_for("another broker uses the state directory, exiting without writing there");
  EXPECT_EQ(first.finish().status, 1);
  EXPECT_TRUE(std::filesystem::is_empty(state));
}

// By a process that got the descriptor, as the service manager or a tracer can.
TEST_F(MusterdPlaceTest, MakesASocketAgainThatAnotherProcessShutDown) {
  for (const std::string_view transport : {"epoll", "io_uring"}) {
    Process broker(musterd({"--socket-dir", sockets().native(), "--transport",
                            std::string(transport), "--state-dir", (dir_ / "state").native()}));
    if (broker.wait_for("listening").find("transport=" + std::string(transport)) ==
        std::string::npos) {
      GTEST_SKIP() << "no io_uring here";
    }
    TestBackend a = join("a");
    for (const char* name : {"backend.sock", "control.sock"}) {
      SCOPED_TRACE(std::string(transport) + ' ' + name);
      const auto since = steady_clock::now();
      const os::UniqueFd shared = listener_of(broker.pid(), (sockets() / name).native());
      ASSERT_TRUE(shared);
      ASSERT_EQ(::shutdown(shared.get(), SHUT_RDWR), 0);
      EXPECT_NE(broker.wait_for("sockets were shut down by another process, made them again")
                    .find("gone=" + (sockets() / name).native()),
                std::string::npos);
      EXPECT_LT(steady_clock::now() - since, std::chrono::seconds(kSanitized ? 10 : 2));
      EXPECT_EQ(ping(), broker.pid());
      join("late").closes();
    }
    EXPECT_EQ(ControlClient(sockets()).backends().front().key.service_name, "a");
    broker.end(SIGKILL);  // it would wait for the backend
  }
}

TEST_F(MusterdPlaceTest, EndsWithAFailureWhenAForeignSocketIsInItsPlace) {
  Process broker = start({"--state-dir", (dir_ / "state").native()});
  std::filesystem::remove(backend_socket());
  const auto foreign = os::listen_unix(backend_socket(), 0600);
  ASSERT_EQ(foreign.problem, "");
  broker.wait_for("cannot be made again, exiting");
  EXPECT_EQ(broker.finish().status, 1);
  EXPECT_TRUE(std::filesystem::exists(backend_socket())) << "it is not its own";
}

}  // namespace
}  // namespace muster::test
