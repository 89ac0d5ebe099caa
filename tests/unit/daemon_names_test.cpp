// "Cannot be looked up now" is not "does not exist", and holds up nobody.
#include <chrono>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <thread>

#include <gtest/gtest.h>

#include "musterd/config/accounts.h"
#include "musterd/config/config_file.h"
#include "musterd/config/effective_policy.h"
#include "musterd/config/load.h"
#include "support/temp_dir.h"

namespace muster::daemon {
namespace {

using core::Lane;
using core::Subject;

constexpr uid_t kOwn = 77;

// "late" cannot be looked up until it can; "nobody-here" and "muster" do not exist.
struct NameServiceOfTest {
  bool answers = false;

  [[nodiscard]] Lookup find(const std::string& name) const {
    if (name == "nobody-here" || name == "muster") return {};
    if (name == "late" && !answers) return {std::nullopt, "Input/output error"};
    return {id_t{1000}, {}};
  }
  [[nodiscard]] NameLookup lookup() const {
    return {[this](const std::string& name) { return find(name); },
            [this](const std::string& name) { return find(name); }};
  }
};

class DaemonNamesTest : public ::testing::Test {
 protected:
  std::string parse(std::string_view text) {
    settings_ = Settings{};
    settings_.names = names_.lookup();
    std::string errors;
    for (const auto& error : parse_config(text, settings_, "m.toml")) errors += error.text + '\n';
    return errors;
  }
  [[nodiscard]] bool may(uid_t uid, std::string_view path) const {
    return effective_policy(settings_.policy, kOwn)
        ->may_control(Subject{uid, uid, {}}, {ControlAction::kRelease, path})
        .allowed;
  }

  NameServiceOfTest names_;
  Settings settings_;
};

TEST_F(DaemonNamesTest, ARuleThatAllowsDoesNotAllowANameThatCannotBeLookedUp) {
  const std::string text = R"([[policy.control]]
users = ["late", 5]
actions = "release"
)";
  EXPECT_EQ(parse(text), "");
  ASSERT_EQ(settings_.unresolved.size(), 1U);
  EXPECT_EQ(settings_.unresolved[0],
            (UnresolvedName{"user \"late\"", "[[policy.control]] at m.toml:1", "Input/output error",
                            true}));
  EXPECT_FALSE(may(1000, "/a"));
  EXPECT_TRUE(may(5, "/a")) << "the others of the rule are known";
  names_.answers = true;
  EXPECT_EQ(parse(text), "");
  EXPECT_TRUE(settings_.unresolved.empty());
  EXPECT_TRUE(may(1000, "/a"));
}

TEST_F(DaemonNamesTest, ARuleThatDeniesDeniesEverybodyItCouldMean) {
  const std::string text = R"([[policy.control]]
groups = "late"
actions = "release"
release_below = "/srv/db"
effect = "deny"
[[policy.control]]
users = "*"
actions = "release"
)";
  EXPECT_EQ(parse(text), "");
  EXPECT_FALSE(may(5, "/srv/db/x"));
  EXPECT_TRUE(may(5, "/other"));
  EXPECT_TRUE(may(0, "/srv/db/x")) << "nothing else could repair the host";
  EXPECT_TRUE(may(kOwn, "/srv/db/x"));
  names_.answers = true;
  EXPECT_EQ(parse(text), "");
  EXPECT_TRUE(may(5, "/srv/db/x"));
  EXPECT_FALSE(may(1000, "/srv/db/x"));
}

TEST_F(DaemonNamesTest, ANameThatDoesNotExistIsAnErrorAsEver) {
  EXPECT_EQ(parse("[[policy.control]]\nusers = \"nobody-here\"\nactions = \"look\"\n"),
            "[[policy.control]] users names the user \"nobody-here\", which this host does not "
            "have\n");
  EXPECT_EQ(parse("[sockets]\nbackend_group = \"nobody-here\"\n"),
            "[sockets] backend_group names the group \"nobody-here\", which this host does not "
            "have\n");
}

TEST_F(DaemonNamesTest, WhatMakesMustersOwnGroupAndUserIsTold) {
  const std::string made =
      "\"muster\", which this host does not have; once Muster is installed, `systemd-sysusers` "
      "makes it\n";
  EXPECT_EQ(parse("[[policy.register]]\ngroups = \"muster\"\n"),
            "[[policy.register]] groups names the group " + made);
  EXPECT_EQ(parse("[[policy.register]]\nusers = \"muster\"\n"),
            "[[policy.register]] users names the user " + made);
  EXPECT_EQ(parse("[sockets]\ncontrol_group = \"muster\"\n"),
            "[sockets] control_group names the group " + made);
}

