// A broker that starts in another pid or time namespace than the last one with its state directory,
// as in a container: it sees none of the processes that the roster names.
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/host_abilities.h"
#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class MusterdNamespaceTest : public MusterdTest {
 protected:
  void SetUp() override {
    if (const auto why = why_no_pid_namespaces(); !why.empty()) GTEST_SKIP() << why;
    config_ = write("config.toml", "[broker]\nrestart_grace = \"1ms\"\n");
  }
  [[nodiscard]] std::vector<std::string> broker_line() const {
    return command({"--state-dir", (dir_ / "state").native(), "--config", config_.native()});
  }
  void start_here() { start_by({}); }
  void start_in_new(const std::string& kind) {
    start_by({"/usr/bin/unshare", kind, "--fork", "--kill-child"});
  }
  void start_by(std::vector<std::string> line) {
    for (const std::string& word : broker_line()) line.push_back(word);
    broker_.emplace(line, ProcessOptions{});
    broker_->wait_for("listening");
  }
  // The broker's, of one that start_in_new() started.
  [[nodiscard]] std::string inner_pid() const {
    const std::string pid = std::to_string(broker_->pid());
    std::string inner;
    std::ifstream("/proc/" + pid + "/task/" + pid + "/children") >> inner;
    return inner;
  }
  Process& backend(const std::string& service, std::vector<std::string> line = {}) {
    line.insert(line.end(), {program("muster-fake-backend"), "--socket-dir", sockets().native(),
                             "--service", service});
    Process& process = backends_.emplace_back(line, ProcessOptions{});
    process.wait_for("registered");
    return process;
  }
  // In the broker's pid namespace: it ends with it.
  void backend_inside(const std::string& service) {
    backend(service, {"/usr/bin/nsenter", "--target", inner_pid(), "--pid"});
  }
  [[nodiscard]] Finished ctl(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {program("musterctl"), "--socket-dir", sockets().native()});
    return run_program(std::move(arguments));
  }
  [[nodiscard]] Finished release() const { return ctl({"release-handles", "/cache"}); }
  // Not reconnecting any more, whatever came first.
  [[nodiscard]] Finished forget(const std::string& what) const {
    for (;;) {
      Finished done = ctl({"forget", what});
      if ((done.out + done.err).find("reconnecting") == std::string::npos) return done;
    }
  }

  std::filesystem::path config_;
  std::optional<Process> broker_;
  std::list<Process> backends_;
};

TEST_F(MusterdNamespaceTest, WhoCannotBeSeenIsNotDeadUntilItIsForgotten) {
  for (const char* kind : {"--pid", "--time"}) {
    start_here();
    backend("holder").signal(SIGSTOP);
    broker_->end(SIGKILL);
    start_in_new(kind);
    for (int again = 0; again < 2; ++again) {
      const Finished asked = release();
      EXPECT_EQ(asked.status, 1) << kind << asked.out;
      EXPECT_THAT(asked.out, AllOf(HasSubstr("holder"), HasSubstr("its process cannot be seen")));
    }
    EXPECT_EQ(forget("holder").status, 0);
    EXPECT_EQ(release().status, 5) << "there is nobody";
    broker_->end(SIGKILL);
    backends_.clear();
  }
}

TEST_F(MusterdNamespaceTest, WhoComesBackTakesItsPlace) {
  start_here();
  backend("cache");
  broker_->end(SIGKILL);
  start_in_new("--pid");
  backends_.back().wait_for("registered");
  const Finished asked = release();
  EXPECT_EQ(asked.status, 0) << asked.out;
  EXPECT_THAT(asked.out, HasSubstr("1 of 1 acked"));
}

// Everything of a container ends, and starts again in namespaces of its own.
TEST_F(MusterdNamespaceTest, AContainerThatStartsAgainNamesOnlyWhoIsMissing) {
  start_in_new("--pid");
  backend_inside("cache");
  backend_inside("cache");
  backend_inside("missing");
  EXPECT_THAT(release().out, HasSubstr("3 of 3 acked"));
  const std::string first = "/proc/" + inner_pid() + "/ns/pid";
  const os::UniqueFd keeps_inode(::open(first.c_str(), O_RDONLY | O_CLOEXEC));
  broker_->end(SIGKILL);
  backends_.clear();
  start_in_new("--pid");
  backend_inside("cache");
  backend_inside("cache");
  const Finished asked = release();
  EXPECT_EQ(asked.status, 1) << asked.out;
  EXPECT_THAT(asked.out, AllOf(HasSubstr("2 of 3 acked"), HasSubstr("missing 1.0.0")));
  EXPECT_EQ(forget("missing").status, 0);
  EXPECT_EQ(release().status, 0);
  EXPECT_THAT(ctl({"backends"}).out, Not(HasSubstr("missing")));
}

TEST_F(MusterdNamespaceTest, AllWhoCannotBeSeenAreForgottenAtOnce) {
  start_here();
  backend("one").signal(SIGSTOP);
  backend("two").signal(SIGSTOP);
  broker_->end(SIGKILL);
  start_in_new("--pid");
  EXPECT_EQ(release().status, 1);
  EXPECT_EQ(ctl({"forget", "--lost-roster"}).status, 0);
  EXPECT_EQ(release().status, 5);
  broker_->end(SIGKILL);
  start_here();
  EXPECT_EQ(release().status, 5) << "forgotten on disk, too";
}

// A broker that sees them again judges them by their processes again.
TEST_F(MusterdNamespaceTest, WhoCanBeSeenAgainIsNamedByItsProcess) {
  start_here();
  Process& holder = backend("holder");
  holder.signal(SIGSTOP);
  const std::string pid = std::to_string(holder.pid());
  broker_->end(SIGKILL);
  start_in_new("--pid");
  EXPECT_EQ(release().status, 1);
  broker_->end(SIGKILL);
  start_here();
  const Finished asked = release();
  EXPECT_EQ(asked.status, 1);
  EXPECT_THAT(asked.out, HasSubstr("process " + pid + " is still running"));
}

}  // namespace
}  // namespace muster::test
