// musterctl with standard streams of any kind: no byte goes where it does not belong, and none is
// lost without a word.
#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <poll.h>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/unique_fd.h"
#include "support/process.h"
#include "system/musterctl_fixture.h"

namespace muster::test {
namespace {

enum class Stream { kClosed, kFull, kNobodyReads };

// Makes `fd` such a stream, in a child before it becomes the program.
std::function<bool()> with(int fd, Stream kind) {
  return [fd, kind] {
    if (kind == Stream::kClosed) return ::close(fd) == 0;
    if (kind == Stream::kFull) {
      const int full = ::open("/dev/full", O_WRONLY);
      return full >= 0 && ::dup2(full, fd) == fd && (full == fd || ::close(full) == 0);
    }
    int ends[2];
    if (::pipe(ends) != 0) return false;
    return ::dup2(ends[1], fd) == fd && ::close(ends[0]) == 0 && ::close(ends[1]) == 0;
  };
}

class MusterctlStreams : public Musterctl {
 protected:
  Finished ctl_with(int fd, Stream kind, std::vector<std::string> arguments) {
    auto options = programs.options();
    options.before_exec = with(fd, kind);
    return test::run_program(programs.command(std::move(arguments)), options);
  }
};

constexpr Stream kAllKinds[] = {Stream::kClosed, Stream::kFull, Stream::kNobodyReads};

const std::vector<std::vector<std::string>> kCommands = {
    {"release-handles", "/usr"},
    {"release-handles", "--json", "/usr"},
    {"quiesce"},
    {"quiesce", "--detach"},
    {"quiesce", "--dry-run"},
    {"backends"},
    {"status", "--json"},
    {"result"},
    {"result", "--wait"},
    {"ping"},
    {"watch"},
    {"--help"},
    {"explain-policy", "--uid", "0"},
};

TEST_F(MusterctlStreams, OutputThatIsLostIsStatusSeventyFourWhateverTheVerdict) {
  backend("soldr");
  ASSERT_EQ(programs.ctl({"quiesce"}).status, 0);
  for (const Stream kind : kAllKinds) {
    for (const auto& command : kCommands) {
      // A full disk shows at the first event: see below.
      if (command.front() == "watch" && kind == Stream::kFull) continue;
      const Finished finished = ctl_with(STDOUT_FILENO, kind, command);
      EXPECT_EQ(finished.status, 74) << command.front() << ' ' << static_cast<int>(kind) << '\n'
                                     << finished.err;
      EXPECT_EQ(finished.out, "");
    }
  }
  EXPECT_EQ(programs.ctl({"status"}).status, 0);
}

// The kernel has a signal for it, which would end musterctl without a word.
TEST_F(MusterctlStreams, AFileThatMayNotGrowIsLostOutput) {
  backend("soldr");
  const std::string file = (programs.dir() / "report").native();
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"release-handles", "/usr"}, {"quiesce", "--json"}, {"backends"}, {"--help"}}) {
    auto options = programs.options();
    options.before_exec = [&file] {
      const rlimit none{0, 0};
      const int fd = ::open(file.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
      return ::setrlimit(RLIMIT_FSIZE, &none) == 0 && ::dup2(fd, STDOUT_FILENO) == STDOUT_FILENO;
    };
    const Finished finished = test::run_program(programs.command(command), options);
    EXPECT_EQ(finished.status, 74) << command.front();
    EXPECT_NE(finished.err.find("musterctl: its output could not be written and is not complete\n"),
              std::string::npos)
        << finished.err;
  }
}

TEST_F(MusterctlStreams, AWatchEndsWithTheFirstEventThatIsLost) {
  auto options = programs.options();
  options.before_exec = with(STDOUT_FILENO, Stream::kFull);
  Process watch(programs.command({"watch"}), options);
  watch.wait_for("watching");
  backend("soldr");
  EXPECT_EQ(watch.finish().status, 74);
}

TEST_F(MusterctlStreams, QuietNeedsNoOutput) {
  backend("soldr");
  for (const Stream kind : kAllKinds) {
    EXPECT_EQ(ctl_with(STDOUT_FILENO, kind, {"quiesce", "-q"}).status, 0);
    EXPECT_EQ(ctl_with(STDOUT_FILENO, kind, {"result", "-q", "--wait"}).status, 0);
    EXPECT_EQ(ctl_with(STDOUT_FILENO, kind, {"ping", "-q"}).status, 0);
  }
}

// The report is all there, and the broker got nothing else. Who closes standard error wants no
// progress; anywhere else it is lost output.
TEST_F(MusterctlStreams, ProgressThatIsLostIsStatusSeventyFourAndTheReportIsWhole) {
  Process& soldr = backend("soldr");
  for (const Stream kind : kAllKinds) {
    const Finished finished = ctl_with(STDERR_FILENO, kind, {"release-handles", "/usr"});
    EXPECT_EQ(finished.status, kind == Stream::kClosed ? 0 : 74);
    EXPECT_EQ(settled(finished.out), "release-handles /usr: 1 of 1 acked in T (broadcast ID)\n");
    // No progress, nothing lost.
    EXPECT_EQ(ctl_with(STDERR_FILENO, kind, {"quiesce", "--json"}).status, 0);
    EXPECT_EQ(ctl_with(STDERR_FILENO, kind, {"ping"}).status, 0);
  }
  soldr.end();
  EXPECT_EQ(test::operations(soldr),
            "operation ID release-handles /usr\noperation ID quiesce maintenance\n"
            "operation ID release-handles /usr\noperation ID quiesce maintenance\n"
            "operation ID release-handles /usr\noperation ID quiesce maintenance\n");
  EXPECT_EQ(
      programs.ctl({"status", "--json"}).out.find("\"protocol_errors\":\"0\"") == std::string::npos,
      false);
}

