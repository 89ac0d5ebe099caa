// Quoting and its inverse, and which characters are shown.
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "muster/text.h"

#include "model/characters.h"
#include "support/log_reader.h"
#include "support/wire_random.h"

namespace muster {
namespace {

constexpr std::uint32_t kLastCodePoint = 0x10ffff;

// UTF-8 of one code point; of a surrogate, the bytes that would be.
std::string encoded(std::uint32_t c) {
  const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
  const auto tail = [&](unsigned shift) { return byte(0x80U | (c >> shift & 0x3fU)); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xc0U | c >> 6U), tail(0)};
  if (c < 0x10000) return {byte(0xe0U | c >> 12U), tail(6), tail(0)};
  return {byte(0xf0U | c >> 18U), tail(12), tail(6), tail(0)};
}

TEST(QuoteTest, TheForgedFieldStaysBetweenTheQuotes) {
  EXPECT_EQ(quote(R"(x\" pid=1 uid=0)"), R"("x\\\" pid=1 uid=0")");
  EXPECT_EQ(quote(R"(x" pid=1)"), R"("x\" pid=1")");
  EXPECT_EQ(quote(R"(\)"), R"("\\")");
  EXPECT_EQ(quote(""), R"("")");
  EXPECT_EQ(quote("two\nlines\x1b[2J \xff"), R"("two\x0alines\x1b[2J \xff")");
  EXPECT_EQ(quote("größer 漢"), "\"größer 漢\"");
}

TEST(QuoteTest, EveryCodePointComesBackFromQuotesAndFromJson) {
  for (std::uint32_t c = 0; c <= kLastCodePoint; ++c) {
    const std::string text = "a" + encoded(c) + "\"";
    const std::string quoted = quote(text);
    ASSERT_EQ(unquote(quoted), text) << std::hex << c;
    ASSERT_EQ(test::read_quoted(quoted), text) << std::hex << c;
    if (c >= 0xd800 && c <= 0xdfff) continue;
    std::string json;
    append_json_string(json, text);
    ASSERT_EQ(test::read_json_string(json), text) << std::hex << c;
    ASSERT_EQ(visible_json(json), json) << std::hex << c;
  }
}

TEST(QuoteTest, RandomBytesComeBackFromQuotes) {
  const auto seed = test::random_seed();
  SCOPED_TRACE("MUSTER_TEST_SEED=" + std::to_string(seed));
  test::WireRandom random(seed);
  static constexpr std::string_view kNasty = "\"\\x0=, \n\x1b";
  for (int i = 0; i < 50'000 && !HasFailure(); ++i) {
    std::string bytes = random.bytes(12) + random.text(6);
    for (auto n = random.up_to(6); n > 0; --n) {
      bytes.insert(random.up_to(bytes.size()), 1, kNasty[random.up_to(kNasty.size() - 1)]);
    }
    const std::string quoted = quote(bytes);
    EXPECT_EQ(unquote(quoted), bytes) << quoted;
    EXPECT_EQ(test::read_quoted(quoted), bytes) << quoted;
    EXPECT_TRUE(utf8::is_valid(quoted)) << quoted;
    const std::string word = quote_if_needed(bytes);
    EXPECT_EQ(word.starts_with('"') ? unquote(word) : word, bytes) << word;
    EXPECT_EQ(word.find_first_of(" =,") == std::string::npos || word.starts_with('"'), true)
        << word;
  }
}

// Whatever is accepted is what quote() writes: two texts never mean the same.
TEST(UnquoteTest, TakesNothingButWhatQuoteWrites) {
  for (const char* text : {"", "\"", "a", "\"a", "a\"", R"("\")", R"("a"b")", R"("\n")", R"("\x1")",
                           R"("\x1B")", R"("\x41")", R"("\x1b)", "\"\n\"", "\"\xff\"",
                           R"("\xc3\xa4")", "\"\xe2\x80\xae\"", R"( "a")", R"("a" )"}) {
    EXPECT_EQ(unquote(text), std::nullopt) << text;
  }
  const auto seed = test::random_seed();
  SCOPED_TRACE("MUSTER_TEST_SEED=" + std::to_string(seed));
  test::WireRandom random(seed);
  static constexpr std::string_view kAlphabet = "\"\\x09afA\n \xc3\xa4";
  int taken = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text = "\"";
    for (auto n = random.up_to(6); n > 0; --n)
      text += kAlphabet[random.up_to(kAlphabet.size() - 1)];
    text += '"';
    const auto bytes = unquote(text);
    if (!bytes) continue;
    ++taken;
    ASSERT_EQ(quote(*bytes), text);
  }
  EXPECT_GT(taken, 1'000);
}

TEST(QuoteTest, AStartSaysThatItIsOneAndCutsNoCharacter) {
  EXPECT_EQ(quote_start("abc", 3), "\"abc\"");
  EXPECT_EQ(quote_start("abcd", 3), "\"abc\"...");
  EXPECT_EQ(quote_start("ab...", 5), "\"ab...\"") << "no text looks like one that was cut";
  EXPECT_EQ(quote_start("aä€😀", 2), "\"a\"...");
  EXPECT_EQ(quote_start("aä€😀", 3), "\"aä\"...");
  EXPECT_EQ(quote_start("aä€😀", 5), "\"aä\"...");
  EXPECT_EQ(quote_start("aä€😀", 9), "\"aä€\"...");
  EXPECT_EQ(quote_start("aä€😀", 10), "\"aä€😀\"");
  EXPECT_EQ(quote_start("ab\xff\xff", 3), "\"ab\\xff\"...");
  EXPECT_EQ(quote_start("\xe2\x82\xac", 0), "\"\"...");
  EXPECT_EQ(quote_start(std::string(81, 'x')), '"' + std::string(80, 'x') + "\"...");
}

TEST(QuoteTest, APlainWordNeedsNoQuotes) {
  for (const char* word : {"a", "/var/cache/x", "größer", "it's", "-", "42", "[x]", "a:b"}) {
    EXPECT_EQ(quote_if_needed(word), word);
  }
  for (const char* word : {"", " ", "a b", "a=b", "a,b", "\"", "a\"b", "\\", "a\\b", "\n", "\xff",
                           "a\xc2\xa0"
                           "b",
                           "a\xe3\x80\x80"
                           "b"}) {
    EXPECT_EQ(quote_if_needed(word), quote(word));
  }
}

TEST(JsonTextTest, HasNoRawCharacterThatIsNotVisible) {
  std::string json;
  append_json_string(json, "a\"\\\n\x7f\xc2\x9b\xe2\x80\xae\xf3\xa0\x80\x81\xff");
  EXPECT_EQ(json, R"("a\"\\\u000a\u007f\u009b\u202e\udb40\udc01\ufffd")");
  EXPECT_EQ(visible_json("{\"a\": \"\xe2\x80\xae\xc2\x85ä\"}"), R"({"a": "\u202e\u0085ä"})");
}

TEST(CharactersTest, WhatControlsHidesOrReordersIsNotVisible) {
  using Ranges = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  const Ranges hidden = {
      {0x0, 0x1f},        {0x7f, 0x9f},         // controls
      {0x61c, 0x61c},     {0x200e, 0x200f},     // bidirectional
      {0x202a, 0x202e},   {0x2066, 0x2069},     // bidirectional
      {0x2028, 0x2029},                         // line, paragraph
      {0x200b, 0x200d},   {0x2060, 0x2064},     // of no width
      {0xfeff, 0xfeff},   {0xad, 0xad},         //
      {0xa0, 0xa0},       {0x1680, 0x1680},     // blanks
      {0x2000, 0x200a},   {0x202f, 0x202f},     //
      {0x205f, 0x205f},   {0x3000, 0x3000},     //
      {0x2800, 0x2800},   {0x3164, 0x3164},     // blank in most fonts
      {0xfe00, 0xfe0f},   {0xe0100, 0xe01ef},   // variation selectors
      {0xe0001, 0xe0001}, {0xe0020, 0xe007f},   // tags
      {0xfff9, 0xfffb},   {0x1d173, 0x1d17a},   // annotation, music
      {0xe000, 0xf8ff},   {0xf0000, 0x10ffff},  // private use
      {0xfdd0, 0xfdef},   {0xfffe, 0xffff},     // noncharacters
      {0x1fffe, 0x1ffff}, {0x13430, 0x1343f},   //
  };
  for (const auto& [first, last] : hidden) {
    for (auto c = first; c <= last; ++c) EXPECT_FALSE(characters::is_visible(c)) << std::hex << c;
  }
  const Ranges shown = {{0x20, 0x7e},      {0xa1, 0xac},     {0xae, 0x34e},    {0x370, 0x3ff},
                        {0x400, 0x4ff},    {0x5d0, 0x5ea},   {0x627, 0x64a},   {0x904, 0x939},
                        {0x20a0, 0x20bf},  {0x2190, 0x21ff}, {0x2500, 0x257f}, {0x3041, 0x3096},
                        {0x4e00, 0x9fff},  {0xac00, 0xd7a3}, {0xfffc, 0xfffd}, {0x1f600, 0x1f64f},
                        {0x20000, 0x2a6df}};
  for (const auto& [first, last] : shown) {
    for (auto c = first; c <= last; ++c) EXPECT_TRUE(characters::is_visible(c)) << std::hex << c;
  }
}

TEST(CharactersTest, AreMeasuredInColumns) {
  EXPECT_EQ(characters::columns_of("soldr"), 5u);
  EXPECT_EQ(characters::columns_of("größe"), 5u);
  EXPECT_EQ(characters::columns_of("e\u0301"), 1u) << "a combining accent";
  EXPECT_EQ(characters::columns_of("漢字"), 4u);
  EXPECT_EQ(characters::columns_of("\U0001F600"), 2u);
}

}  // namespace
}  // namespace muster
