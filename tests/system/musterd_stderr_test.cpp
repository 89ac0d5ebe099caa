// musterd serves whatever becomes of its standard error. So do backends.
#include <array>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

class MusterdStderrTest : public MusterdTest {
 protected:
  // A musterd that says nothing where a test could read it, and logs at debug.
  [[nodiscard]] Process start_with(std::function<bool()> before_exec) const {
    ProcessOptions options;
    options.before_exec = std::move(before_exec);
    return Process(command({"--log-level", "debug"}), options);
  }
  // Until the socket is there; a loop that stands still ends the test by the backend's patience.
  void until_it_serves(const Process& broker) const {
    for (const auto until = std::chrono::steady_clock::now() + kPatience;;) {
      try {
        EXPECT_EQ(ping(), broker.pid());
        return;
      } catch (const std::exception&) {
        if (std::chrono::steady_clock::now() > until) throw;
        pollfd nothing{-1, 0, 0};
        ::poll(&nothing, 1, 1);
      }
    }
  }
  // Serves operators and backends, with more log lines than any pipe takes, and stops.
  void expect_to_serve(Process broker) const {
    until_it_serves(broker);
    for (int i = 0; i < 60; ++i) {
      TestBackend backend = join("a" + std::to_string(i));
      EXPECT_EQ(ping(), broker.pid());
    }
    EXPECT_EQ(broker.end().status, 0);
  }
};

// musterd closes what it does not know: somebody else holds the end that is read.
TEST_F(MusterdStderrTest, AFullPipeThatNobodyReadsDoesNotStopIt) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const os::UniqueFd reader(ends[0]);
  const os::UniqueFd writer(ends[1]);
  ::fcntl(writer.get(), F_SETPIPE_SZ, 4096);
  ::fcntl(writer.get(), F_SETFL, O_NONBLOCK);
  const std::array<char, 4096> page{};
  while (::write(writer.get(), page.data(), page.size()) > 0) {
  }
  ::fcntl(writer.get(), F_SETFL, 0);
  const int fd = writer.get();
  expect_to_serve(start_with([fd] { return ::dup2(fd, STDERR_FILENO) == STDERR_FILENO; }));
  EXPECT_EQ(::fcntl(writer.get(), F_GETFL) & O_NONBLOCK, 0) << "the flags are others', too";
}

TEST_F(MusterdStderrTest, APipeWhoseReaderIsGoneDoesNotStopIt) {
  expect_to_serve(start_with([] {
    std::array<int, 2> ends{};
    return ::pipe(ends.data()) == 0 && ::dup2(ends[1], STDERR_FILENO) == STDERR_FILENO &&
           ::close(ends[0]) == 0 && ::close(ends[1]) == 0;
  }));
}

TEST_F(MusterdStderrTest, AFullDeviceDoesNotStopIt) {
  expect_to_serve(start_with([] {
    const int fd = ::open("/dev/full", O_WRONLY);
    return fd >= 0 && ::dup2(fd, STDERR_FILENO) == STDERR_FILENO;
  }));
}

TEST_F(MusterdStderrTest, NoStandardDescriptorAtAllDoesNotStopIt) {
  expect_to_serve(start_with([] { return ::close(0) == 0 && ::close(1) == 0 && ::close(2) == 0; }));
}

TEST_F(MusterdStderrTest, AFileThatMayNotGrowDoesNotStopIt) {
  const std::string file = (dir_ / "log").native();
  expect_to_serve(start_with([&file] {
    const rlimit none{0, RLIM_INFINITY};
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT, 0600);
    return ::setrlimit(RLIMIT_FSIZE, &none) == 0 && ::dup2(fd, STDERR_FILENO) == STDERR_FILENO;
  }));
  struct stat found {};
  ASSERT_EQ(::stat(file.c_str(), &found), 0);
  EXPECT_EQ(found.st_size, 0);
}

TEST_F(MusterdStderrTest, AVersionThatCannotBePrintedIsNoSuccess) {
  for (const char* target : {"closed", "/dev/full"}) {
    ProcessOptions options;
    options.before_exec = [target] {
      if (*target == 'c') return ::close(STDOUT_FILENO) == 0;
      return ::dup2(::open(target, O_WRONLY), STDOUT_FILENO) == STDOUT_FILENO;
    };
    EXPECT_EQ(run_program({program("musterd"), "--version"}, options).status, 1) << target;
  }
  EXPECT_EQ(run_program({program("musterd"), "--version"}).status, 0);
}

// Its lines must not go into its socket, which would get the number of a closed standard output.
TEST_F(MusterdStderrTest, ABackendWithoutStandardDescriptorsSpeaksOnlyTheProtocol) {
  Process broker = start();
  ProcessOptions options;
  options.before_exec = [] { return ::close(0) == 0 && ::close(1) == 0 && ::close(2) == 0; };
  Process backend(
      {program("muster-fake-backend"), "--socket-dir", sockets().native(), "--service", "quiet"},
      options);
  broker.wait_for("backend registered");
  ControlClient client(sockets());
  BroadcastRequest request;
  request.operation = BroadcastOperation::release_handles("/cache");
  EXPECT_EQ(to_string(client.broadcast(request).value().result),
            "release-handles /cache: acked quiet 1.0.0");
  EXPECT_EQ(client.status().counters.protocol_errors, 0u);
  EXPECT_EQ(broker.end().status, 0);
}

}  // namespace
}  // namespace muster::test