TEST_F(DaemonNamesTest, SocketGroupsAndQuotasOfUnknownNamesDoNotStopTheStart) {
  EXPECT_EQ(parse("[sockets]\nbackend_group = \"late\"\n[[quota.uid]]\nuid = \"late\"\n"), "");
  EXPECT_EQ(settings_.unresolved.size(), 2U);
  EXPECT_EQ(settings_.sockets.backend.effective_mode(), 0600U) << "nobody gets in by it";
  EXPECT_TRUE(settings_.broker.quotas.of_uid.empty());
}

TEST_F(DaemonNamesTest, ANameServiceThatHangsIsWaitedForOnceAndAskedAgainLater) {
  auto go = std::make_shared<std::promise<void>>();
  const std::shared_future<void> may_go = go->get_future();
  auto left = std::make_shared<std::promise<void>>();
  NameLookup slow;
  slow.user = [may_go, left](const std::string& name) -> Lookup {
    if (name == "quick") return {id_t{7}, {}};
    may_go.wait();
    left->set_value();
    return {id_t{8}, {}};
  };
  NameService service(std::chrono::milliseconds(20), slow);
  const NameLookup names = service.bounded();
  EXPECT_EQ(names.user("hangs").problem, "the name service does not answer");
  const auto before = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(names.user("quick").known());
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));
  go->set_value();
  left->get_future().wait();
  while (!names.user("quick").known()) std::this_thread::yield();
  EXPECT_EQ(names.user("quick").id, id_t{7});
}

