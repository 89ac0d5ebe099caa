// Reading the configuration again, and a name service that hangs or fails, while musterd serves.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/stat.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

using testing::HasSubstr;

class MusterdReloadTest : public MusterdTest {
 protected:
  // Put in its place as a whole, as editors do.
  void configure(std::string_view text) const {
    std::filesystem::rename(write("fresh", text), file_);
  }
  void names(char how) const { std::ofstream(lookup_) << how; }
  // The broker writes it down a moment after it took it.
  void wait_for_rules(int rules) const {
    const std::string wanted = "register " + std::to_string(rules) + '\n';
    const auto end = std::chrono::steady_clock::now() + Process::kPatience;
    for (std::string text; text.find(wanted) == std::string::npos;) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << text;
      std::ifstream in(dir_ / "state/policy");
      text.assign(std::istreambuf_iterator<char>(in), {});
    }
  }
  Process start_with_shim() {
    Process broker(command({"--config", file_.native()}),
                   with_environment({{"LD_PRELOAD", program("libmuster_host_shim.so")},
                                     {"MUSTER_LOOKUP_FILE", lookup_.native()}}));
    broker.wait_for("listening");
    return broker;
  }

  std::filesystem::path file_ = dir_ / "m.toml";
  std::filesystem::path lookup_ = dir_ / "lookup";
};

constexpr const char* kThreeRules =
    "[[policy.register]]\nusers = 1\n[[policy.register]]\nusers = 2\n[[policy.register]]\nusers = "
    "3\n";

TEST_F(MusterdReloadTest, SaysWhatChangedAndTakesNotAllRulesAwayByMistake) {
  configure(kThreeRules);
  Process broker = start({"--config", file_.native()});
  configure("[[policy.register]]\nusers = 1\n[[policy.register]]\nusers = 2\n");
  broker.signal(SIGHUP);
  EXPECT_THAT(broker.wait_for("configuration reloaded"), HasSubstr("3 register rules, now 2"));

  const auto is_not_taken = [&](const std::string& why) {
    broker.signal(SIGHUP);
    broker.wait_for(why);
    broker.wait_for("configuration rejected");
    EXPECT_EQ(ping(), broker.pid());
  };
  configure("");
  is_not_taken("has no [[policy.register]] rules any more, and there were 2");
  configure("[[policy.register]]\nusers = 1\n[[policy.reg");
  is_not_taken("not TOML");
  std::filesystem::remove(file_);
  is_not_taken("No such file or directory");
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  is_not_taken("is not a regular file");
  std::filesystem::remove(file_);
  std::filesystem::create_directory(file_);
  is_not_taken("Is a directory");
  std::filesystem::remove(file_);

  configure("[policy]\nnone = true\n");
  broker.signal(SIGHUP);
  EXPECT_THAT(broker.wait_for("configuration reloaded"), HasSubstr("2 register rules, now 0"));
  EXPECT_EQ(broker.end().status, 0);
}

// What `systemctl reload` runs first.
TEST_F(MusterdReloadTest, TheCheckOfAReloadFailsWhereTheBrokerWouldNotTakeIt) {
  const std::string state = (dir_ / "state").native();
  const std::vector<std::string> common{"--config", file_.native(), "--state-dir", state};
  const auto check = [&] {
    auto arguments = common;
    arguments.emplace_back("--check-reload");
    return run(arguments);
  };
  configure(kThreeRules);
  EXPECT_THAT(check().err, HasSubstr("is that the state directory of a broker that runs?"));
  EXPECT_EQ(check().status, 2);
  {
    Process broker = start(common);
    wait_for_rules(3);
    EXPECT_EQ(check().status, 0);
    for (const char* none : {"", "[log]\nlevel = \"info\"\n", "[policy]\nnone = false\n"}) {
      configure(none);
      EXPECT_THAT(check().err,
                  HasSubstr("has no [[policy.register]] rules any more, and there were 3"));
      EXPECT_EQ(check().status, 2);
    }
    configure("[policy]\nnone = true\n");
    EXPECT_EQ(check().status, 0);
    broker.signal(SIGHUP);
    broker.wait_for("configuration reloaded");
    wait_for_rules(0);
    configure("");
    EXPECT_EQ(check().status, 0) << "there are none to lose";
    configure("nonsense = 1\n");
    EXPECT_EQ(check().status, 2);
    EXPECT_EQ(broker.end().status, 0);
  }
  configure(kThreeRules);
  EXPECT_THAT(check().err, HasSubstr("which has ended"));
  EXPECT_EQ(run({"--config", file_.native(), "--check-config"}).status, 0);
}

