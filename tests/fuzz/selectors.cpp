// What selects backends, as an operator writes it.
//
// Input: a selector; after a newline, the values of a backend that it is tried on.
#include <string>
#include <string_view>

#include "muster/selector.h"

#include "fuzz/shown.h"
#include "fuzz/targets.h"

namespace muster::fuzz {

void selectors(std::string_view input) {
  const auto cut = input.find('\n');
  const auto text = input.substr(0, cut);
  const std::string value(cut == std::string_view::npos ? "" : input.substr(cut + 1, 64));

  const auto parsed = Selector::parse(text);
  if (!parsed.problem.empty()) {
    must_be_fit_to_show(parsed.problem);
    return;
  }
  const auto& terms = parsed.selector.terms();
  must(terms.size() <= Selector::kMaxTerms, "a selector has no more terms than it may");
  for (const auto& term : terms) {
    must(term.glob.size() <= Selector::kMaxGlob, "a glob is no longer than it may be");
  }
  const auto again = Selector::parse(parsed.selector.to_string());
  must(again.problem.empty() && again.selector == parsed.selector, "what is written is read back");
  const auto from_terms = Selector::from_terms(terms);
  must(from_terms.problem.empty() && from_terms.selector == parsed.selector,
       "its terms make the same selector");

  BackendKey key;
  key.service_name = value;
  key.service_version = value;
  key.replica = value;
  const Labels labels{{"a", value}, {"tier", value}};
  const bool matches = parsed.selector.matches(key, labels);
  must(matches == selects({parsed.selector}, key, labels), "a selection of one is that one");
  must(!terms.empty() || matches, "no terms match everybody");
}

}  // namespace muster::fuzz
