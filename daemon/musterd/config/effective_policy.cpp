#include "musterd/config/effective_policy.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "model/operation_table.h"

namespace muster::daemon {
namespace {

using core::AccessPolicy;
using core::AccessRule;
using core::Effect;
using core::Lane;

AccessRule built_in(const char* list, uid_t own) {
  AccessRule rule;
  rule.origin = {list, {}, 0, "root and the broker's own user may do everything"};
  rule.effect = Effect::kAllow;
  rule.who.uids = {0};
  if (own != 0) rule.who.uids.push_back(own);
  return rule;
}

// Whoever may do something there must get in first.
template <class Rule>
void let_in(AccessPolicy& policy, Lane lane, const std::vector<Rule>& rules) {
  const bool decided = std::any_of(policy.connect.begin(), policy.connect.end(),
                                   [&](const auto& rule) { return rule.lane == lane; });
  if (decided) return;
  for (const Rule& rule : rules) {
    if (rule.effect != Effect::kAllow) continue;
    core::ConnectRule connect;
    connect.effect = rule.effect;
    connect.who = rule.who;
    connect.origin = rule.origin;
    connect.lane = lane;
    policy.connect.push_back(std::move(connect));
  }
}

// Before each rule that denies everybody for want of a name.
template <class Rule>
void let_root_through(std::vector<Rule>& rules, uid_t own) {
  std::vector<Rule> all;
  all.reserve(rules.size());
  for (Rule& rule : rules) {
    if (rule.effect == Effect::kDeny && rule.origin.remark == kUnresolvedRemark) {
      Rule first = rule;
      first.effect = Effect::kAllow;
      first.who = {};
      first.who.uids = {0};
      if (own != 0) first.who.uids.push_back(own);
      all.push_back(std::move(first));
    }
    all.push_back(std::move(rule));
  }
  rules = std::move(all);
}

}  // namespace

core::AccessPolicyPtr effective_policy(const AccessPolicy& rules, uid_t own) {
  AccessPolicy policy = rules;
  let_in(policy, Lane::kBackend, rules.registration);
  let_in(policy, Lane::kControl, rules.control);
  let_root_through(policy.connect, own);
  let_root_through(policy.registration, own);
  let_root_through(policy.control, own);
  for (const Lane lane : {Lane::kBackend, Lane::kControl}) {
    core::ConnectRule connect;
    static_cast<AccessRule&>(connect) = built_in("policy.connect", own);
    connect.lane = lane;
    policy.connect.push_back(std::move(connect));
  }
  core::RegisterRule registration;
  static_cast<AccessRule&>(registration) = built_in("policy.register", own);
  policy.registration.push_back(std::move(registration));
  core::ControlRule control;
  static_cast<AccessRule&>(control) = built_in("policy.control", own);
  for (const ActionRow& row : all_actions()) control.actions.push_back(row.action);
  policy.control.push_back(std::move(control));
  return std::make_shared<const AccessPolicy>(std::move(policy));
}

}  // namespace muster::daemon
