// A broker that crashed and starts again, where it cannot know whom to expect: never a yes.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <sys/types.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/host_abilities.h"
#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class MusterdRosterTest : public MusterdTest {
 protected:
  [[nodiscard]] ProcessOptions with_sockets() const {
    return with_environment({{"MUSTER_SOCKET_DIR", sockets().native()}});
  }
  // In a directory of their own, so that it can be deleted without the sockets.
  [[nodiscard]] std::filesystem::path state() const { return dir_ / "state"; }
  void start_broker() { broker_.emplace(start({"--state-dir", state().native()})); }
  Process& backend(const std::string& service) {
    backends_.emplace_back(
        std::vector<std::string>{program("muster-fake-backend"), "--service", service},
        with_sockets());
    backends_.back().wait_for("registered");
    return backends_.back();
  }
  // One that lives and does not come back: it holds whatever it held.
  void stopped_backend(const std::string& service) { backend(service).signal(SIGSTOP); }
  void crash() { broker_->end(SIGKILL); }
  [[nodiscard]] Finished release() const {
    return run_program({program("musterctl"), "release-handles", "/cache", "--timeout", "20ms"},
                       with_sockets());
  }
  [[nodiscard]] Finished ctl(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), program("musterctl"));
    return run_program(std::move(arguments), with_sockets());
  }
  // Until the broker has written the state anew, or a minute has passed.
  static bool until(const std::function<bool()>& holds) {
    const auto latest = std::chrono::steady_clock::now() + Process::kPatience;
    while (!holds() && std::chrono::steady_clock::now() < latest) {
    }
    return holds();
  }

  std::optional<Process> broker_;
  std::list<Process> backends_;
};

TEST_F(MusterdRosterTest, ARosterThatWasDamagedMakesNoYesUntilSomebodyHasLooked) {
  start_broker();
  stopped_backend("holder");
  crash();
  std::ofstream(state() / "roster") << "muster journal 1\nno records";
  start_broker();
  backend("good");
  for (int again = 0; again < 2; ++again) {
    const Finished asked = release();
    EXPECT_EQ(asked.status, 1);
    EXPECT_THAT(asked.out, HasSubstr("1 of 1 acked"));
    EXPECT_THAT(asked.out, HasSubstr("`musterctl status` says why"));
    crash();
    start_broker();  // with a roster that is whole again, and lacks the holder
    ASSERT_TRUE(until([&] { return ctl({"backends"}).out.find("live") != std::string::npos; }));
  }
  EXPECT_THAT(ctl({"status"}).out, HasSubstr("forget --lost-roster"));
  const auto dry_run = [&] { return ctl({"release-handles", "/cache", "--dry-run"}); };
  EXPECT_EQ(dry_run().status, 1);
  EXPECT_THAT(dry_run().out, HasSubstr("does not know all backends"));
  EXPECT_EQ(ctl({"forget", "--lost-roster"}).status, 0);
  EXPECT_EQ(dry_run().status, 0);
  EXPECT_EQ(ctl({"forget", "--lost-roster"}).status, 4) << "there is none any more";
  EXPECT_EQ(release().status, 0);
  EXPECT_EQ(ctl({"forget"}).status, 2);
  EXPECT_EQ(ctl({"forget", "good", "--lost-roster"}).status, 2);
}

TEST_F(MusterdRosterTest, StateThatIsDeletedUnderTheBrokerIsWrittenAgain) {
  start_broker();
  stopped_backend("holder");
  backend("good");
  std::filesystem::remove_all(state());
  for (const char* file : {"roster", "broadcast-ids", "operation-keys", "policy"}) {
    EXPECT_TRUE(until([&] { return std::filesystem::exists(state() / file); })) << file;
  }
  // The history is tried again after a while.
  EXPECT_TRUE(until([&] { return ControlClient(sockets()).status().problems.empty(); }));
  crash();
  start_broker();
  const Finished asked = release();
  EXPECT_EQ(asked.status, 1);
  EXPECT_THAT(asked.out + asked.err, HasSubstr("holder"));
}

TEST_F(MusterdRosterTest, TheRosterAloneIsWrittenAgainToo) {
  start_broker();
  stopped_backend("holder");
  backend("good");
  std::filesystem::remove(state() / "roster");
  EXPECT_TRUE(until([&] { return std::filesystem::exists(state() / "roster"); }));
  crash();
  start_broker();
  EXPECT_EQ(release().status, 1);
}

TEST_F(MusterdRosterTest, WhoWasForgottenStaysSoWhateverHappensNext) {
  const auto config = write("config.toml", "[broker]\nrestart_grace = \"1ms\"\n");
  const auto start_again = [&] {
    if (broker_) crash();
    broker_.emplace(start({"--state-dir", state().native(), "--config", config.native()}));
  };
  start_again();
  for (int again = 0; again < 10; ++again) {
    stopped_backend("holder");
    start_again();
    while (ctl({"forget", "holder"}).status != 0) {  // until its grace has passed
    }
    start_again();
    EXPECT_EQ(release().status, 5) << "it came back from the roster";
    backends_.clear();
  }
}

// /proc that shows nobody's processes proves nobody dead.
TEST_F(MusterdRosterTest, WhoCannotBeSeenAfterACrashIsNotDead) {
  if (const auto why = why_no_private_mounts(); !why.empty()) GTEST_SKIP() << why;
  start_broker();
  stopped_backend("holder");
  backend("good");
  crash();
  const std::string hide = "mount -t tmpfs none /proc && exec \"$0\" \"$@\"";
  std::vector<std::string> line{"/usr/bin/unshare", "--mount", "/bin/sh", "-c", hide};
  for (const std::string& word : command({"--state-dir", state().native()})) line.push_back(word);
  broker_.emplace(line, ProcessOptions{});
  broker_->wait_for("listening");
  const Finished asked = release();
  EXPECT_EQ(asked.status, 1);
  EXPECT_THAT(asked.out + asked.err, HasSubstr("holder"));
}

// Without a descriptor nobody can be watched: that proves nobody dead, either.
TEST_F(MusterdRosterTest, WhoCannotBeWatchedForWantOfDescriptorsIsExpectedLater) {
  // UBSan asks by a pipe whether memory can be read, and takes it for broken without descriptors.
  if (kSanitized && !kThreadSanitized) GTEST_SKIP() << "a sanitizer needs descriptors of its own";
  constexpr int kMany = 30;
  start_broker();
  for (int i = 0; i < kMany; ++i) backend("s" + std::to_string(i)).signal(SIGSTOP);
  crash();
  ProcessOptions few;
  few.before_exec = [] {
    const rlimit limit{40, 40};
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
  };
  broker_.emplace(command({"--state-dir", state().native()}), few);
  broker_->wait_for("listening");
  const auto problems = [&] { return ControlClient(sockets()).status().problems; };
  EXPECT_THAT(problems(), Contains(HasSubstr("cannot be watched")));
  const Finished asked = release();
  EXPECT_EQ(asked.status, 1);
  EXPECT_THAT(asked.out, HasSubstr("does not know all backends"));
  EXPECT_EQ(ctl({"forget", "--lost-roster"}).status, 4) << "it was read";
  // Each that exits gives its descriptors to another, which is listed then.
  const auto kill_listed = [&] {
    for (const BackendInfo& one : ControlClient(sockets()).backends({})) {
      if (one.state != BackendState::kDead) ::kill(one.pid, SIGKILL);
    }
    return problems().empty();
  };
  EXPECT_TRUE(until(kill_listed));
  EXPECT_EQ(ControlClient(sockets()).backends({}).size(), kMany);
}

}  // namespace
}  // namespace muster::test
