// Questions about policy, and their answers.
#include "wire/convert.h"
#include "wire/text.h"

namespace muster::wire {
namespace {

struct QuestionToProto {
  v1::ExplainPolicy& out;

  void operator()(std::monostate /*nothing*/) const {}
  void operator()(const PolicyQuestion::Registration& registration) const {
    auto& message = *out.mutable_registration();
    message.set_service(to_utf8(registration.service));
    message.set_instance(to_utf8(registration.instance.to_string()));
  }
  void operator()(const PolicyQuestion::Control& control) const {
    auto& message = *out.mutable_control();
    message.set_action(to_proto(control.action));
    message.set_path(control.path);
  }
};

}  // namespace

void to_proto(const PolicyQuestion& question, v1::ExplainPolicy& out) {
  out.set_uid(question.uid);
  out.set_gid(question.gid);
  for (const gid_t group : question.groups) out.add_groups(group);
  std::visit(QuestionToProto{out}, question.about);
}

std::string from_proto(const v1::ExplainPolicy& in, PolicyQuestion& question) {
  question.uid = in.uid();
  question.gid = in.gid();
  if (static_cast<std::size_t>(in.groups_size()) > PolicyQuestion::kMaxGroups) {
    return "the question has " + std::to_string(in.groups_size()) + " groups; the most is " +
           std::to_string(PolicyQuestion::kMaxGroups);
  }
  question.groups.assign(in.groups().begin(), in.groups().end());
  if (in.has_registration()) {
    auto& registration = question.about.emplace<PolicyQuestion::Registration>();
    registration.service = in.registration().service();
    auto instance = Instance::parse(in.registration().instance());
    if (!instance) {
      return "the question's instance is none: give shared, private:SERVICE or explicit:NAME";
    }
    registration.instance = std::move(*instance);
  } else if (in.has_control()) {
    auto& control = question.about.emplace<PolicyQuestion::Control>();
    control.path = in.control().path();
    return from_proto(in.control().action(), control.action);
  }
  return {};
}

void to_proto(const PolicyExplanation& explanation, v1::PolicyExplanation& out) {
  out.set_allowed(explanation.allowed());
  for (const PolicyStep& step : explanation.steps) {
    auto& message = *out.add_steps();
    message.set_question(to_utf8(step.question));
    message.set_allowed(step.allowed);
    message.set_rule(to_utf8(step.rule));
    message.set_file(to_utf8(step.file));
    message.set_line(step.line);
  }
}

void from_proto(const v1::PolicyExplanation& in, PolicyExplanation& explanation) {
  for (const auto& message : in.steps()) {
    explanation.steps.push_back(
        {message.question(), message.allowed(), message.rule(), message.file(), message.line()});
  }
}

}  // namespace muster::wire
