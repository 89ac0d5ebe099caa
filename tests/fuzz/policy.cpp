// Access rules, and what is said of them: lists of rules, then questions.
#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "core/access_policy.h"
#include "fuzz/input.h"
#include "fuzz/rules.h"
#include "fuzz/shown.h"
#include "fuzz/targets.h"

namespace muster::fuzz {
namespace {

// A copy of the policy in which everything behind this line is gone, and the line, too, unless it
// is to be kept.
core::AccessPolicy cut(core::AccessPolicy policy, std::uint32_t line, bool keep) {
  const auto shorten = [&](auto& list) {
    std::erase_if(list, [&](const auto& rule) {
      return keep ? rule.origin.line > line : rule.origin.line >= line;
    });
  };
  shorten(policy.connect);
  shorten(policy.registration);
  shorten(policy.control);
  return policy;
}

PolicyStep last_step(core::AccessPolicy policy, const PolicyQuestion& question) {
  const auto answer =
      core::explain(std::make_shared<const core::AccessPolicy>(std::move(policy)), question);
  return std::get<PolicyExplanation>(answer).steps.back();
}

void ask(const core::AccessPolicy& policy, const PolicyQuestion& question) {
  const auto answer = core::explain(std::make_shared<const core::AccessPolicy>(policy), question);
  if (const auto* error = std::get_if<ControlError>(&answer)) {
    return must_be_fit_to_show(error->message);
  }
  const auto& steps = std::get<PolicyExplanation>(answer).steps;
  must(steps.size() == 2, "to connect, and then");
  for (const auto& step : steps) {
    must_be_fit_to_show(step.question);
    must_be_fit_to_show(step.rule);
    must(!step.allowed || step.line > 0, "what is allowed has a rule that allows it");
  }
  const auto& step = steps.back();
  const auto with = last_step(cut(policy, step.line, true), question);
  if (step.line == 0) {
    must(with == step, "no list, no rule");
    return;
  }
  must(with == step, "what stands behind the rule that decides means nothing");
  const auto without = last_step(cut(policy, step.line, false), question);
  must(without.line == 0 && !without.allowed, "what stands before it does not match");
}

}  // namespace

void policy(std::string_view bytes) {
  Input input(bytes);
  const auto read = rules(input);
  do {
    ask(read, policy_question(input));
  } while (!input.empty());
}

}  // namespace muster::fuzz
