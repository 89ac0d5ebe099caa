#include "core/access_policy.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "muster/path.h"

namespace muster::core {
namespace {

template <class Values, class Value>
bool contains(const Values& values, const Value& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// The first rule that is about `who` and that `matches`.
template <class Rule, class Matches>
Verdict decide(const std::vector<Rule>& rules, const Subject& who, Matches matches) {
  for (const Rule& rule : rules) {
    if (rule.who.include(who) && matches(rule)) {
      return {rule.effect == Effect::kAllow, &rule.origin};
    }
  }
  return {};
}

bool is_about(const ControlRule& rule, const ControlAct& act) {
  if (!contains(rule.actions, act.action)) return false;
  if (act.action != ControlAction::kRelease || rule.release_below.empty()) return true;
  return std::any_of(rule.release_below.begin(), rule.release_below.end(),
                     [&](const std::string& prefix) {
                       if (path_is_under(prefix, act.path)) return true;
                       return rule.effect == Effect::kDeny && path_is_under(act.path, prefix);
                     });
}

// The name of a group of the rules with which `who` is allowed.
template <class Rules, class Allowed>
std::string group_that_helps(const Rules& rules, const Subject& who, Allowed allowed) {
  std::vector<gid_t> groups(who.groups.begin(), who.groups.end());
  groups.push_back(0);
  for (const AccessRule& rule : rules) {
    if (rule.effect != Effect::kAllow) continue;
    for (const auto& [gid, name] : rule.who.group_names) {
      groups.back() = gid;
      if (allowed(Subject{who.uid, who.gid, groups})) return name;
    }
  }
  return {};
}

}  // namespace

bool Principals::include(const Subject& subject) const {
  if (everybody || contains(uids, subject.uid) || contains(gids, subject.gid)) return true;
  return std::any_of(subject.groups.begin(), subject.groups.end(),
                     [&](gid_t group) { return contains(gids, group); });
}

std::string RuleOrigin::to_string() const {
  if (line == 0) return "the built-in rule (" + remark + ")";
  return "[[" + list + "]] at " + escape_bytes(file) + ":" + std::to_string(line);
}

std::string_view socket_name(Lane lane) noexcept {
  return lane == Lane::kBackend ? "backend.sock" : "control.sock";
}

std::string ControlAct::to_string() const {
  std::string text(muster::to_string(action));
  if (!path.empty()) text += " " + escape_bytes(path);
  return text;
}

std::string Verdict::to_string() const {
  if (rule == nullptr) return "denied: no rule allows it";
  return (allowed ? "allowed by " : "denied by ") + rule->to_string();
}

bool AccessPolicy::mentions_groups() const {
  const auto any = [](const auto& rules) {
    return std::any_of(rules.begin(), rules.end(),
                       [](const AccessRule& rule) { return !rule.who.gids.empty(); });
  };
  return any(connect) || any(registration) || any(control);
}

std::vector<gid_t> AccessPolicy::those_mentioned(std::vector<gid_t> groups) const {
  std::set<gid_t> mentioned;
  const auto add = [&](const auto& rules) {
    for (const AccessRule& rule : rules)
      mentioned.insert(rule.who.gids.begin(), rule.who.gids.end());
  };
  add(connect);
  add(registration);
  add(control);
  std::erase_if(groups, [&](gid_t group) { return !mentioned.contains(group); });
  groups.shrink_to_fit();
  return groups;
}

Verdict AccessPolicy::may_connect(const Subject& who, Lane lane) const {
  return decide(connect, who, [&](const ConnectRule& rule) { return rule.lane == lane; });
}

Verdict AccessPolicy::may_register(const Subject& who, const BackendKey& key) const {
  static const Labels kNone;
  return decide(registration, who, [&](const RegisterRule& rule) {
    return selects(rule.services, key, kNone) && selects(rule.instances, key, kNone);
  });
}

bool AccessPolicy::may_register_something(const Subject& who) const {
  const Verdict verdict = decide(registration, who, [](const RegisterRule& rule) {
    return rule.effect == Effect::kAllow || (rule.services.empty() && rule.instances.empty());
  });
  return verdict.allowed;
}

std::string AccessPolicy::group_that_may_connect(const Subject& who, Lane lane) const {
  return group_that_helps(connect, who,
                          [&](const Subject& member) { return may_connect(member, lane).allowed; });
}

std::string AccessPolicy::group_that_may_register(const Subject& who, const BackendKey& key) const {
  return group_that_helps(registration, who,
                          [&](const Subject& member) { return may_register(member, key).allowed; });
}

Verdict AccessPolicy::may_control(const Subject& who, const ControlAct& act) const {
  return decide(control, who, [&](const ControlRule& rule) { return is_about(rule, act); });
}

namespace {

using Answer = std::variant<PolicyExplanation, ControlError>;

ControlError invalid(std::string sentence) {
  return {ControlError::Code::kInvalid, std::move(sentence)};
}

class Explainer {
 public:
  Explainer(const AccessPolicy* policy, const PolicyQuestion& question)
      : policy_(policy), who_{question.uid, question.gid, question.groups} {}

  Answer operator()(std::monostate /*nothing in particular*/) {
    connecting(Lane::kBackend);
    connecting(Lane::kControl);
    return std::move(explanation_);
  }

  Answer operator()(const PolicyQuestion::Registration& registration) {
    // Rules are about service and instance alone.
    const BackendKey key{registration.instance, registration.service, "0.0.0", ""};
    if (auto problem = key.problem()) return invalid(std::move(*problem));
    connecting(Lane::kBackend);
    std::string question = "register " + registration.service;
    if (registration.instance != Instance::shared()) {
      question += " [" + registration.instance.to_string() + "]";
    }
    add(std::move(question), policy_ ? policy_->may_register(who_, key) : Verdict{});
    return std::move(explanation_);
  }

  Answer operator()(const PolicyQuestion::Control& control) {
    NormalizedPath path;
    if (control.action == ControlAction::kRelease) path = normalize_path_prefix(control.path);
    if (!path.problem.empty()) return invalid(std::move(path.problem));
    connecting(Lane::kControl);
    const ControlAct act{control.action, path.path};
    add(act.to_string(), policy_ ? policy_->may_control(who_, act) : Verdict{});
    return std::move(explanation_);
  }

 private:
  void connecting(Lane lane) {
    add("connect to " + std::string(socket_name(lane)),
        policy_ ? policy_->may_connect(who_, lane) : Verdict{});
  }

  void add(std::string question, const Verdict& verdict) {
    PolicyStep step;
    step.question = std::move(question);
    step.allowed = verdict.allowed || policy_ == nullptr;
    if (policy_ == nullptr) {
      step.rule = "no policy: everything is allowed";
    } else if (verdict.rule == nullptr) {
      step.rule = "no rule allows it";
    } else {
      step.rule = verdict.rule->to_string();
      step.file = escape_bytes(verdict.rule->file);
      step.line = verdict.rule->line;
    }
    explanation_.steps.push_back(std::move(step));
  }

  const AccessPolicy* policy_;
  const Subject who_;
  PolicyExplanation explanation_;
};

}  // namespace

Answer explain(const AccessPolicyPtr& policy, const PolicyQuestion& question) {
  return std::visit(Explainer(policy.get(), question), question.about);
}

}  // namespace muster::core
