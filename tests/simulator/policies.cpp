// The access rules that a script may have, and what each of them means, said a second time.
#include <array>

#include "simulator/universe.h"

namespace muster::simulator {
namespace {

using core::AccessPolicy;
using core::ConnectRule;
using core::Effect;
using core::Lane;
using core::Principals;
using core::RegisterRule;

constexpr uid_t kFirst = kFirstUid;
constexpr uid_t kSecond = kFirstUid + 1;
constexpr uid_t kThird = 0;
constexpr gid_t kFirstGroup = kFirstUid;

Principals everybody() { return {true, {}, {}}; }
Principals user(uid_t uid) { return {false, {uid}, {}}; }
Principals group(gid_t gid) { return {false, {}, {gid}}; }

ConnectRule connect(Effect effect, Principals who, Lane lane = Lane::kBackend) {
  ConnectRule rule;
  rule.effect = effect;
  rule.who = std::move(who);
  rule.lane = lane;
  return rule;
}

RegisterRule enrol(Effect effect, Principals who, const char* services = "",
                   const char* instances = "") {
  RegisterRule rule;
  rule.effect = effect;
  rule.who = std::move(who);
  if (*services != '\0') rule.services = {Selector::parse(services).selector};
  if (*instances != '\0') rule.instances = {Selector::parse(instances).selector};
  return rule;
}

// Of two instances of one service one.
AccessPolicy no_private_beta_of_the_second() {
  AccessPolicy policy;
  policy.connect = {connect(Effect::kAllow, everybody())};
  policy.registration = {enrol(Effect::kDeny, user(kSecond), "service=beta", "instance=private:*"),
                         enrol(Effect::kAllow, everybody())};
  return policy;
}

// By groups, one of them supplementary; what no rule is about is denied.
AccessPolicy by_groups() {
  AccessPolicy policy;
  policy.connect = {connect(Effect::kDeny, user(kSecond)),
                    connect(Effect::kAllow, group(kFirstGroup)),
                    connect(Effect::kAllow, group(kGuests))};
  policy.registration = {
      enrol(Effect::kAllow, group(kFirstGroup), "service=alpha", "instance=shared"),
      enrol(Effect::kAllow, user(kThird))};
  return policy;
}

// The order decides, and rules of the other socket mean nothing here.
AccessPolicy in_order() {
  AccessPolicy policy;
  policy.connect = {connect(Effect::kDeny, everybody(), Lane::kControl),
                    connect(Effect::kAllow, everybody())};
  policy.registration = {enrol(Effect::kAllow, user(kFirst), "service=delta"),
                         enrol(Effect::kDeny, everybody(), "service=delta"),
                         enrol(Effect::kAllow, everybody())};
  return policy;
}

}  // namespace

core::AccessPolicyPtr policy_of(std::int64_t policy) {
  static const std::array<core::AccessPolicyPtr, kPolicies> kTable = {
      nullptr, std::make_shared<const AccessPolicy>(no_private_beta_of_the_second()),
      std::make_shared<const AccessPolicy>(by_groups()),
      std::make_shared<const AccessPolicy>(in_order())};
  return kTable[static_cast<std::size_t>(policy) % kPolicies];
}

bool may_connect(std::int64_t policy, uid_t uid) {
  return static_cast<std::size_t>(policy) % kPolicies != 2 || uid != kSecond;
}

bool may_register(std::int64_t policy, uid_t uid, std::uint32_t key) {
  const bool private_beta = key == 4;
  const bool delta = key >= 6;
  switch (static_cast<std::size_t>(policy) % kPolicies) {
    case 1:
      return !(uid == kSecond && private_beta);
    case 2:
      return uid == kThird || (uid == kFirst && key <= 2);
    case 3:
      return !delta || uid == kFirst;
    default:
      return true;
  }
}

bool may_register_something(std::int64_t policy, uid_t uid) {
  for (std::uint32_t key = 0; key < kKeys; ++key) {
    if (may_register(policy, uid, key)) return true;
  }
  return false;
}

// By service and instance, as rules are about these: who may be alpha, shared, is not in
// "instance=private:*", "service=delta,.. or gamma" and "service=nobody". Versions and labels are
// in no rule. Who is in the group of the first rule cannot be told.
bool might_register(std::int64_t policy, uid_t uid, std::int64_t selection) {
  const bool is_alpha_alone = static_cast<std::size_t>(policy) % kPolicies == 2 && uid != kThird;
  const auto number = static_cast<std::size_t>(selection) % kSelections;
  return !is_alpha_alone || (number != 3 && number != 5 && number != 6);
}

}  // namespace muster::simulator
