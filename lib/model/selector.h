// A selection made ready to be matched against thousands of backends.
//
// Says what selects() says. A glob of literal pieces between stars needs no fnmatch(3); the text of
// an instance is made once for each backend. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "muster/selector.h"

namespace muster {

class CompiledSelection {
 public:
  explicit CompiledSelection(const Selection& selection);

  [[nodiscard]] bool matches(const BackendKey& key, const Labels& labels) const;
  // Of all selectors together.
  [[nodiscard]] std::size_t terms() const noexcept { return terms_.size(); }

 private:
  enum class Field : std::uint8_t { kService, kVersion, kInstance, kReplica, kLabel };
  struct Term {
    Field field = Field::kService;
    bool plain = true;                // no more than literal pieces and stars
    std::string label;                // kLabel
    std::string glob;                 // not plain
    std::vector<std::string> pieces;  // plain: what stands between the stars
  };

  static Term compile(const SelectorTerm& term);
  static bool matches(const Term& term, const std::string& value);
  static bool matches_shared(const Term& term, const std::string& value);

  std::vector<Term> terms_;
  std::vector<std::size_t> ends_;  // of each selector, in terms_
};

// Terms of all selectors together.
[[nodiscard]] std::size_t term_count(const Selection& selection) noexcept;

}  // namespace muster
