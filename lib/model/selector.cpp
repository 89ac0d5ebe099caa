#include "model/selector.h"

#include <algorithm>
#include <fnmatch.h>
#include <optional>

#include "muster/selector.h"
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

// As fnmatch(3) reads it: each '[' has its ']', and nothing ends with a backslash. It would take
// the
// '[' as it stands and match nobody.
bool is_whole(std::string_view glob) {
  for (std::size_t i = 0; i < glob.size(); ++i) {
    if (glob[i] == '\\') {
      if (++i == glob.size()) return false;
      continue;
    }
    if (glob[i] != '[') continue;
    ++i;
    if (i < glob.size() && (glob[i] == '!' || glob[i] == '^')) ++i;
    if (i < glob.size() && glob[i] == ']') ++i;  // the first is one of the characters
    for (; i < glob.size() && glob[i] != ']'; ++i) {
      if (glob[i] == '\\') ++i;
      const auto end =
          glob.compare(i, 2, "[:") == 0 ? glob.find(":]", i + 2) : std::string_view::npos;
      if (end != std::string_view::npos) i = end + 1;
    }
    if (i >= glob.size()) return false;
  }
  return true;
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
    if (!is_whole(glob)) {
      return refused_selector("the glob of the selector term " + shown +
                              " does not end: a '[' has no ']', or a backslash is the last; write "
                              "\\[ or \\\\ for the character itself");
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
