// Policy with real users: who gets in, who is refused with which words, and who can find out why.
#include <csignal>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/host_abilities.h"
#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// nobody, and a group that has no name.
constexpr char kNobody[] = "65534";
constexpr char kGroup[] = "54321";

constexpr char kPolicy[] = R"([sockets]
backend_mode = "0666"
control_mode = "0666"
[[policy.register]]
users = "nobody"
services = "zcc*"
[[policy.register]]
groups = 54321
services = "soldr"
[[policy.control]]
users = "nobody"
actions = ["look", "release"]
release_below = "/srv/cache"
)";

class PolicyTest : public MusterdTest {
 protected:
  void SetUp() override {
    if (const auto why = why_not_several_users(); !why.empty()) GTEST_SKIP() << why;
    ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
  }
  [[nodiscard]] Process broker_with(const std::string& config) {
    return start({"--config", write("m.toml", config).native()});
  }
  // `command` as somebody else.
  static std::vector<std::string> as(const std::string& uid, const std::string& groups,
                                     std::vector<std::string> command) {
    std::vector<std::string> all{"/usr/bin/setpriv", "--reuid=" + uid, "--regid=" + uid,
                                 groups.empty() ? "--clear-groups" : "--groups=" + groups};
    all.insert(all.end(), command.begin(), command.end());
    return all;
  }
  [[nodiscard]] std::vector<std::string> fake(const std::string& service) const {
    return {program("muster-fake-backend"), "--socket-dir", sockets().native(), "--service",
            service};
  }
  [[nodiscard]] std::vector<std::string> ctl(std::vector<std::string> more) const {
    std::vector<std::string> all{program("musterctl"), "--socket-dir", sockets().native()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  [[nodiscard]] std::string rule(const std::string& list, int line) const {
    return "[[policy." + list + "]] at " + (dir_ / "m.toml").native() + ":" + std::to_string(line);
  }
};

TEST_F(PolicyTest, WithoutAConfigurationStrangersAreRefusedWhateverTheSocketsModes) {
  Process broker = broker_with("[sockets]\nbackend_mode = \"0666\"\ncontrol_mode = \"0666\"\n");
  broker.wait_for("lets in more than root and its owner, but no rule does");
  const Finished backend = run_program(as(kNobody, "", fake("zccache")));
  EXPECT_EQ(backend.status, 4);
  EXPECT_NE(backend.out.find("refused denied: policy does not let uid 65534 connect to "
                             "backend.sock; `musterctl explain-policy --uid 65534` says which rule "
                             "decides"),
            std::string::npos)
      << backend.out << backend.err;
  const std::string line = broker.wait_for("peer refused");
  EXPECT_NE(line.find("uid=65534"), std::string::npos) << line;
  EXPECT_NE(line.find("pid="), std::string::npos) << line;
  EXPECT_NE(line.find("(denied: no rule allows it)"), std::string::npos) << line;

  const Finished looks = run_program(as(kNobody, "", ctl({"ping"})));
  EXPECT_EQ(looks.status, 4);
  EXPECT_NE(looks.err.find("policy does not let uid 65534 connect to control.sock"),
            std::string::npos)
      << looks.err;
}

TEST_F(PolicyTest, AUserRegistersItsServicesAloneAndAGroupCountsThoughItIsSupplementary) {
  Process broker = broker_with(kPolicy);
  {
    Process its(as(kNobody, "", fake("zccache")));
    its.wait_for("registered");
    Process member(as("54000", kGroup, fake("soldr")));
    member.wait_for("registered");
  }
  const Finished other = run_program(as(kNobody, "", fake("soldr")));
  EXPECT_EQ(other.status, 4);
  EXPECT_NE(other.out.find("policy does not let uid 65534 register soldr 1.0.0"), std::string::npos)
      << other.out;
  EXPECT_EQ(run_program(as("54000", "", fake("soldr"))).status, 4) << "without the group";
}

TEST_F(PolicyTest, AnOperatorReleasesBelowItsPathAloneAndTheLogNamesTheRule) {
  Process broker = broker_with(kPolicy);
  EXPECT_EQ(run_program(as(kNobody, "", ctl({"backends"}))).status, 0);
  EXPECT_EQ(run_program(as(kNobody, "", ctl({"release-handles", "/srv/cache/x"}))).status, 5)
      << "allowed; there is nobody to ask";
  for (const auto& [command, what] :
       {std::pair(std::vector<std::string>{"release-handles", "/srv"}, "release /srv"),
        std::pair(std::vector<std::string>{"quiesce"}, "quiesce")}) {
    const Finished refused = run_program(as(kNobody, "", ctl(command)));
    EXPECT_EQ(refused.status, 4);
    EXPECT_NE(refused.err.find(std::string("policy does not let uid 65534 ") + what),
              std::string::npos)
        << refused.err;
    const std::string line = broker.wait_for("operator denied");
    EXPECT_NE(line.find("uid=65534"), std::string::npos) << line;
    EXPECT_NE(line.find("rule=\"denied: no rule allows it\""), std::string::npos) << line;
  }
}

TEST_F(PolicyTest, TheBrokerExplainsWhichRuleDecidesAndWhereItStands) {
  Process broker = broker_with(kPolicy);
  const Finished yes = run_program(ctl({"explain-policy", "--uid", "nobody", "--service", "zccx"}));
  EXPECT_EQ(yes.status, 0);
  EXPECT_NE(yes.out.find(": allowed\n"
                         "  allowed  connect to backend.sock: " +
                         rule("register", 4) +
                         "\n  allowed  register zccx: " + rule("register", 4) + "\n"),
            std::string::npos)
      << yes.out;
  EXPECT_TRUE(yes.out.starts_with("uid 65534 nobody, gid 65534 nogroup")) << yes.out;

  const Finished no = run_program(
      ctl({"explain-policy", "--uid", "54000", "--gid", kGroup, "--service", "zccache"}));
  EXPECT_EQ(no.status, 1);
  EXPECT_EQ(no.out,
            "uid 54000, gid 54321: denied\n"
            "  allowed  connect to backend.sock: " +
                rule("register", 7) +
                "\n"
                "  denied   register zccache: no rule allows it\n");

  const Finished json =
      run_program(ctl({"explain-policy", "--uid", kNobody, "--release", "/srv/cache", "--json"}));
  EXPECT_EQ(json.status, 0);
  EXPECT_EQ(json.out,
            "{\"allowed\":true,\"steps\":[{\"question\":\"connect to control.sock\","
            "\"allowed\":true,\"rule\":\"" +
                rule("control", 10) + "\",\"file\":\"" + (dir_ / "m.toml").native() +
                "\",\"line\":10},{\"question\":\"release /srv/cache\",\"allowed\":true,"
                "\"rule\":\"" +
                rule("control", 10) + "\",\"file\":\"" + (dir_ / "m.toml").native() +
                "\",\"line\":10}]}\n");
  const Finished nobody = run_program(ctl({"explain-policy", "--uid", "no-such-user"}));
  EXPECT_EQ(nobody.status, 2);
  EXPECT_NE(nobody.err.find("there is no user \"no-such-user\" on this host"), std::string::npos)
      << nobody.err;
}

TEST_F(PolicyTest, WhatTheSocketsPermissionsForbidIsExplainedAsForbidden) {
  Process broker = broker_with(
      "[sockets]\nbackend_mode = \"0600\"\ncontrol_mode = \"0660\"\n"
      "[[policy.register]]\nusers = \"*\"\n[[policy.control]]\nusers = \"*\"\nactions = \"*\"\n");
  const auto explained = [&](std::vector<std::string> question) {
    question.insert(question.begin(), "explain-policy");
    const Finished finished = run_program(ctl(std::move(question)));
    return std::to_string(finished.status) + ' ' + finished.out;
  };
  const std::vector<std::string> joins{"--uid", kNobody, "--service", "zccache"};
  EXPECT_THAT(
      explained(joins),
      AllOf(StartsWith("1 uid 65534"),
            HasSubstr(": denied\n  denied   connect to backend.sock: policy allows it (" +
                      rule("register", 4) + "), the mode 0600 of " + backend_socket().native() +
                      " (user 0 root, group 0 root) does not\n"
                      "  allowed  register zccache: ")));
  EXPECT_THAT(explained({"--uid", "0", "--service", "zccache"}), StartsWith("0 "));
  ASSERT_EQ(::chmod(backend_socket().c_str(), 0602), 0);
  EXPECT_THAT(explained(joins), StartsWith("0 "));

  // Of the three, the bits of the one that the user is.
  const auto control = (sockets() / "control.sock").native();
  const std::vector<std::string> drains{"--uid", kNobody, "--gid", kGroup, "--quiesce"};
  EXPECT_THAT(explained(drains), StartsWith("1 "));
  ASSERT_EQ(::chown(control.c_str(), 0, 54321), 0);
  EXPECT_THAT(explained(drains), StartsWith("0 "));
  ASSERT_EQ(::chown(control.c_str(), 65534, 54321), 0);
  ASSERT_EQ(::chmod(control.c_str(), 0066), 0);
  EXPECT_THAT(explained(drains), StartsWith("1 "));

  ASSERT_EQ(::chmod(sockets().c_str(), 0700), 0);
  EXPECT_THAT(explained(joins),
              AllOf(StartsWith("1 "), HasSubstr("the mode 0700 of " + sockets().native() + " (")));
}

TEST_F(PolicyTest, ASighupTakesTheNewRulesAndABadFileTakesNone) {
  Process broker = broker_with(kPolicy);
  const auto looks = [&] { return run_program(as(kNobody, "", ctl({"ping"}))).status; };
  EXPECT_EQ(looks(), 0);
  (void)write("m.toml", "[[policy.control]]\nusers = \"no-such-user\"\nactions = \"*\"\n");
  broker.signal(SIGHUP);
  broker.wait_for("configuration rejected");
  EXPECT_EQ(looks(), 0);
  (void)write("m.toml",
              "[policy]\nnone = [\"register\"]\n[[policy.control]]\nusers = 1\nactions = \"*\"\n");
  broker.signal(SIGHUP);
  broker.wait_for("log level and policy apply now");
  EXPECT_EQ(looks(), 4);
  const Finished why = run_program(ctl({"explain-policy", "--uid", "1", "--quiesce"}));
  EXPECT_EQ(why.status, 0);
  EXPECT_NE(why.out.find("allowed  quiesce: " + rule("control", 3)), std::string::npos) << why.out;
  EXPECT_EQ(run_program(as(kNobody, "", fake("zccache"))).status, 4) << "nor are backends let in";
}

TEST_F(PolicyTest, ALiveKeyIsNotTakenOverByAnotherUser) {
  Process broker = broker_with(kPolicy);
  Process holder(as(kNobody, "", fake("zccache")));
  holder.wait_for("registered");
  const Finished other = run_program(fake("zccache"));  // root's
  EXPECT_EQ(other.status, 4);
  EXPECT_NE(other.out.find("is registered by uid 65534"), std::string::npos) << other.out;
}

}  // namespace
}  // namespace muster::test
