// Policy: which rule decides, and what the core does with that.
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/broker.h"

namespace muster::core {
namespace {

Principals users(std::vector<uid_t> uids) { return {false, std::move(uids), {}}; }
Principals groups(std::vector<gid_t> gids) { return {false, {}, std::move(gids)}; }
Principals everybody() { return {true, {}, {}}; }

AccessRule rule(std::uint32_t line, Effect effect, Principals who) {
  return {{"policy.x", "musterd.toml", line, {}}, effect, std::move(who)};
}

Selection one_of(const std::string& field, const std::vector<std::string>& globs) {
  Selection selection;
  for (const auto& glob : globs) {
    auto parsed = Selector::from_terms({{field, glob}});
    EXPECT_EQ(parsed.problem, "");
    selection.push_back(std::move(parsed.selector));
  }
  return selection;
}

BackendKey key(const std::string& service, Instance instance = Instance::shared()) {
  return {std::move(instance), service, "1.0.0", ""};
}

// "line 3 allows", "line 4 denies", "none matches"
std::string said(const Verdict& verdict) {
  if (verdict.rule == nullptr) return verdict.allowed ? "allowed by nothing" : "none matches";
  return "line " + std::to_string(verdict.rule->line) + (verdict.allowed ? " allows" : " denies");
}

AccessPolicy registering(std::vector<RegisterRule> rules) {
  AccessPolicy policy;
  policy.registration = std::move(rules);
  return policy;
}

AccessPolicy controlling(std::vector<ControlRule> rules) {
  AccessPolicy policy;
  policy.control = std::move(rules);
  return policy;
}

TEST(AccessPolicyTest, WhatNoRuleMatchesIsDenied) {
  const AccessPolicy nothing;
  const Subject root{0, 0, {}};
  EXPECT_EQ(said(nothing.may_connect(root, Lane::kBackend)), "none matches");
  EXPECT_EQ(said(nothing.may_register(root, key("a"))), "none matches");
  EXPECT_EQ(said(nothing.may_control(root, {ControlAction::kLook, {}})), "none matches");
}

TEST(AccessPolicyTest, TheFirstRuleThatMatchesDecides) {
  const auto policy = registering({
      {rule(1, Effect::kDeny, users({7})), {}, {}},
      {rule(2, Effect::kAllow, groups({100})), {}, {}},
      {rule(3, Effect::kDeny, everybody()), {}, {}},
  });
  EXPECT_EQ(said(policy.may_register({7, 100, {}}, key("a"))), "line 1 denies");
  EXPECT_EQ(said(policy.may_register({8, 100, {}}, key("a"))), "line 2 allows");
  EXPECT_EQ(said(policy.may_register({8, 101, {}}, key("a"))), "line 3 denies");
}

TEST(AccessPolicyTest, WhoMayRegisterSomethingIsWhomSomeRuleAllowsBeforeAllIsDenied) {
  const AccessPolicy policy = registering(
      {{rule(1, Effect::kDeny, users({1000})), one_of("service", {"a"}), {}},
       {rule(2, Effect::kDeny, users({1001})), {}, {}},
       {rule(3, Effect::kAllow, users({1002})), {}, one_of("instance", {"shared"})},
       {rule(4, Effect::kDeny, users({1002, 1003})), {}, {}},
       {rule(5, Effect::kAllow, users({1000, 1001, 1003})), one_of("service", {"b"}), {}}});
  std::string may;
  for (const uid_t uid : {1000U, 1001U, 1002U, 1003U, 1004U}) {
    if (policy.may_register_something({uid, uid, {}})) may += std::to_string(uid) + ' ';
  }
  EXPECT_EQ(may, "1000 1002 ");
  EXPECT_FALSE(AccessPolicy{}.may_register_something({0, 0, {}}));
}

TEST(AccessPolicyTest, ASupplementaryGroupCountsLikeTheFirst) {
  const auto policy = registering({{rule(1, Effect::kAllow, groups({100})), {}, {}}});
  const std::vector<gid_t> supplementary{20, 100};
  EXPECT_EQ(said(policy.may_register({7, 7, supplementary}, key("a"))), "line 1 allows");
  EXPECT_EQ(said(policy.may_register({7, 100, {}}, key("a"))), "line 1 allows");
  EXPECT_EQ(said(policy.may_register({100, 7, {}}, key("a"))), "none matches");
}

TEST(AccessPolicyTest, ARuleIsAboutTheServicesAndInstancesThatItNames) {
  const auto policy = registering({
      {rule(1, Effect::kAllow, everybody()), one_of("service", {"zcc*", "soldr"}),
       one_of("instance", {"shared", "private:*"})},
  });
  const Subject who{7, 7, {}};
  EXPECT_EQ(said(policy.may_register(who, key("zccache"))), "line 1 allows");
  EXPECT_EQ(said(policy.may_register(who, key("soldr", Instance::private_to("x")))),
            "line 1 allows");
  EXPECT_EQ(said(policy.may_register(who, key("soldr2"))), "none matches");
  EXPECT_EQ(said(policy.may_register(who, key("soldr", Instance::explicitly("x")))),
            "none matches");
}

TEST(AccessPolicyTest, ASocketsRulesAreNotTheOthers) {
  AccessPolicy policy;
  policy.connect = {{rule(1, Effect::kAllow, users({7})), Lane::kControl},
                    {rule(2, Effect::kAllow, users({7})), Lane::kBackend}};
  EXPECT_EQ(said(policy.may_connect({7, 7, {}}, Lane::kBackend)), "line 2 allows");
  EXPECT_EQ(said(policy.may_connect({7, 7, {}}, Lane::kControl)), "line 1 allows");
}

TEST(AccessPolicyTest, AReleaseIsAllowedBelowItsPathsByWholeComponents) {
  const auto policy = controlling(
      {{rule(1, Effect::kAllow, everybody()), {ControlAction::kRelease}, {"/var/cache", "/srv"}}});
  const auto release = [&](std::string_view path) {
    return said(policy.may_control({7, 7, {}}, {ControlAction::kRelease, path}));
  };
  EXPECT_EQ(release("/var/cache"), "line 1 allows");
  EXPECT_EQ(release("/srv/x/y"), "line 1 allows");
  EXPECT_EQ(release("/var/cache2"), "none matches");
  EXPECT_EQ(release("/var"), "none matches");
  EXPECT_EQ(release("/"), "none matches");
}

TEST(AccessPolicyTest, ADenialOfAPathCoversWhatIsAboveIt) {
  const auto policy =
      controlling({{rule(1, Effect::kDeny, everybody()), {ControlAction::kRelease}, {"/srv/db"}},
                   {rule(2, Effect::kAllow, everybody()), {ControlAction::kRelease}, {}}});
  const auto release = [&](std::string_view path) {
    return said(policy.may_control({7, 7, {}}, {ControlAction::kRelease, path}));
  };
  EXPECT_EQ(release("/srv/db/x"), "line 1 denies");
  EXPECT_EQ(release("/srv"), "line 1 denies");
  EXPECT_EQ(release("/"), "line 1 denies");
  EXPECT_EQ(release("/srv/db2"), "line 2 allows");
}

TEST(AccessPolicyTest, AnActionThatARuleDoesNotNameIsNotItsAffair) {
  const auto policy = controlling({{rule(1, Effect::kAllow, everybody()),
                                    {ControlAction::kLook, ControlAction::kQuiesce},
                                    {}}});
  const Subject who{7, 7, {}};
  EXPECT_EQ(said(policy.may_control(who, {ControlAction::kQuiesce, {}})), "line 1 allows");
  EXPECT_EQ(said(policy.may_control(who, {ControlAction::kCancel, {}})), "none matches");
  EXPECT_EQ(said(policy.may_control(who, {ControlAction::kRelease, "/"})), "none matches");
}

TEST(AccessPolicyTest, AVerdictNamesTheRuleAndWhereItStands) {
  const RuleOrigin written{"policy.register", "/etc/muster/musterd.toml", 12, {}};
  EXPECT_EQ((Verdict{true, &written}.to_string()),
            "allowed by [[policy.register]] at /etc/muster/musterd.toml:12");
  const RuleOrigin built_in{"policy.register", {}, 0, "root"};
  EXPECT_EQ((Verdict{false, &built_in}.to_string()), "denied by the built-in rule (root)");
  EXPECT_EQ(Verdict{}.to_string(), "denied: no rule allows it");
}

// --- in the core

class RefusingShell final : public Shell {
 public:
  BroadcastId next_broadcast_id() override { return 1; }
  void send(ConnectionId, const OutgoingOperation&) override {}
  void scan(const ScanOrder&) override {}
  void send(ConnectionId, std::uint64_t, const Notice& notice) override {
    if (std::holds_alternative<Registered>(notice)) said += "registered\n";
  }
  void refuse(ConnectionId, std::uint64_t, const Refusal& refusal, bool) override {
    said += std::string(to_string(refusal.code)) + ": " + refusal.reason + "\n";
  }
  std::vector<gid_t> groups_of(ConnectionId) override {
    ++times_asked;
    return groups_of_peer;
  }
  void hang_up(ConnectionId) override {}
  void release(ConnectionId connection) override {
    said += "released " + std::to_string(connection.slot) + "\n";
  }
  void arm(DeadlineId, SteadyTime) override { ++armed; }
  void cancel(DeadlineId) override { --armed; }
  bool wants_every_outcome() const noexcept override { return false; }
  void report(const Event& event) override {
    if (event.kind == Event::Kind::kPeerRefused) logged = event.detail;
  }
  void ended(BroadcastId /*broadcast*/) noexcept override {}
  void drained() override {}

