// [[policy...]] rules of the configuration file: what they say, what is wrong with them, what is in
// force with them; and whether a socket's mode fits.
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/stat.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/access_policy.h"
#include "musterd/config/config_file.h"
#include "musterd/config/effective_policy.h"
#include "musterd/service/socket_permissions.h"
#include "os/listener.h"
#include "support/config_errors.h"
#include "support/temp_dir.h"

namespace muster::daemon {
namespace {

using test::errors_in;

constexpr uid_t kBroker = 500;

core::AccessPolicyPtr in_force(std::string_view text, uid_t own = kBroker) {
  Settings settings;
  EXPECT_EQ(errors_in(text), "");
  (void)parse_config(text, settings, "m.toml");
  return effective_policy(settings.policy, own);
}

// "allowed: connect to backend.sock by the built-in rule (...)", a line for each step.
std::string said(const core::AccessPolicyPtr& policy, const PolicyQuestion& question) {
  const auto answer = core::explain(policy, question);
  if (const auto* error = std::get_if<ControlError>(&answer)) return "error: " + error->message;
  std::string text;
  for (const PolicyStep& step : std::get<PolicyExplanation>(answer).steps) {
    text += (step.allowed ? "allowed: " : "denied: ") + step.question + ", " + step.rule + '\n';
  }
  return text;
}

PolicyQuestion service(uid_t uid, gid_t gid, const std::string& name,
                       std::vector<gid_t> groups = {}) {
  return {uid, gid, std::move(groups), PolicyQuestion::Registration{name, Instance::shared()}};
}

PolicyQuestion act(uid_t uid, gid_t gid, ControlAction action, std::string path = {}) {
  return {uid, gid, {}, PolicyQuestion::Control{action, std::move(path)}};
}

constexpr char kBuiltIn[] = "the built-in rule (root and the broker's own user may do everything)";

TEST(DaemonPolicy, WithoutRulesRootAndTheBrokersOwnUserMayDoEverythingAndNobodyElseAnything) {
  const auto policy = in_force("");
  const std::string yes = std::string(kBuiltIn) + '\n';
  for (const uid_t uid : {uid_t{0}, kBroker}) {
    EXPECT_EQ(
        said(policy, service(uid, 7, "zccache")),
        fmt::format("allowed: connect to backend.sock, {0}allowed: register zccache, {0}", yes));
    EXPECT_EQ(said(policy, act(uid, 7, ControlAction::kRelease, "/")),
              fmt::format("allowed: connect to control.sock, {0}allowed: release /, {0}", yes));
  }
  EXPECT_EQ(said(policy, service(1000, 0, "zccache")),
            "denied: connect to backend.sock, no rule allows it\n"
            "denied: register zccache, no rule allows it\n");
  EXPECT_EQ(said(policy, act(1000, 0, ControlAction::kLook)),
            "denied: connect to control.sock, no rule allows it\n"
            "denied: look, no rule allows it\n");
}

TEST(DaemonPolicy, AnAnswerNamesTheRuleThatDecidesAndItsLine) {
  const auto policy = in_force(R"(
[[policy.register]]
users = [1000, "daemon"]
services = "zcc*"

[[policy.register]]
groups = 100
services = ["soldr", "x-*"]
instances = ["private:*"]
effect = "deny"

[[policy.register]]
groups = [100]
)");
  EXPECT_EQ(said(policy, service(1000, 1000, "zccache")),
            "allowed: connect to backend.sock, [[policy.register]] at m.toml:2\n"
            "allowed: register zccache, [[policy.register]] at m.toml:2\n");
  EXPECT_EQ(said(policy, service(1000, 1000, "soldr")),
            "allowed: connect to backend.sock, [[policy.register]] at m.toml:2\n"
            "denied: register soldr, no rule allows it\n");
  EXPECT_EQ(said(policy, service(7, 7, "soldr", {100})),
            "allowed: connect to backend.sock, [[policy.register]] at m.toml:12\n"
            "allowed: register soldr, [[policy.register]] at m.toml:12\n");
  PolicyQuestion question = service(7, 100, "soldr");
  std::get<PolicyQuestion::Registration>(question.about).instance = Instance::private_to("zccache");
  EXPECT_EQ(said(policy, question),
            "allowed: connect to backend.sock, [[policy.register]] at m.toml:12\n"
            "denied: register soldr [private:zccache], [[policy.register]] at m.toml:6\n");
  EXPECT_EQ(said(policy, service(1, 1, "zccache")),
            "allowed: connect to backend.sock, [[policy.register]] at m.toml:2\n"
            "allowed: register zccache, [[policy.register]] at m.toml:2\n")
      << "daemon is uid 1";
}

TEST(DaemonPolicy, OperatorsMayDoWhatTheirRulesSay) {
  const auto policy = in_force(R"([[policy.control]]
users = 1000
actions = "release"
release_below = ["/srv/db"]
effect = "deny"

[[policy.control]]
users = 1000
actions = ["look", "release"]
release_below = "/srv/"

[[policy.control]]
users = "*"
actions = "look"
)");
  const std::string in = "allowed: connect to control.sock, [[policy.control]] at m.toml:7\n";
  EXPECT_EQ(said(policy, act(1000, 7, ControlAction::kRelease, "/srv/x")),
            in + "allowed: release /srv/x, [[policy.control]] at m.toml:7\n");
  EXPECT_EQ(said(policy, act(1000, 7, ControlAction::kRelease, "/srv/x/../db/y")),
            in + "denied: release /srv/db/y, [[policy.control]] at m.toml:1\n");
  EXPECT_EQ(said(policy, act(1000, 7, ControlAction::kRelease, "/srv")),
            in + "denied: release /srv, [[policy.control]] at m.toml:1\n");
  EXPECT_EQ(said(policy, act(1000, 7, ControlAction::kQuiesce)),
            in + "denied: quiesce, no rule allows it\n");
  EXPECT_EQ(said(policy, act(8, 7, ControlAction::kLook)),
            "allowed: connect to control.sock, [[policy.control]] at m.toml:12\n"
            "allowed: look, [[policy.control]] at m.toml:12\n");
}

TEST(DaemonPolicy, ASocketWithConnectRulesLetsInWhomTheyName) {
  const auto policy = in_force(R"([[policy.register]]
users = [1000, 1001]
[[policy.connect]]
socket = "backend"
users = 1001
)");
  EXPECT_EQ(said(policy, service(1000, 7, "a")),
            "denied: connect to backend.sock, no rule allows it\n"
            "allowed: register a, [[policy.register]] at m.toml:1\n");
  EXPECT_EQ(said(policy, {1001, 7, {}, {}}),
            "allowed: connect to backend.sock, [[policy.connect]] at m.toml:3\n"
            "denied: connect to control.sock, no rule allows it\n");
  EXPECT_EQ(said(policy, service(0, 0, "a")).find("denied"), std::string::npos);
}

TEST(DaemonPolicy, AQuestionAboutWhatCanNeverBeIsAnsweredWithASentence) {
  const auto policy = in_force("");
  EXPECT_NE(said(policy, service(0, 0, "No_Such")).find("error: "), std::string::npos);
  EXPECT_NE(said(policy, act(0, 0, ControlAction::kRelease, "relative")).find("error: "),
            std::string::npos);
  EXPECT_EQ(said(nullptr, service(7, 7, "a")),
            "allowed: connect to backend.sock, no policy: everything is allowed\n"
            "allowed: register a, no policy: everything is allowed\n");
}

TEST(DaemonPolicy, EveryMistakeIsToldWithItsPlace) {
  EXPECT_EQ(
      errors_in(R"([[policy.register]]
services = "a"
[[policy.register]]
users = ["no-such-user", -1, true]
groups = []
service = "a"
effect = "maybe"
[[policy.control]]
groups = "no-such-group"
[[policy.control]]
users = 1
actions = ["look", "reboot"]
release_below = ["relative"]
[[policy.connect]]
users = 1
[[policy.connect]]
users = 1
socket = "both"
[policy.registers]
)"),
      "m.toml:1:1: [[policy.register]] says nothing of whom it is about: give users or "
      "groups; users = \"*\" is everybody\n"
      "m.toml:4:10: [[policy.register]] users names the user \"no-such-user\", which this "
      "host does not have\n"
      "m.toml:4:26: [[policy.register]] users takes names and numbers of users, not -1\n"
      "m.toml:4:30: [[policy.register]] users takes names and numbers of users\n"
      "m.toml:5:10: [[policy.register]] groups is an empty list\n"
      "m.toml:6:1: [[policy.register]] has no key \"service\"; did you mean \"services\"?\n"
      "m.toml:7:10: [[policy.register]] effect takes \"allow\" or \"deny\", not \"maybe\"\n"
      "m.toml:8:1: [[policy.control]] says not which actions it is about: actions = "
      "[\"look\", \"release\", \"quiesce\", \"cancel\", \"inspect\", \"hold\"] or \"*\" for all\n"
      "m.toml:9:10: [[policy.control]] groups names the group \"no-such-group\", which this "
      "host does not have\n"
      "m.toml:10:1: [[policy.control]] has release_below, but its actions are without "
      "\"release\"\n"
      "m.toml:12:20: [[policy.control]] actions takes \"look\", \"release\", \"quiesce\", "
      "\"cancel\", \"inspect\", \"hold\" or \"*\" for all, not \"reboot\"\n"
      "m.toml:13:18: [[policy.control]] release_below is invalid: the path \"relative\" is "
      "relative; give an absolute one, like /relative\n"
      "m.toml:14:1: [[policy.connect]] says not for which socket it is: socket = "
      "\"backend\" or \"control\"\n"
      "m.toml:18:10: [[policy.connect]] socket takes \"backend\" or \"control\", not "
      "\"both\"\n"
      "m.toml:19:9: unknown key \"registers\" in [policy]; did you mean \"register\"?\n");
}

TEST(DaemonPolicy, TheInstalledFileLetsMembersOfItsGroupRegister) {
  std::ifstream in(MUSTER_TEST_DATA_DIR "/../config/musterd.toml");
  std::string text;
  int line_number = 0;
  int rule_at = 0;
  for (std::string line; std::getline(in, line);) {
    ++line_number;
    if (line == "[[policy.register]]") rule_at = line_number;
    if (line == "groups = \"muster\"") line = "groups = 100";  // the host may not have it
    text += line + '\n';
  }
  const auto policy = in_force(text);
  const std::string rule = ", [[policy.register]] at m.toml:" + std::to_string(rule_at) + '\n';
  EXPECT_EQ(said(policy, service(7, 7, "zccache", {100})),
            "allowed: connect to backend.sock" + rule + "allowed: register zccache" + rule);
  EXPECT_EQ(said(policy, act(7, 100, ControlAction::kLook)),
            "denied: connect to control.sock, no rule allows it\n"
            "denied: look, no rule allows it\n");
}

// --- modes of sockets

std::string problems(std::string_view text, core::Lane lane, uid_t owner, gid_t group,
                     mode_t mode) {
  const SocketPermissions permissions{lane, "/run/s", owner, group, mode};
  std::string all;
  for (const auto& problem : permission_problems(*in_force(text), permissions))
    all += problem + '\n';
  return all;
}

constexpr char kGroup100[] = "[[policy.register]]\ngroups = 65533\n";

TEST(DaemonPolicy, AModeThatKeepsOutWhomARuleLetsInIsTold) {
  EXPECT_EQ(problems(kGroup100, core::Lane::kBackend, 0, 65533, 0660), "");
  EXPECT_EQ(problems(kGroup100, core::Lane::kBackend, 0, 0, 0666), "");
  EXPECT_EQ(problems(kGroup100, core::Lane::kBackend, 0, 0, 0660),
            "[[policy.register]] at m.toml:1 lets group 65533 connect, but /run/s (mode 0660, user "
            "root, group root) does not: set [sockets] backend_group or backend_mode, or "
            "SocketGroup= and SocketMode= of its unit\n");
  EXPECT_EQ(
      problems("[[policy.control]]\nusers = [0, 65533, \"*\"]\nactions = \"look\"\n",
               core::Lane::kControl, 0, 0, 0600),
      "[[policy.control]] at m.toml:1 lets everybody, user 65533 connect, but /run/s (mode "
      "0600, user root, group root) does not: set [sockets] control_group or control_mode, or "
      "SocketGroup= and SocketMode= of its unit\n");
  EXPECT_EQ(problems("[[policy.register]]\nusers = 65533\n", core::Lane::kBackend, 65533, 0, 0600),
            "");
}

TEST(DaemonPolicy, AModeThatLetsInAGroupThatNoRuleIsAboutIsTold) {
  EXPECT_EQ(problems("", core::Lane::kBackend, 0, 0, 0600), "");
  EXPECT_EQ(problems("", core::Lane::kBackend, 0, 65533, 0660),
            "/run/s (mode 0660, user root, group 65533) lets in more than root and its owner, but "
            "no rule does: whoever else connects is refused until a [[policy.register]] rule "
            "allows it something\n");
}

TEST(DaemonPolicy, ASocketsOwnerAndModeAreThoseOfItsFile) {
  const test::TempDir dir;
  const auto listening = os::listen_unix(dir / "s", 0640);
  const auto permissions = socket_permissions(listening.socket.get(), core::Lane::kControl);
  ASSERT_TRUE(permissions);
  EXPECT_EQ(permissions->path, (dir / "s").native());
  EXPECT_EQ(permissions->mode, 0640u);
  EXPECT_EQ(permissions->owner, ::geteuid());
}

}  // namespace
}  // namespace muster::daemon
