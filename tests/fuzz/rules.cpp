#include "fuzz/rules.h"

#include <array>
#include <string>
#include <utility>

#include "muster/path.h"

#include "model/operation_table.h"

namespace muster::fuzz {
namespace {

using core::AccessPolicy;

constexpr std::size_t kMostRules = 3;  // of each list
constexpr std::array<uid_t, 3> kIds{0, 1000, 1001};

// What every rule has; it stands on the line `line`.
void read_rule(Input& input, std::uint32_t line, core::AccessRule& rule) {
  const auto bits = input.byte();
  rule.origin = {"policy", "f", line, ""};
  rule.effect = (bits & 1U) != 0 ? core::Effect::kDeny : core::Effect::kAllow;
  rule.who.everybody = (bits & 2U) != 0;
  for (std::size_t i = 0; i < kIds.size(); ++i) {
    if ((bits >> (2 + i) & 1U) != 0) rule.who.uids.push_back(kIds[i]);
  }
  for (std::size_t i = 0; i < kIds.size(); ++i) {
    if ((bits >> (5 + i) & 1U) != 0) rule.who.gids.push_back(kIds[i]);
  }
}

Selection globs(Input& input, const char* field) {
  Selection selection;
  if (input.choose(2) == 0) return selection;
  const auto glob = std::string(input.bytes(input.choose(20)));
  auto parsed = Selector::from_terms({{field, glob}});
  if (parsed.problem.empty()) selection.push_back(std::move(parsed.selector));
  return selection;
}

std::string normal_path(Input& input) {
  auto path = normalize_path_prefix(std::string("/").append(input.bytes(input.choose(20))));
  return path.problem.empty() ? std::move(path.path) : "/";
}

}  // namespace

AccessPolicy rules(Input& input) {
  AccessPolicy policy;
  std::uint32_t line = 0;
  for (auto left = input.choose(kMostRules + 1); left > 0; --left) {
    auto& rule = policy.connect.emplace_back();
    read_rule(input, ++line, rule);
    rule.lane = input.choose(2) == 0 ? core::Lane::kBackend : core::Lane::kControl;
  }
  for (auto left = input.choose(kMostRules + 1); left > 0; --left) {
    auto& rule = policy.registration.emplace_back();
    read_rule(input, ++line, rule);
    rule.services = globs(input, "service");
    rule.instances = globs(input, "instance");
  }
  for (auto left = input.choose(kMostRules + 1); left > 0; --left) {
    auto& rule = policy.control.emplace_back();
    read_rule(input, ++line, rule);
    const auto bits = input.byte();
    for (std::size_t i = 0; i < all_actions().size(); ++i) {
      if ((bits >> i & 1U) != 0) rule.actions.push_back(all_actions()[i].action);
    }
    if ((bits & 16U) != 0) rule.release_below.push_back(normal_path(input));
    if ((bits & 32U) != 0) rule.release_below.push_back(normal_path(input));
  }
  return policy;
}

PolicyQuestion policy_question(Input& input) {
  PolicyQuestion question;
  question.uid = kIds[input.choose(kIds.size())];
  question.gid = kIds[input.choose(kIds.size())];
  for (auto left = input.choose(3); left > 0; --left) {
    question.groups.push_back(kIds[input.choose(kIds.size())]);
  }
  switch (input.choose(4)) {
    case 0:
      question.about = PolicyQuestion::Registration{std::string(input.bytes(input.choose(70))), {}};
      break;
    case 1:
      question.about = PolicyQuestion::Registration{
          "zccache", Instance::explicitly(std::string(input.bytes(input.choose(70))))};
      break;
    case 2:
      question.about = PolicyQuestion::Control{
          all_actions()[input.choose(all_actions().size())].action, std::string(input.text())};
      break;
    default:
      break;
  }
  return question;
}

}  // namespace muster::fuzz