  std::string said;
  std::string logged;
  std::vector<gid_t> groups_of_peer;
  int times_asked = 0;
  int armed = 0;
};

Config with(AccessPolicy policy) {
  Config config;
  config.policy = std::make_shared<const AccessPolicy>(std::move(policy));
  return config;
}

Peer peer(uid_t uid) {
  Peer peer;
  peer.process = {42, 42};
  peer.uid = uid;
  peer.gid = uid;
  return peer;
}

TEST(CorePolicyTest, AStrangerIsRefusedWhenItConnectsAndNothingIsArmedForIt) {
  AccessPolicy policy;
  policy.connect = {{rule(3, Effect::kAllow, users({7})), Lane::kBackend}};
  RefusingShell shell;
  Broker broker(with(policy), shell);
  broker.connection_opened({0, 1}, peer(8), {});
  EXPECT_EQ(shell.said,
            "denied: policy does not let uid 8 connect to backend.sock; `musterctl explain-policy "
            "--uid 8` says which rule decides\n"
            "released 0\n");
  EXPECT_EQ(shell.logged,
            "policy does not let uid 8 connect to backend.sock; `musterctl explain-policy --uid 8` "
            "says which rule decides (denied: no rule allows it)");
  EXPECT_EQ(shell.armed, 0);
}

// The rule that would allow it to a member is the one to follow; a rule that denies is no help.
TEST(CorePolicyTest, ARefusalNamesTheGroupThatHelps) {
  AccessPolicy policy;
  policy.connect = {{rule(1, Effect::kAllow, everybody()), Lane::kBackend}};
  Principals muster = groups({100});
  muster.group_names = {{100, "muster"}};
  Principals others = groups({200});
  others.group_names = {{200, "others"}};
  policy.registration = {{rule(2, Effect::kAllow, others), one_of("service", {"soldr"}), {}},
                         {rule(3, Effect::kDeny, others), {}, {}},
                         {rule(4, Effect::kAllow, muster), one_of("service", {"zcc*"}), {}}};
  const Subject nobody{8, 8, {}};
  const std::vector<gid_t> in_others{200};
  const Subject member{8, 8, in_others};
  EXPECT_EQ(policy.group_that_may_register(nobody, key("zccache")), "muster");
  EXPECT_EQ(policy.group_that_may_register(nobody, key("soldr")), "others");
  EXPECT_EQ(policy.group_that_may_register(nobody, key("other")), "");
  EXPECT_EQ(policy.group_that_may_register(member, key("zccache")), "")
      << "it is denied as a member of the others";
  RefusingShell shell;
  Broker broker(with(policy), shell);
  Registration registration;
  registration.key = key("zccache");
  broker.connection_opened({0, 1}, peer(8), {});
  broker.registration({0, 1}, 1, registration, {});
  EXPECT_EQ(shell.said,
            "denied: policy does not let uid 8 register zccache 1.0.0; members of the group muster "
            "may: `usermod -aG muster USER`, then restart the daemon; `musterctl explain-policy "
            "--uid 8 --service zccache` says which rule decides\n"
            "released 0\n");
}

TEST(CorePolicyTest, AServiceThatIsNotItsOwnIsRefusedAndTheLogNamesTheRule) {
  AccessPolicy policy;
  policy.connect = {{rule(1, Effect::kAllow, everybody()), Lane::kBackend}};
  policy.registration = {
      {rule(2, Effect::kDeny, everybody()), {}, one_of("instance", {"explicit:*"})},
      {rule(3, Effect::kAllow, groups({100})), one_of("service", {"zcc*"}), {}}};
  RefusingShell shell;
  shell.groups_of_peer = {100};
  Broker broker(with(policy), shell);
  Registration registration;
  registration.key = key("zccache");
  broker.connection_opened({0, 1}, peer(8), {});
  broker.registration({0, 1}, 1, registration, {});
  EXPECT_EQ(shell.said, "registered\n");

  shell.said.clear();
  registration.key = key("zccache", Instance::explicitly("blue"));
  broker.connection_opened({1, 1}, peer(8), {});
  broker.registration({1, 1}, 1, registration, {});
  EXPECT_EQ(shell.said,
            "denied: policy does not let uid 8 register zccache 1.0.0 [explicit:blue]; `musterctl "
            "explain-policy --uid 8 --service zccache --instance explicit:blue` says which rule "
            "decides\n"
            "released 1\n");
  EXPECT_TRUE(shell.logged.ends_with("(denied by [[policy.x]] at musterd.toml:2)")) << shell.logged;
  EXPECT_EQ(shell.armed, 0);
}

TEST(CorePolicyTest, GroupsCountAsTheyAreWhenTheDecisionIsMadeAndNobodyKeepsThem) {
  AccessPolicy policy;
  policy.connect = {{rule(1, Effect::kAllow, everybody()), Lane::kBackend}};
  policy.registration = {{rule(2, Effect::kAllow, everybody()), {}, {}}};
  RefusingShell shell;
  Broker broker(with(policy), shell);
  broker.connection_opened({0, 1}, peer(8), {});
  EXPECT_EQ(shell.times_asked, 0) << "no rule is about groups";

  // A rule that came after it connected is about one of its many groups.
  for (gid_t group = 0; group < 65'536; ++group) shell.groups_of_peer.push_back(group);
  policy.registration.insert(policy.registration.begin(),
                             {rule(1, Effect::kDeny, groups({65'000})), {}, {}});
  broker.set_policy(with(policy).policy);
  Registration registration;
  registration.key = key("zccache");
  broker.registration({0, 1}, 1, registration, {});
  EXPECT_TRUE(shell.logged.ends_with("(denied by [[policy.x]] at musterd.toml:1)")) << shell.logged;
  EXPECT_EQ(shell.times_asked, 1);
}

TEST(AccessPolicyGroupsTest, OnlyThoseThatSomeRuleMentionsMatter) {
  AccessPolicy policy;
  EXPECT_TRUE(policy.those_mentioned({1, 2, 3}).empty());
  policy.connect = {{rule(1, Effect::kAllow, groups({7})), Lane::kBackend}};
  policy.registration = {{rule(2, Effect::kDeny, groups({9, 8})), {}, {}}};
  policy.control = {{rule(3, Effect::kAllow, groups({5})), {}, {}}};
  std::vector<gid_t> many;
  for (gid_t group = 0; group < 65'536; ++group) many.push_back(group);
  const auto kept = policy.those_mentioned(std::move(many));
  EXPECT_EQ(kept, (std::vector<gid_t>{5, 7, 8, 9}));
  EXPECT_LT(kept.capacity(), 100u);
}

}  // namespace
}  // namespace muster::core