// Half of a file: TOML without a mistake, and whole rules.
TEST_F(MusterdReloadTest, AFileThatWasCutAfterARuleTakesNoKindOfRulesAway) {
  const std::string register_rules = kThreeRules;
  const std::string control_rule = "[[policy.control]]\nusers = 1\nactions = \"look\"\n";
  const std::vector<std::string> common{"--config", file_.native(), "--state-dir",
                                        (dir_ / "state").native()};
  auto check = common;
  check.emplace_back("--check-reload");
  configure(register_rules + control_rule);
  Process broker = start(common);
  wait_for_rules(3);
  const auto is_rejected = [&](const std::string& kind) {
    EXPECT_THAT(run(check).err, HasSubstr("has no [[policy." + kind + "]] rules any more"));
    EXPECT_EQ(run(check).status, 2);
    broker.signal(SIGHUP);
    broker.wait_for("has no [[policy." + kind + "]] rules any more");
    broker.wait_for("configuration rejected");
  };
  configure(register_rules);
  is_rejected("control");
  configure(control_rule);
  is_rejected("register");
  configure("[policy]\nnone = [\"control\"]\n" + register_rules);
  EXPECT_EQ(run(check).status, 0);
  broker.signal(SIGHUP);
  EXPECT_THAT(broker.wait_for("configuration reloaded"), HasSubstr("1 control rules, now 0"));
  EXPECT_EQ(broker.end().status, 0);
}

TEST_F(MusterdReloadTest, SocketsThatAreMadeAgainAreAsTheLogSaysOfTheStart) {
  configure("[sockets]\nbackend_mode = \"0640\"\ncontrol_mode = \"0600\"\n");
  Process broker = start({"--config", file_.native(), "--state-dir", (dir_ / "state").native()});
  const auto mode = [&](const char* name) {
    return static_cast<unsigned>(std::filesystem::status(sockets() / name).permissions());
  };
  EXPECT_EQ(mode("backend.sock"), 0640U);
  configure("[sockets]\nbackend_mode = \"0666\"\ncontrol_mode = \"0666\"\n");
  broker.signal(SIGHUP);
  EXPECT_THAT(broker.wait_for("configuration reloaded"), HasSubstr("all else at the next start"));
  std::filesystem::remove_all(sockets());
  broker.wait_for("sockets were deleted, made them again");
  EXPECT_EQ(mode("backend.sock"), 0640U);
  EXPECT_EQ(mode("control.sock"), 0600U);
  EXPECT_EQ(broker.end().status, 0);
}

TEST_F(MusterdReloadTest, StartsWhileTheNameServiceHangsAndTakesTheRuleWhenItAnswers) {
  names('h');
  configure("[[policy.control]]\nusers = \"shim-user\"\nactions = \"look\"\n");
  Process broker = start_with_shim();
  EXPECT_EQ(ping(), broker.pid());
  broker.wait_for("name lookup failed: the rule only denies until the lookup succeeds");
  EXPECT_THAT(ControlClient(sockets()).status().problems,
              testing::ElementsAre(HasSubstr("user \"shim-user\" of [[policy.control]]")));
  names('f');
  broker.wait_for("names of the policy resolved");
  EXPECT_THAT(ControlClient(sockets()).status().problems, testing::IsEmpty());

  names('h');
  broker.signal(SIGHUP);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ping(), broker.pid());
  EXPECT_EQ(broker.end(SIGTERM).status, 0) << "the name service keeps nobody from ending";
}

TEST_F(MusterdReloadTest, AnErrorOfTheNameServiceIsNotAMissingUserButAMissingUserIsAnError) {
  configure("[[policy.control]]\nusers = \"shim-user\"\nactions = \"look\"\n");
  names('e');
  Process broker = start_with_shim();
  EXPECT_THAT(broker.wait_for("name lookup failed"), HasSubstr("Input/output error"));
  names('n');
  broker.wait_for("which this host does not have");
  EXPECT_EQ(ping(), broker.pid());
  EXPECT_EQ(broker.end().status, 0);
}

}  // namespace
}  // namespace muster::test
