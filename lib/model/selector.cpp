#include "muster/selector.h"

#include <algorithm>
#include <fnmatch.h>

#include "muster/text.h"

namespace muster {
namespace {

constexpr std::string_view kLabel = "label.";
constexpr std::size_t kMaxShown = 80;  // bytes of bad input in a sentence
constexpr std::string_view kWanted =
    "; give field=glob[,field=glob...] with the fields service, version, instance, replica and "
    "label.NAME, like service=zcc*,label.tier=hot";

bool is_field(std::string_view field) {
  return field == "service" || field == "version" || field == "instance" || field == "replica" ||
         (field.starts_with(kLabel) && field.size() > kLabel.size());
}

// The value of `field` of a backend; null when it has no such label.
const std::string* value_of(std::string_view field, const BackendKey& key, const Labels& labels,
                            std::string& storage) {
  if (field == "service") return &key.service_name;
  if (field == "version") return &key.service_version;
  if (field == "replica") return &key.replica;
  if (field == "instance") {
    storage = key.instance.to_string();
    return &storage;
  }
  const auto label = labels.find(field.substr(kLabel.size()));
  return label == labels.end() ? nullptr : &label->second;
}

Selector::Parsed refused_selector(std::string sentence) { return {{}, std::move(sentence)}; }

}  // namespace

Selector::Parsed Selector::from_terms(std::vector<SelectorTerm> terms) {
  if (terms.size() > kMaxTerms) {
    return refused_selector("a selector has at most " + std::to_string(kMaxTerms) + " terms");
  }
  for (const auto& [field, glob] : terms) {
    const auto shown = quote_start(std::string(field).append(1, '=').append(glob), kMaxShown);
    if (!is_field(field)) {
      return refused_selector("the selector term " + shown + " names no field" +
                              std::string(kWanted));
    }
    if (glob.size() > kMaxGlob || glob.find('\0') != std::string::npos) {
      return refused_selector("the glob of the selector term " + shown +
                              " has a NUL byte or more than 256 bytes");
    }
  }
  Parsed parsed;
  parsed.selector.terms_ = std::move(terms);
  return parsed;
}

Selector::Parsed Selector::parse(std::string_view text) {
  std::vector<SelectorTerm> terms;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    const auto term = text.substr(at, end - at);
    at = end + 1;
    const auto equals = term.find('=');
    if (equals == std::string_view::npos) {
      return refused_selector("the selector term " + quote_start(term, kMaxShown) + " has no '='" +
                              std::string(kWanted));
    }
    terms.push_back({std::string(term.substr(0, equals)), std::string(term.substr(equals + 1))});
  }
  return from_terms(std::move(terms));
}

bool Selector::matches(const BackendKey& key, const Labels& labels) const {
  std::string storage;
  return std::all_of(terms_.begin(), terms_.end(), [&](const SelectorTerm& term) {
    const auto* value = value_of(term.field, key, labels, storage);
    if (value == nullptr) return false;
    if (::fnmatch(term.glob.c_str(), value->c_str(), 0) == 0) return true;
    // What a process that shares its key got is still the replica that it called itself.
    const auto shared = term.field == "replica" ? value->find('~') : std::string::npos;
    return shared != std::string::npos &&
           ::fnmatch(term.glob.c_str(), value->substr(0, shared).c_str(), 0) == 0;
  });
}

std::string Selector::to_string() const {
  std::string text;
  for (const auto& term : terms_) {
    if (!text.empty()) text += ',';
    text += term.field + '=' + term.glob;
  }
  return text;
}

bool selects(const Selection& selection, const BackendKey& key, const Labels& labels) {
  return selection.empty() ||
         std::any_of(selection.begin(), selection.end(),
                     [&](const Selector& selector) { return selector.matches(key, labels); });
}

}  // namespace muster
