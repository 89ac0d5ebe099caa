// Which backends a broadcast is for.
//
// A selector is a list of terms "field=glob", all of which must match; a selection is a list of
// selectors, any of which may match; an empty selection selects everybody. Fields: service,
// version, instance, replica, label.NAME. Globs as in fnmatch(3): * ? [...].
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "muster/backend_key.h"

namespace muster {

using Labels = std::map<std::string, std::string, std::less<>>;

struct SelectorTerm {
  std::string field;  // "service", "version", "instance", "replica" or "label.NAME"
  std::string glob;

  friend bool operator==(const SelectorTerm&, const SelectorTerm&) = default;
};

class Selector {
 public:
  static constexpr std::size_t kMaxTerms = 16;
  static constexpr std::size_t kMaxGlob = 256;  // bytes

  struct Parsed;
  // Reads "service=zcc*,label.tier=hot". On bad input `problem` is a sentence.
  [[nodiscard]] static Parsed parse(std::string_view text);
  // The same of terms that come apart; no terms match everybody.
  [[nodiscard]] static Parsed from_terms(std::vector<SelectorTerm> terms);

  [[nodiscard]] bool matches(const BackendKey& key, const Labels& labels) const;
  [[nodiscard]] const std::vector<SelectorTerm>& terms() const noexcept { return terms_; }
  // The inverse of parse().
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Selector&, const Selector&) = default;

 private:
  std::vector<SelectorTerm> terms_;
};

struct Selector::Parsed {
  Selector selector;    // valid when problem is empty
  std::string problem;  // one sentence: what is wrong, what would be right
};

using Selection = std::vector<Selector>;

// True when the selection is empty or any of its selectors matches.
[[nodiscard]] bool selects(const Selection& selection, const BackendKey& key, const Labels& labels);

}  // namespace muster
