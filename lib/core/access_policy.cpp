#include "core/access_policy.h"

#include <algorithm>
#include <fnmatch.h>
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

namespace {

constexpr std::string_view kServiceField = "service";

// The characters with which every value begins that the glob matches.
std::string_view fixed_start(std::string_view glob) {
  return glob.substr(0, glob.find_first_of("*?[\\"));
}

bool is_fixed(std::string_view glob) { return fixed_start(glob).size() == glob.size(); }

// Compares what is selected with what rules are about, a limited number of times. "May" is the
// answer where it cannot tell.
class Overlap {
 public:
  explicit Overlap(const Selection& selected) : selected_(selected) {}

  // Whether the rule may be about a key that is selected.
  bool may_be_about(const RegisterRule& rule) {
    return selected_.empty() ||
           std::any_of(selected_.begin(), selected_.end(), [&](const Selector& one) {
             return may_meet(one, rule.services) && may_meet(one, rule.instances);
           });
  }
  // Whether it is about every key that is selected, for certain.
  bool is_about_all(const RegisterRule& rule) {
    if (!rule.instances.empty()) return false;
    if (rule.services.empty()) return true;
    return !selected_.empty() &&
           std::all_of(selected_.begin(), selected_.end(), [&](const Selector& one) {
             return std::any_of(one.terms().begin(), one.terms().end(),
                                [&](const SelectorTerm& term) {
                                  if (term.field != kServiceField || !is_fixed(term.glob))
                                    return false;
                                  if (!has_time(rule.services.size())) return false;
                                  const BackendKey key{Instance::shared(), term.glob, "", ""};
                                  return selects(rule.services, key, {});
                                });
           });
  }

 private:
  static constexpr std::size_t kMostComparisons = 512;

  bool may_meet(const Selector& selected, const Selection& of_rule) {
    return of_rule.empty() || std::any_of(of_rule.begin(), of_rule.end(), [&](const Selector& one) {
             return may_meet(selected, one);
           });
  }
  bool may_meet(const Selector& selected, const Selector& of_rule) {
    for (const SelectorTerm& wanted : selected.terms()) {
      for (const SelectorTerm& allowed : of_rule.terms()) {
        if (!has_time(1)) return true;
        if (wanted.field == allowed.field && !may_meet(wanted.glob, allowed.glob)) return false;
      }
    }
    return true;
  }
  // Only the rule's glob is matched: the other one is any operator's, and may take long.
  static bool may_meet(const std::string& selected, const std::string& of_rule) {
    const std::string_view start = fixed_start(selected);
    const std::string_view rule_start = fixed_start(of_rule);
    const std::size_t both = std::min(start.size(), rule_start.size());
    if (start.substr(0, both) != rule_start.substr(0, both)) return false;
    return !is_fixed(selected) || ::fnmatch(of_rule.c_str(), selected.c_str(), 0) == 0;
  }
  bool has_time(std::size_t comparisons) {
    if (comparisons > left_) return false;
    left_ -= comparisons;
    return true;
  }

  const Selection& selected_;
  std::size_t left_ = kMostComparisons;
};

}  // namespace

bool AccessPolicy::might_register(uid_t uid, const Selection& selected) const {
  Overlap overlap(selected);
  for (const RegisterRule& rule : registration) {
    const bool is_about_user = rule.who.everybody || contains(rule.who.uids, uid);
    if (rule.effect == Effect::kAllow) {
      const bool may_be_about_user = is_about_user || !rule.who.gids.empty();
      if (may_be_about_user && overlap.may_be_about(rule)) return true;
    } else if (is_about_user && overlap.is_about_all(rule)) {
      return false;
    }
  }
  return false;
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
