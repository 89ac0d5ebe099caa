// Policy: which users might register one of those that are selected.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/access_policy.h"

namespace muster::core {
namespace {

// Of user 7, by its rules: what may be selected that it might register.
struct MightCase {
  const char* effect;  // of the first rule
  Principals who;
  const char* services;   // of the first rule
  const char* instances;  // the same
  bool others;            // the second rule allows everybody everything
  const char* selected;
  bool might;
};

Selection selection_in(const char* text) {
  if (*text == '\0') return {};
  const auto parsed = Selector::parse(text);
  EXPECT_EQ(parsed.problem, "") << text;
  return {parsed.selector};
}

TEST(AccessPolicyMightTest, OnlyWhatNoRuleAllowsForCertainIsOutOfTheQuestion) {
  const Principals all{true, {}, {}};
  const Principals seven{false, {7}, {}};
  const Principals eight{false, {8}, {}};
  const Principals group{false, {}, {100}};
  const std::vector<MightCase> cases = {
      {"allow", seven, "service=evil*", "", false, "service=good", false},
      {"allow", seven, "service=evil*", "", false, "service=good*", false},
      {"allow", seven, "service=evil*", "", false, "service=good,label.x=y", false},
      {"allow", seven, "service=evil*", "", false, "service=evil-2", true},
      {"allow", seven, "service=evil*", "", false, "service=e*", true},
      {"allow", seven, "service=evil*", "", false, "service=*good", true},
      {"allow", seven, "service=*-evil", "", false, "service=good", false},
      {"allow", seven, "service=[a-f]*", "", false, "service=good", false},
      {"allow", seven, "service=[a-g]*", "", false, "service=good", true},
      {"allow", seven, "service=evil*", "", false, "version=1.*", true},
      {"allow", seven, "service=evil*", "", false, "label.x=y", true},
      {"allow", seven, "service=evil*", "", false, "", true},
      {"allow", seven, "", "", false, "service=good", true},
      {"allow", seven, "", "instance=private:*", false, "instance=shared", false},
      {"allow", seven, "", "instance=private:*", false, "service=good", true},
      {"allow", group, "service=good", "", false, "service=good", true},
      {"allow", eight, "service=good", "", false, "service=good", false},
      {"allow", eight, "service=good", "", true, "service=good", true},
      {"deny", seven, "service=good*", "", true, "service=good", false},
      {"deny", all, "service=good*", "", true, "service=good", false},
      {"deny", all, "", "", true, "service=good", false},
      {"deny", seven, "service=good*", "", true, "service=g*", true},
      {"deny", seven, "service=good*", "", true, "service=other", true},
      {"deny", seven, "service=good*", "instance=shared", true, "service=good", true},
      {"deny", group, "service=good*", "", true, "service=good", true},
      {"deny", eight, "service=good*", "", true, "service=good", true}};
  for (const MightCase& one : cases) {
    AccessPolicy policy;
    RegisterRule first;
    first.effect = *one.effect == 'a' ? Effect::kAllow : Effect::kDeny;
    first.who = one.who;
    first.services = selection_in(one.services);
    first.instances = selection_in(one.instances);
    policy.registration.push_back(first);
    if (one.others) {
      RegisterRule second;
      second.who = all;
      policy.registration.push_back(second);
    }
    EXPECT_EQ(policy.might_register(7, selection_in(one.selected)), one.might)
        << one.effect << ' ' << one.services << ' ' << one.instances << ", selected "
        << one.selected;
  }
}

TEST(AccessPolicyMightTest, MoreThanIsLookedAtMight) {
  AccessPolicy policy;
  RegisterRule rule;
  rule.who.everybody = true;
  rule.services = selection_in("service=evil");
  for (int i = 0; i < 10'000; ++i) policy.registration.push_back(rule);
  EXPECT_TRUE(policy.might_register(7, selection_in("service=good")));
  policy.registration.resize(100);
  EXPECT_FALSE(policy.might_register(7, selection_in("service=good")));
}

}  // namespace
}  // namespace muster::core