TEST_F(MusterctlStreams, AWarningThatIsLostIsStatusSeventyFour) {
  backend("soldr");
  for (const Stream kind : kAllKinds) {
    EXPECT_EQ(ctl_with(STDERR_FILENO, kind, {"release-handles", "/nonexistent/x"}).status, 74);
    // An error has its own status.
    EXPECT_EQ(ctl_with(STDERR_FILENO, kind, {"result", "1"}).status, 4);
    EXPECT_EQ(ctl_with(STDERR_FILENO, kind, {"ping", "--socket-dir", "/nonexistent"}).status, 3);
    EXPECT_EQ(ctl_with(STDERR_FILENO, kind, {"ping", "--fast"}).status, 2);
  }
}

TEST_F(MusterctlStreams, AllThreeClosedDisturbNobody) {
  backend("soldr");
  auto options = programs.options();
  options.before_exec = [] { return ::close(0) == 0 && ::close(1) == 0 && ::close(2) == 0; };
  EXPECT_EQ(test::run_program(programs.command({"release-handles", "/usr"}), options).status, 74);
  EXPECT_EQ(test::run_program(programs.command({"quiesce", "-q"}), options).status, 0);
  options.before_exec = [] { return ::close(0) == 0; };
  const Finished finished = test::run_program(programs.command({"quiesce"}), options);
  EXPECT_EQ(finished.status, 0);
  EXPECT_EQ(settled(finished.out), "quiesce (maintenance): 1 of 1 acked in T (broadcast ID)\n");
}

// The pipe is full and non-blocking; what comes is read after that.
TEST_F(MusterctlStreams, APipeThatIsFullForAWhileLosesNothing) {
  for (int i = 0; i < 3; ++i) backend("soldr-" + std::to_string(i));
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    const os::UniqueFd reading(ends[0]);
    os::UniqueFd writing(ends[1]);
    std::size_t filled = 0;
    const std::string dots(1024, '.');
    for (ssize_t wrote = 0; (wrote = ::write(writing.get(), dots.data(), dots.size())) > 0;) {
      filled += static_cast<std::size_t>(wrote);
    }
    auto options = programs.options();
    const int full = writing.get();
    options.before_exec = [fd, full] { return ::dup2(full, fd) == fd; };
    Process process(programs.command({"release-handles", "--verbose", "/usr"}), options);
    writing.reset();
    // It has asked: so it stands at the full pipe, or will.
    while (programs.ctl({"result", "-q"}).status != 0) {
    }
    std::string got;
    for (;;) {
      pollfd entry{reading.get(), POLLIN, 0};
      ASSERT_GE(::poll(&entry, 1, 60'000), 1);
      char buffer[4096];
      const ssize_t size = ::read(reading.get(), buffer, sizeof buffer);
      if (size == 0) break;
      if (size > 0) got.append(buffer, static_cast<std::size_t>(size));
    }
    const Finished finished = process.finish();
    EXPECT_EQ(finished.status, 0);
    ASSERT_GT(got.size(), filled);
    EXPECT_EQ(got.substr(0, filled), std::string(filled, '.'));
    const std::string said = got.substr(filled);
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 4) << said;
    EXPECT_NE(said.find("soldr-2 1.0.0"), std::string::npos) << said;
  }
}

TEST_F(MusterctlStreams, WhatOnlyWaitsEndsWhenNobodyReads) {
  backend("silent", {"--on-quiesce", "silent"});
  const std::string id = test::first_line(programs.ctl({"quiesce", "--detach"}).out);
  const std::vector<std::vector<std::string>> waiting = {
      {"watch"}, {"watch", "--json"}, {"result", id, "--wait"}, {"release-handles", "/usr"}};
  backend("mute", {"--on-release", "silent"});
  for (const auto& command : waiting) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    os::UniqueFd reading(ends[0]);
    os::UniqueFd writing(ends[1]);
    auto options = programs.options();
    const int out = writing.get();
    options.before_exec = [out] { return ::dup2(out, STDOUT_FILENO) == STDOUT_FILENO; };
    Process process(programs.command(command), options);
    writing.reset();
    if (command.front() == "watch" && command.size() == 1) process.wait_for("watching");
    if (command.front() == "release-handles") process.wait_for("asked 2 backends");
    reading.reset();
    EXPECT_EQ(process.finish().status, 74) << command.front();
  }
  EXPECT_EQ(programs.ctl({"cancel", id}).status, 0);
}

// A broker that is stopped does not answer; who asks leaves when nobody reads.
TEST_F(MusterctlStreams, APingOfAStoppedBrokerEndsWhenNobodyReads) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  os::UniqueFd reading(ends[0]);
  os::UniqueFd writing(ends[1]);
  auto options = programs.options();
  const int out = writing.get();
  options.before_exec = [out] { return ::dup2(out, STDOUT_FILENO) == STDOUT_FILENO; };
  programs.broker().signal(SIGSTOP);
  Process process(programs.command({"ping", "--timeout", "1h"}), options);
  writing.reset();
  reading.reset();
  EXPECT_EQ(process.finish().status, 74);
  programs.broker().signal(SIGCONT);
}

}  // namespace
}  // namespace muster::test
