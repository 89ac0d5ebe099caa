#include "model/compiled_selection.h"

#include <fnmatch.h>
#include <optional>

namespace muster {
namespace {

constexpr std::string_view kLabelField = "label.";

}  // namespace

CompiledSelection::CompiledSelection(const Selection& selection) {
  terms_.reserve(term_count(selection));
  ends_.reserve(selection.size());
  for (const auto& selector : selection) {
    for (const auto& term : selector.terms()) terms_.push_back(compile(term));
    ends_.push_back(terms_.size());
  }
}

CompiledSelection::Term CompiledSelection::compile(const SelectorTerm& term) {
  Term compiled;
  const std::string_view field = term.field;
  if (field == "version") compiled.field = Field::kVersion;
  if (field == "instance") compiled.field = Field::kInstance;
  if (field == "replica") compiled.field = Field::kReplica;
  if (field.starts_with(kLabelField)) {
    compiled.field = Field::kLabel;
    compiled.label = field.substr(kLabelField.size());
  }
  compiled.plain = term.glob.find_first_of("?[\\") == std::string::npos;
  if (!compiled.plain) {
    compiled.glob = term.glob;
    return compiled;
  }
  for (std::size_t at = 0;;) {
    const auto star = term.glob.find('*', at);
    compiled.pieces.push_back(term.glob.substr(at, star - at));
    if (star == std::string::npos) return compiled;
    at = star + 1;
  }
}

bool CompiledSelection::matches(const Term& term, const std::string& value) {
  if (!term.plain) return ::fnmatch(term.glob.c_str(), value.c_str(), 0) == 0;
  const auto& pieces = term.pieces;
  if (pieces.size() == 1) return value == pieces.front();
  std::string_view rest = value;
  if (!rest.starts_with(pieces.front())) return false;
  rest.remove_prefix(pieces.front().size());
  if (!rest.ends_with(pieces.back())) return false;
  rest.remove_suffix(pieces.back().size());
  // The first place of each piece leaves the most room for those behind it.
  for (std::size_t i = 1; i + 1 < pieces.size(); ++i) {
    const auto at = rest.find(pieces[i]);
    if (at == std::string_view::npos) return false;
    rest.remove_prefix(at + pieces[i].size());
  }
  return true;
}

// What a process that shares its key got is still the replica that it called itself.
bool CompiledSelection::matches_shared(const Term& term, const std::string& value) {
  if (term.field != Field::kReplica) return false;
  const auto shared = value.find('~');
  return shared != std::string::npos && matches(term, value.substr(0, shared));
}

bool CompiledSelection::matches(const BackendKey& key, const Labels& labels) const {
  if (ends_.empty()) return true;
  std::optional<std::string> instance;
  const auto value_of = [&](const Term& term) -> const std::string* {
    switch (term.field) {
      case Field::kService:
        return &key.service_name;
      case Field::kVersion:
        return &key.service_version;
      case Field::kReplica:
        return &key.replica;
      case Field::kInstance:
        if (!instance) instance = key.instance.to_string();
        return &*instance;
      case Field::kLabel:
        break;
    }
    const auto label = labels.find(term.label);
    return label == labels.end() ? nullptr : &label->second;
  };
  std::size_t at = 0;
  for (const std::size_t end : ends_) {
    bool all = true;
    for (; all && at < end; ++at) {
      const auto* value = value_of(terms_[at]);
      all = value != nullptr && (matches(terms_[at], *value) || matches_shared(terms_[at], *value));
    }
    if (all) return true;
    at = end;
  }
  return false;
}

std::size_t term_count(const Selection& selection) noexcept {
  std::size_t count = 0;
  for (const auto& selector : selection) count += selector.terms().size();
  return count;
}

}  // namespace muster
