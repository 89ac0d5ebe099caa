// musterd's configuration file.
#include <algorithm>
#include <string>
#include <string_view>
#include <variant>

#include "core/access_policy.h"
#include "fuzz/shown.h"
#include "fuzz/targets.h"
#include "musterd/config/config_file.h"
#include "musterd/config/effective_policy.h"

namespace muster::fuzz {
namespace {

// What a good file's rules say of somebody can be told.
void must_be_explained(const daemon::Settings& settings, std::string_view text) {
  const auto lines = 1 + std::count(text.begin(), text.end(), '\n');
  const auto policy = daemon::effective_policy(settings.policy, 500);
  for (const uid_t uid : {0U, 500U, 1000U}) {
    PolicyQuestion question;
    question.uid = uid;
    question.gid = uid;
    for (const auto& about : {decltype(question.about)(PolicyQuestion::Registration{"a", {}}),
                              decltype(question.about)(PolicyQuestion::Control{})}) {
      question.about = about;
      const auto answer = core::explain(policy, question);
      const auto* explanation = std::get_if<PolicyExplanation>(&answer);
      must(explanation != nullptr, "a good question is answered");
      for (const auto& step : explanation->steps) {
        must_be_fit_to_show(step.rule);
        must(step.line <= lines, "a rule stands in the file");
      }
    }
  }
}

}  // namespace

void config(std::string_view input) {
  daemon::Settings settings;
  const auto errors = daemon::parse_config(input, settings);
  std::uint32_t line = 0;
  for (const auto& error : errors) {
    must_be_fit_to_show(error.text);
    must_be_fit_to_show(daemon::to_string(error, "musterd.toml"));
    must(error.line >= line, "mistakes are told in the order of the text");
    line = error.line;
  }
  if (!errors.empty()) return;
  daemon::Settings again;
  must(daemon::parse_config(input, again).empty(), "what was good is good");
  must(settings.broker.ack_timeout <= settings.broker.max_ack_timeout,
       "a configuration that contradicts itself is no good one");
  must_be_explained(settings, input);
}

}  // namespace muster::fuzz
