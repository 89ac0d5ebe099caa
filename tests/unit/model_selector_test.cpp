// Which backends a broadcast is for.
#include <string>

#include <gtest/gtest.h>

#include "muster/selector.h"

namespace muster {
namespace {

const BackendKey kKey{Instance::private_to("soldr"), "zccache", "1.4.2", "r1"};
const Labels kLabels{{"tier", "hot"}, {"zone", ""}};

bool matches(const std::string& text, const BackendKey& key = kKey,
             const Labels& labels = kLabels) {
  const auto parsed = Selector::parse(text);
  EXPECT_EQ(parsed.problem, "") << text;
  return parsed.selector.matches(key, labels);
}

TEST(SelectorTest, EachFieldIsMatchedByAGlob) {
  for (const auto* text :
       {"service=zccache", "service=zcc*", "service=?ccache", "service=[x-z]ccache", "service=*",
        "version=1.*", "version=1.4.2", "instance=private:*", "instance=private:soldr",
        "replica=r?", "label.tier=hot", "label.tier=h*", "label.zone=", "label.zone=*",
        "service=zcc*,version=1.*,label.tier=hot"}) {
    EXPECT_TRUE(matches(text)) << text;
  }
  for (const auto* text :
       {"service=zcc", "service=ccache", "service=Zccache", "service=", "version=1", "version=2.*",
        "instance=shared", "replica=", "replica=r", "label.tier=cold", "label.none=*",
        "label.zone=?", "service=zcc*,version=2.*", "service=soldr,label.tier=hot"}) {
    EXPECT_FALSE(matches(text)) << text;
  }
}

TEST(SelectorTest, ABackendWithoutTheLabelIsNotSelected) {
  EXPECT_FALSE(matches("label.tier=*", kKey, {}));
  EXPECT_FALSE(matches("label.tier=", kKey, {}));
}

TEST(SelectorTest, TheDefaultsCanBeSelected) {
  const BackendKey key{Instance::shared(), "a", "1.0.0", ""};
  EXPECT_TRUE(matches("instance=shared", key));
  EXPECT_TRUE(matches("replica=", key));
}

TEST(SelectorTest, ReadsWhatItWrites) {
  for (const auto* text : {"service=zcc*", "service=a,label.tier=hot", "label.a=b=c", "replica="}) {
    EXPECT_EQ(Selector::parse(text).selector.to_string(), text);
  }
  const auto parsed = Selector::parse("label.a=b=c");
  ASSERT_EQ(parsed.selector.terms().size(), 1u);
  EXPECT_EQ(parsed.selector.terms()[0], (SelectorTerm{"label.a", "b=c"}));
}

TEST(SelectorTest, BadInputIsRefusedInASentence) {
  for (const auto* text : {"", "zccache", "=x", "name=x", "Service=x", "label.=x", "label=x",
                           "service=a,", ",service=a", "service=a,,version=1", "service a"}) {
    const auto parsed = Selector::parse(text);
    EXPECT_NE(parsed.problem, "") << text;
    EXPECT_TRUE(parsed.selector.terms().empty()) << text;
    EXPECT_NE(parsed.problem.find("service, version, instance, replica and label.NAME"),
              std::string::npos)
        << parsed.problem;
  }
  EXPECT_NE(Selector::parse(std::string("service=a\0b", 11)).problem, "");
  EXPECT_LT(Selector::parse(std::string(100'000, 'x')).problem.size(), 500u);
  EXPECT_EQ(Selector::parse("\x1b=x").problem.find('\x1b'), std::string::npos);
}

TEST(SelectorTest, AGlobThatDoesNotEndIsRefused) {
  for (const auto* glob :
       {"[a-", "[", "[]", "[!", "[!]", "a[b", "[a][b", "[[:alpha:]", "[a\\]", "\\", "a\\\\\\"}) {
    const auto parsed = Selector::parse(std::string("service=") + glob);
    EXPECT_NE(parsed.problem.find("does not end"), std::string::npos) << glob;
    EXPECT_TRUE(parsed.selector.terms().empty()) << glob;
  }
  for (const auto* glob : {"[a-z]*", "[]]", "[!]a]", "[^a]", "[[:alpha:]]*", "[[:alpha:]_]", "[[]",
                           "\\[", "a]", "[a\\]]", "\\\\", ""}) {
    EXPECT_EQ(Selector::parse(std::string("label.tier=") + glob).problem, "") << glob;
  }
  EXPECT_TRUE(matches("label.tier=[[:alpha:]]ot"));
  EXPECT_TRUE(matches("label.tier=\\[h", kKey, {{"tier", "[h"}}));
}

TEST(SelectorTest, TermsAndGlobsAreBounded) {
  EXPECT_EQ(Selector::parse("service=" + std::string(Selector::kMaxGlob, 'a')).problem, "");
  EXPECT_NE(Selector::parse("service=" + std::string(Selector::kMaxGlob + 1, 'a')).problem, "");
  std::string text = "service=a";
  for (std::size_t i = 1; i < Selector::kMaxTerms; ++i) text += ",service=a";
  EXPECT_EQ(Selector::parse(text).problem, "");
  EXPECT_NE(Selector::parse(text + ",service=a").problem, "");
}

TEST(SelectorTest, NoTermsMatchEverybody) {
  const auto parsed = Selector::from_terms({});
  EXPECT_EQ(parsed.problem, "");
  EXPECT_TRUE(parsed.selector.matches(kKey, kLabels));
  EXPECT_EQ(parsed.selector.to_string(), "");
}

TEST(SelectionTest, IsAnyOfItsSelectorsAndEverybodyWhenEmpty) {
  const auto service = Selector::parse("service=zcc*").selector;
  const auto other = Selector::parse("service=other").selector;
  EXPECT_TRUE(selects({}, kKey, kLabels));
  EXPECT_TRUE(selects({service}, kKey, kLabels));
  EXPECT_FALSE(selects({other}, kKey, kLabels));
  EXPECT_TRUE(selects({other, service}, kKey, kLabels));
}

}  // namespace
}  // namespace muster
