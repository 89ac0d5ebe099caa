// A compiled selection selects what the selection does.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "model/selector.h"

namespace muster {
namespace {

Selection selection_of(const std::vector<std::string>& texts) {
  Selection selection;
  for (const auto& text : texts) selection.push_back(Selector::parse(text).selector);
  return selection;
}

TEST(CompiledSelectionTest, AgreesWithTheSelectionOnEveryGlobOfAFewCharacters) {
  const std::vector<std::string> parts{"a", "b", "*", "?", "[ab]", "\\a", "\\*", ""};
  const std::vector<std::string> values{"",   "a",  "b",   "ab",  "ba",   "aba",  "abab", "aab",
                                        "bb", "*a", "a*b", "a?b", "abba", "abaa", "b*",   "[ab]"};
  std::size_t selected = 0;
  for (const auto& first : parts) {
    for (const auto& second : parts) {
      for (const auto& third : parts) {
        for (const auto& fourth : parts) {
          std::string glob = first;
          glob.append(second).append(third).append(fourth);
          const auto selection = selection_of({"service=" + glob});
          const CompiledSelection compiled(selection);
          for (const auto& value : values) {
            const BackendKey key{Instance::shared(), value, "1.0.0", ""};
            EXPECT_EQ(compiled.matches(key, {}), selects(selection, key, {}))
                << glob << " against " << value;
            selected += compiled.matches(key, {}) ? 1 : 0;
          }
        }
      }
    }
  }
  EXPECT_GT(selected, 1'000u);
}

TEST(CompiledSelectionTest, AllTermsOfOneSelectorOfSomeMustMatch) {
  const BackendKey key{Instance::private_to("soldr"), "zccache", "1.4.2", "r1"};
  const Labels labels{{"tier", "hot"}, {"zone", ""}};
  const std::vector<std::vector<std::string>> selections{
      {},
      {"service=zcc*"},
      {"service=zcc*,label.tier=cold"},
      {"service=zcc*,label.tier=cold", "label.tier=hot,instance=private:*"},
      {"label.none=*", "version=1.4.2,replica=r?"},
      {"label.zone="},
      {"label.zone=?", "replica="},
      {"label.none="},
  };
  for (const auto& texts : selections) {
    const auto selection = selection_of(texts);
    EXPECT_EQ(CompiledSelection(selection).matches(key, labels), selects(selection, key, labels))
        << ::testing::PrintToString(texts);
  }
}

TEST(CompiledSelectionTest, TermsAreCountedOverAllSelectors) {
  const auto selection = selection_of({"service=a,version=1", "label.x=y"});
  EXPECT_EQ(term_count(selection), 3u);
  EXPECT_EQ(CompiledSelection(selection).terms(), 3u);
  EXPECT_EQ(term_count({}), 0u);
}

}  // namespace
}  // namespace muster