TEST_F(DaemonNamesTest, ThisHostsOwnNamesAreKnownOrKnownNotToBe) {
  EXPECT_EQ(find_user("root").id, id_t{0});
  EXPECT_EQ(find_group("root").id, id_t{0});
  EXPECT_EQ(find_user("no-such-user-here").id, std::nullopt);
  EXPECT_EQ(user_name(0), "root");
  EXPECT_EQ(group_name(0), "root");
  EXPECT_TRUE(is_member(0, 0));
  EXPECT_FALSE(is_member(4'000'000'000U, 0));
}

// --- the file

TEST_F(DaemonNamesTest, OnlyNoSuchFileMeansThatThereIsNone) {
  const test::TempDir dir;
  const auto problems = [&](const std::filesystem::path& file, bool named) {
    CommandLine line;
    if (named) line.config = file;
    const Loaded loaded = load_settings(line, {}, named ? "/nonexistent" : file);
    std::string text;
    for (const std::string& problem : loaded.problems) text += problem + ';';
    return text;
  };
  const auto pipe = dir / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const auto folder = dir / "folder";
  std::filesystem::create_directory(folder);
  const auto below_a_file = dir / "file" / "m.toml";
  std::ofstream(dir / "file") << "";
  const auto loop = dir / "loop";
  std::filesystem::create_symlink(loop, loop);
  for (const bool named : {false, true}) {
    EXPECT_EQ(problems(pipe, named),
              pipe.native() + ": is not a regular file: name a file that can be read at any time;");
    EXPECT_EQ(problems(folder, named), folder.native() + ": cannot be read: Is a directory;");
    EXPECT_EQ(problems(below_a_file, named),
              below_a_file.native() + ": cannot be read: Not a directory;");
    EXPECT_EQ(problems(loop, named),
              loop.native() + ": cannot be read: Too many levels of symbolic links;");
  }
  EXPECT_EQ(problems(dir / "none", false), "");
  EXPECT_EQ(problems(dir / "none", true),
            (dir / "none").native() + ": cannot be read: No such file or directory;");
}

TEST_F(DaemonNamesTest, AReloadTakesNotAllRulesAwayUnlessTheFileSaysSo) {
  const auto loaded = [&](std::string_view text) {
    Loaded one;
    one.file = "m.toml";
    EXPECT_EQ(parse(text), "") << text;
    one.settings = settings_;
    return one;
  };
  const std::string rules =
      "[[policy.register]]\nusers = 1\n[[policy.register]]\nusers = 2\n[[policy.control]]\nusers = "
      "1\nactions = \"look\"\n";
  const RuleCounts before = rules_of(loaded(rules).settings.policy);
  EXPECT_EQ(before, (RuleCounts{2, 1, 0}));
  EXPECT_EQ(policy_removal_problem(before, loaded("")),
            "m.toml: has no [[policy.register]] rules any more, and there were 2; no "
            "[[policy.control]] rules any more, and there were 1: write them again, or say that it "
            "is meant with none = [\"register\", \"control\"] under [policy]");
  EXPECT_NE(policy_removal_problem(before, loaded("[log]\nlevel = \"info\"\n")), "");
  EXPECT_NE(policy_removal_problem(before, loaded("[policy]\n")), "");
  EXPECT_NE(policy_removal_problem(before, loaded("[policy]\nnone = false\n")), "");
  EXPECT_NE(policy_removal_problem(before, loaded("[policy]\nnone = []\n")), "");
  EXPECT_EQ(policy_removal_problem(before, loaded("[policy]\nnone = true\n")), "");
  EXPECT_EQ(policy_removal_problem({}, loaded("")), "");
}

// A file that was cut after its first rules.
TEST_F(DaemonNamesTest, AReloadTakesNotAllRulesOfAKindAwayUnlessTheFileSaysSo) {
  const auto problem = [&](const RuleCounts& before, const std::string& text) {
    Loaded one;
    one.file = "m.toml";
    EXPECT_EQ(parse(text), "") << text;
    one.settings = settings_;
    return policy_removal_problem(before, one);
  };
  const auto says = [](const std::string& kind, int were) {
    return "m.toml: has no [[policy." + kind + "]] rules any more, and there were " +
           std::to_string(were) + ": write them again, or say that it is meant with none = [\"" +
           kind + "\"] under [policy]";
  };
  const std::string register_rule = "[[policy.register]]\nusers = 1\n";
  const std::string control_rule = "[[policy.control]]\nusers = 1\nactions = \"look\"\n";
  const std::string connect_rule = "[[policy.connect]]\nusers = 1\nsocket = \"control\"\n";
  EXPECT_EQ(problem({2, 3, 0}, register_rule), says("control", 3));
  EXPECT_EQ(problem({2, 3, 0}, control_rule), says("register", 2));
  EXPECT_EQ(problem({1, 1, 1}, register_rule + control_rule), says("connect", 1));
  // Fewer of a kind are still some.
  EXPECT_EQ(problem({2, 3, 4}, register_rule + control_rule + connect_rule), "");
  EXPECT_EQ(problem({2, 0, 0}, control_rule + register_rule), "");
  const std::string only = "[policy]\nnone = [\"control\"]\n";
  EXPECT_EQ(problem({2, 3, 0}, only + register_rule), "");
  EXPECT_EQ(problem({2, 3, 0}, only), says("register", 2));
  EXPECT_EQ(problem({2, 3, 4}, "[policy]\nnone = [\"control\", \"connect\"]\n" + register_rule),
            "");
  EXPECT_EQ(parse("[policy]\nnone = [\"controls\"]\n"),
            "[policy] none takes a list of connect, register, control\n");
  EXPECT_EQ(parse("[policy]\nnone = [1]\n"),
            "[policy] none takes a list of connect, register, control\n");
  EXPECT_EQ(
      parse(only + control_rule),
      "[policy] none says that there are no control rules, but there are: remove these rules, "
      "or name in none only the other kinds\n");
}

TEST_F(DaemonNamesTest, AReloadSaysHowManyRulesChange) {
  EXPECT_EQ(parse("[[policy.register]]\nusers = 1\n[[policy.register]]\nusers = 2\n"
                  "[[policy.control]]\nusers = 1\nactions = \"look\"\n"),
            "");
  const core::AccessPolicy before = settings_.policy;
  EXPECT_EQ(parse("[[policy.register]]\nusers = 1\n"), "");
  EXPECT_EQ(policy_change(before, settings_.policy),
            "2 register rules, now 1; 1 control rules, now 0; 0 connect rules");
  EXPECT_EQ(parse("[policy]\nnone = 1\n"),
            "[policy] none takes true, false or a list of kinds of rules\n");
  EXPECT_NE(parse("[policy]\nnone = true\n[[policy.register]]\nusers = 1\n"), "");
}

}  // namespace
}  // namespace muster::daemon
