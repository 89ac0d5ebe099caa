// What policy lets an operator do, through real sockets; and a backend that policy keeps out.
#include <grp.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "component/control_plane_fixture.h"

namespace muster::test {
namespace {

using core::AccessPolicy;
using core::AccessRule;
using core::Effect;
using core::Lane;

// A rule about whoever runs the test.
AccessRule me(std::uint32_t line, Effect effect = Effect::kAllow) {
  AccessRule rule;
  rule.origin = {"policy.control", "m.toml", line, {}};
  rule.effect = effect;
  rule.who.gids = {::getegid()};
  return rule;
}

class ControlPolicyTest : public ControlPlaneTest {
 protected:
  void start_with(AccessPolicy policy) {
    policy_ = std::make_shared<const AccessPolicy>(std::move(policy));
    options_.core.policy = policy_;
    start();
  }
  // Operators may connect and do `actions`.
  static AccessPolicy allowing(std::vector<ControlAction> actions,
                               std::vector<std::string> below = {}) {
    AccessPolicy policy;
    policy.connect = {{me(1), Lane::kControl}, {me(2), Lane::kBackend}};
    policy.control = {{me(3), std::move(actions), std::move(below)}};
    policy.registration = {{me(4), {}, {}}};
    return policy;
  }
  static std::string denied(const std::string& number, const std::string& what,
                            const std::string& option) {
    const std::string uid = std::to_string(::geteuid());
    return number + " error (denied): policy does not let uid " + uid + " " + what +
           "; `musterctl explain-policy --uid " + uid + option +
           "`, run by somebody who may look, says which rule decides";
  }
};

TEST_F(ControlPolicyTest, WhoMayNotConnectIsToldSoAndTheLogNamesTheRule) {
  AccessPolicy policy = allowing({ControlAction::kLook});
  policy.connect[0].effect = Effect::kDeny;
  start_with(policy);
  TestOperator& op = connect();
  EXPECT_EQ(op.hears(), denied("0", "connect to control.sock", ""));
  EXPECT_EQ(op.hears(), "end of stream");
  EXPECT_TRUE(was_logged("operator denied pid=" + std::to_string(::getpid()) +
                         " uid=" + std::to_string(::geteuid())))
      << logged();
  EXPECT_TRUE(was_logged("rule=\"denied by [[policy.control]] at m.toml:1\"")) << logged();
}

TEST_F(ControlPolicyTest, WhoMayOnlyLookLooksAndBroadcastsNothing) {
  start_with(allowing({ControlAction::kLook}));
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  op.asks(1, wire::Ping{});
  EXPECT_EQ(op.hears(), "1 pong");
  op.asks(2, wire::ListBackends{});
  EXPECT_EQ(op.hears(), "2 backends live a 1.0.0");
  op.asks(3, wire::GetStatus{});
  EXPECT_EQ(op.hears(), "3 status");
  op.asks(4, release("/cache"));
  EXPECT_EQ(op.hears(), denied("4", "release /cache", " --release /cache"));
  wire::StartBroadcast quiesce;
  quiesce.request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  op.asks(5, quiesce);
  EXPECT_EQ(op.hears(), denied("5", "quiesce", " --quiesce"));
  op.asks(6, wire::CancelBroadcast{100});
  EXPECT_EQ(op.hears(), denied("6", "cancel", " --cancel"));
  auto dry_run = release("/cache");
  dry_run.dry_run = true;
  op.asks(7, dry_run);
  EXPECT_EQ(op.hears(), denied("7", "release /cache", " --release /cache"));
  op.asks(8, wire::Watch{});
  EXPECT_EQ(op.hears(), "8 watching");
  settle();
  EXPECT_EQ(backend.has_heard(), "nothing");
  EXPECT_TRUE(was_logged("rule=\"denied: no rule allows it\"")) << logged();
}

TEST_F(ControlPolicyTest, AReleaseIsAllowedBelowItsPathsAlone) {
  start_with(allowing({ControlAction::kRelease}, {"/srv"}));
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  op.asks(1, release("/srv/../etc"));
  EXPECT_EQ(op.hears(), denied("1", "release /etc", " --release /etc"));
  // Backends release what is below either spelling: both have to be allowed.
  auto aliased = release("/srv/x");
  aliased.request.operation = BroadcastOperation::release_handles("/srv/x", "/etc");
  op.asks(5, aliased);
  EXPECT_EQ(op.hears(), denied("5", "release /etc", " --release /etc"));
  op.asks(2, release("relative"));
  EXPECT_EQ(op.hears(), denied("2", "release", " --release"));
  op.asks(3, release("/srv/x"));
  EXPECT_EQ(backend.hears(), "operation 100: release-handles /srv/x");
  op.asks(4, wire::Ping{});
  EXPECT_EQ(op.hears(), denied("4", "look", " --look"));
}

TEST_F(ControlPolicyTest, ToVerifyAReleaseOrToHoldItNeedsMoreThanToRelease) {
  struct Case {
    std::vector<ControlAction> allowed;
    bool verify;
    bool hold;
    const char* missing;  // null: none
  };
  constexpr auto kRelease = ControlAction::kRelease;
  constexpr auto kInspect = ControlAction::kInspect;
  constexpr auto kHold = ControlAction::kHold;
  const Case cases[]{
      {{kRelease}, true, false, "inspect"},         {{kRelease}, false, true, "hold"},
      {{kRelease, kHold}, true, true, "inspect"},   {{kRelease, kInspect}, true, true, "hold"},
      {{kRelease, kInspect}, true, false, nullptr}, {{kRelease, kHold}, false, true, nullptr}};
  start_with(allowing({}));
  TestBackend& backend = join("a");
  std::uint64_t number = 0;
  TestOperator& op = connect();
  for (const Case& one : cases) {
    control_->set_policy(std::make_shared<const AccessPolicy>(allowing(one.allowed)));
    auto start = release("/cache");
    start.request.verify = one.verify;
    if (one.hold) start.request.hold = HoldRequest{true, std::nullopt};
    for (const bool dry_run : {true, false}) {
      start.dry_run = dry_run;
      if (one.missing == nullptr && !dry_run) continue;
      op.asks(++number, start);
      const std::string missing = one.missing == nullptr ? "" : one.missing;
      EXPECT_EQ(op.hears(), one.missing == nullptr
                                ? std::to_string(number) + " would ask a 1.0.0; dead"
                                : denied(std::to_string(number), missing, " --" + missing));
    }
  }
  settle();
  EXPECT_EQ(backend.has_heard(), "nothing");
  control_->set_policy(std::make_shared<const AccessPolicy>(
      allowing({ControlAction::kLook, kRelease, ControlAction::kQuiesce, kInspect})));
  op.asks(100, wire::EndHold{7});
  EXPECT_EQ(op.hears(), denied("100", "hold", " --hold"));
  op.asks(101, wire::KeepHold{7});
  EXPECT_EQ(op.hears(), denied("101", "hold", " --hold"));
}

TEST_F(ControlPolicyTest, ABackendThatMayNotRegisterIsRefusedWithASentence) {
  AccessPolicy policy = allowing({ControlAction::kLook});
  policy.registration[0].effect = Effect::kDeny;
  start_with(policy);
  TestBackend& backend =
      backends_.emplace_back(*dir_ / "backend.sock", [this] { return run_one(); });
  backend.registers("a");
  const std::string uid = std::to_string(::geteuid());
  EXPECT_EQ(backend.hears(), "refused (denied): policy does not let uid " + uid +
                                 " register a 1.0.0; `musterctl explain-policy --uid " + uid +
                                 " --service a` says which rule decides");
  EXPECT_EQ(backend.hears(), "end of stream");
  EXPECT_TRUE(was_logged("peer refused")) << logged();
  EXPECT_TRUE(was_logged("denied by [[policy.control]] at m.toml:4")) << logged();
}

TEST_F(ControlPolicyTest, ThePolicyInForceIsExplained) {
  start_with(allowing({ControlAction::kLook}));
  TestOperator& op = connect();
  PolicyQuestion question;
  question.uid = 4711;
  question.gid = 4711;
  question.groups = {::getegid()};
  question.about = PolicyQuestion::Registration{"zccache", Instance::shared()};
  op.asks(1, question);
  EXPECT_EQ(op.hears(),
            "1 policy allowed: connect to backend.sock by [[policy.control]] at m.toml:2, "
            "register zccache by [[policy.control]] at m.toml:4");
  question.groups.clear();
  question.about = PolicyQuestion::Control{ControlAction::kRelease, "/srv"};
  op.asks(2, question);
  EXPECT_EQ(op.hears(),
            "2 policy denied: connect to control.sock by no rule allows it, release /srv by no "
            "rule allows it");
  question.about = PolicyQuestion::Control{ControlAction::kRelease, "srv"};
  op.asks(3, question);
  EXPECT_TRUE(op.hears().starts_with("3 error (invalid): "));
}

TEST_F(ControlPolicyTest, AGroupThatOnlyANewPolicyMentionsCountsForThoseWhoAreConnected) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can choose its groups";
  constexpr gid_t kOld = 54'321;
  constexpr gid_t kNew = 60'000;
  std::vector<gid_t> before(static_cast<std::size_t>(::getgroups(0, nullptr)));
  ASSERT_EQ(::getgroups(static_cast<int>(before.size()), before.data()),
            static_cast<int>(before.size()));
  AccessPolicy policy = allowing({ControlAction::kLook});
  policy.control[0].who.gids = {kOld};
  start_with(policy);
  // In as many groups as the kernel allows, of which policy is about one.
  std::vector<gid_t> many;
  for (gid_t group = 1; group <= 65'536; ++group) many.push_back(group);
  ASSERT_EQ(::setgroups(many.size(), many.data()), 0);
  TestOperator& op = connect();
  ASSERT_EQ(::setgroups(before.size(), before.data()), 0);
  op.asks(1, wire::Ping{});
  EXPECT_EQ(op.hears(), "1 pong");

  policy.control[0].who.gids = {kNew};
  policy.control[0].effect = Effect::kDeny;
  control_->set_policy(std::make_shared<const AccessPolicy>(policy));
  op.asks(2, wire::Ping{});
  EXPECT_EQ(op.hears(), denied("2", "look", " --look"));
  policy.control[0].effect = Effect::kAllow;
  control_->set_policy(std::make_shared<const AccessPolicy>(policy));
  op.asks(3, wire::Ping{});
  EXPECT_EQ(op.hears(), "3 pong");
}

}  // namespace
}  // namespace muster::test
