#include "core/access_explain.h"

#include <optional>
#include <utility>

#include "muster/path.h"

namespace muster::core {
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
