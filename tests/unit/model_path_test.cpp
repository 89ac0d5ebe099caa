// Path prefixes: how they are made normal, what lies below them, and how bytes are shown.
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "muster/path.h"

#include "model/characters.h"

namespace muster {
namespace {

std::string normal(std::string_view path) {
  const auto normal = normalize_path_prefix(path);
  EXPECT_EQ(normal.problem, "") << escape_bytes(path);
  return normal.path;
}

std::string problem(std::string_view path) {
  const auto normal = normalize_path_prefix(path);
  EXPECT_EQ(normal.path, "") << escape_bytes(path);
  return normal.problem;
}

TEST(NormalizePathTest, IsLexicallyNormal) {
  const std::pair<const char*, const char*> kCases[] = {
      {"/", "/"},
      {"//", "/"},
      {"///", "/"},
      {"/.", "/"},
      {"/./", "/"},
      {"/..", "/"},
      {"/../..", "/"},
      {"/../../a", "/a"},
      {"/a", "/a"},
      {"/a/", "/a"},
      {"/a//", "/a"},
      {"//a", "/a"},
      {"//a//b//", "/a/b"},
      {"/a/./b", "/a/b"},
      {"/a/b/.", "/a/b"},
      {"/a/../b", "/b"},
      {"/a/b/..", "/a"},
      {"/a/b/../", "/a"},
      {"/a/b/../..", "/"},
      {"/a/../../b", "/b"},
      {"/a/b/c/../../d", "/a/d"},
      {"/.../a", "/.../a"},
      {"/..a/b..", "/..a/b.."},
      {"/.a", "/.a"},
      {"/a/ /b", "/a/ /b"},
      {"/a\nb", "/a\nb"},
      {"/\xff\xfe", "/\xff\xfe"},
      {"/c:\\x", "/c:\\x"},
      {"/~", "/~"},
      {"/a*", "/a*"},
  };
  for (const auto& [path, wanted] : kCases) EXPECT_EQ(normal(path), wanted) << path;
}

TEST(NormalizePathTest, ANormalPathStaysAsItIs) {
  for (const auto* path : {"/", "/a", "/a/b/c", "/\xc3\xa4/x y", "/..a"}) {
    EXPECT_EQ(normal(path), path);
    EXPECT_EQ(normal(normal(std::string(path) + "/./x/..//")), path);
  }
}

TEST(NormalizePathTest, AnEmptyRelativeOrNulPathIsRefusedInASentence) {
  const auto relative = [](const std::string& path, const std::string& absolute) {
    return "the path \"" + path + "\" is relative; give an absolute one, like " + absolute;
  };
  const auto nul = [](const std::string& shown) {
    return "the path \"" + shown + "\" has a NUL byte, which no file name can have";
  };
  const std::pair<std::string, std::string> kCases[] = {
      {"", "the path is empty; give an absolute one, like /var/cache/x"},
      {"a/b", relative("a/b", "/a/b")},
      {".", relative(".", "/.")},
      {"../a", relative("../a", "/../a")},
      {" /a", relative(" /a", "/ /a")},
      {"~/a", relative("~/a", "/~/a")},
      {std::string("/a\0b", 4), nul("/a\\x00b")},
      {std::string("/a\0", 3), nul("/a\\x00")},
      {std::string("\0", 1), nul("\\x00")},
  };
  for (const auto& [path, sentence] : kCases) EXPECT_EQ(problem(path), sentence);
}

TEST(NormalizePathTest, TheMostIs4096Bytes) {
  const auto most = "/" + std::string(4095, 'a');
  EXPECT_EQ(normal(most), most);
  EXPECT_EQ(problem(most + "a"), "the path has 4097 bytes; the most is 4096");
  EXPECT_NE(problem(most + "/"), "") << "counted as it was given";
  EXPECT_EQ(normal(std::string(4096, '/')), "/");
  std::string deep;
  while (deep.size() < 4096) deep += "/a";
  EXPECT_EQ(normal(deep), deep);
  std::string up;
  while (up.size() + 3 <= 4096) up += "/..";
  EXPECT_EQ(normal(up), "/");
}

TEST(NormalizePathTest, ASentenceStaysShortAndHarmless) {
  std::string path(100'000, 'x');
  path += "\x1b[0m";
  const auto sentence = problem(path);
  EXPECT_LT(sentence.size(), 1000u);
  EXPECT_EQ(problem("\x1b]0;x\x07").find('\x1b'), std::string::npos);
}

TEST(PathIsUnderTest, MatchesWholeComponents) {
  struct Case {
    const char* prefix;
    const char* path;
    bool under;
  };
  const Case kCases[] = {
      {"/mnt/a", "/mnt/a", true},
      {"/mnt/a", "/mnt/a/x", true},
      {"/mnt/a", "/mnt/a/x/y", true},
      {"/mnt/a", "/mnt/ab", false},
      {"/mnt/a", "/mnt/ab/x", false},
      {"/mnt/a", "/mnt", false},
      {"/mnt/a", "/", false},
      {"/mnt/a", "/mnt/b", false},
      {"/mnt/a", "/mnt/A", false},
      {"/", "/", true},
      {"/", "/a", true},
      {"/", "/a/b", true},
      {"/a", "/a/", true},
      {"/a", "/a\xff", false},
      {"/a", "/a/\xff", true},
      {"/\xff", "/\xff/x", true},
      {"", "/a", false},
      {"/a", "", false},
      {"", "", false},
      {"a", "a", false},
      {"a", "a/b", false},
      {"/a", "a", false},
      {"a", "/a", false},
      {"/a b", "/a b/c", true},
  };
  for (const auto& [prefix, path, under] : kCases) {
    EXPECT_EQ(path_is_under(prefix, path), under) << prefix << " covers " << path;
  }
}

TEST(PathIsUnderTest, EveryNormalPrefixCoversItselfAndWhatIsInIt) {
  for (const auto* prefix : {"/", "/a", "/a/b", "/var/cache/x y"}) {
    EXPECT_TRUE(path_is_under(prefix, prefix));
    EXPECT_TRUE(
        path_is_under(prefix, std::string(prefix) == "/" ? "/x" : prefix + std::string("/x")));
  }
}

TEST(EscapeBytesTest, PrintableTextStaysAsItIs) {
  for (const auto* text : {"", "plain text 123", "~!@#$%^&*()_+-={}[]|;:'\"<>,.?/`",
                           "\xc3\xa4\xc3\xb6", "\xe6\xbc\xa2\xe5\xad\x97", "\xf0\x9f\x92\xa9"}) {
    EXPECT_EQ(escape_bytes(text), text);
  }
}

TEST(EscapeBytesTest, WhatIsNotPrintableIsShownAsItsBytes) {
  const std::pair<std::string, const char*> kCases[] = {
      {"\\", "\\\\"},
      {"\n", "\\x0a"},
      {"\t", "\\x09"},
      {std::string(1, '\0'), "\\x00"},
      {"\x1b[31m", "\\x1b[31m"},
      {"\x7f", "\\x7f"},
      {"\xc2\x80", "\\xc2\\x80"},  // C1
      {"\xc2\x9b", "\\xc2\\x9b"},  // CSI of C1
      {"\xff", "\\xff"},
      {"\xc3", "\\xc3"},  // cut
      {"a\xc3(", "a\\xc3("},
      {"\xc0\xaf", "\\xc0\\xaf"},           // overlong
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},  // a surrogate
      {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
  };
  for (const auto& [bytes, shown] : kCases) EXPECT_EQ(escape_bytes(bytes), shown);
}

// UTF-8 of one code point.
std::string utf8_of(std::uint32_t c) {
  const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xc0U | c >> 6U), byte(0x80U | (c & 0x3fU))};
  if (c < 0x10000) {
    return {byte(0xe0U | c >> 12U), byte(0x80U | (c >> 6U & 0x3fU)), byte(0x80U | (c & 0x3fU))};
  }
  return {byte(0xf0U | c >> 18U), byte(0x80U | (c >> 12U & 0x3fU)), byte(0x80U | (c >> 6U & 0x3fU)),
          byte(0x80U | (c & 0x3fU))};
}

TEST(EscapeBytesTest, NothingThatReordersOrHidesTextGetsThrough) {
  for (const std::uint32_t c :
       {0x61cU,                                                            // Arabic letter mark
        0x200eU, 0x200fU, 0x202aU,  0x202bU,  0x202cU,  0x202dU, 0x202eU,  // bidirectional
        0x2066U, 0x2067U, 0x2068U,  0x2069U,  0x2028U,  0x2029U,           // isolates, separators
        0x200bU, 0x200cU, 0x200dU,  0x2060U,  0xfeffU,                     // of no width
        0xadU,   0x34fU,  0x115fU,  0x1160U,  0x17b4U,  0x180bU, 0x180eU,  0x3164U,
        0xffa0U,  // not shown
        0xfe00U, 0xfe0fU, 0xe0001U, 0xe0041U, 0xe0100U, 0xfff9U, 0x1d173U, 0xa0U,
        0x1680U, 0x2000U, 0x2007U,  0x200aU,  0x202fU,  0x205fU, 0x3000U,  0x2800U}) {  // blanks
    const auto shown = escape_bytes("a" + utf8_of(c) + "b");
    EXPECT_TRUE(shown.starts_with("a\\x") && shown.ends_with("b")) << std::hex << c << ' ' << shown;
  }
}

TEST(EscapeBytesTest, DifferentBytesNeverLookTheSame) {
  // All strings of up to three of these bytes, which can be read in many ways together.
  const std::string alphabet("\\x0a\n\xc3\xa4\x80 ", 9);
  std::map<std::string, std::string> seen;
  std::vector<std::string> all = {""};
  for (std::size_t begin = 0, length = 0; length < 4; ++length) {
    const auto end = all.size();
    for (; begin < end; ++begin) {
      const auto stem = all[begin];
      for (const char c : alphabet) all.push_back(stem + c);
    }
  }
  for (const auto& bytes : all) {
    const auto [found, added] = seen.emplace(escape_bytes(bytes), bytes);
    EXPECT_TRUE(added || found->second == bytes) << found->first;
  }
  EXPECT_EQ(seen.size(), 1u + 9 + 81 + 729 + 6561);
}

TEST(EscapeBytesTest, TheResultIsAlwaysPrintableUtf8) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  const auto shown = escape_bytes(bytes + bytes);
  EXPECT_TRUE(utf8::is_valid(shown));
  for (const char c : shown) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
}

TEST(Utf8Test, ReadsOneCharacterStrictly) {
  struct Case {
    std::string bytes;
    std::size_t taken;
    std::uint32_t code_point;
  };
  for (const auto& [bytes, taken, code_point] :
       {Case{"a", 1, 'a'}, Case{std::string(1, '\0'), 1, 0}, Case{"\x7f", 1, 0x7f},
        Case{"\xc2\x80", 2, 0x80}, Case{"\xdf\xbf", 2, 0x7ff}, Case{"\xe0\xa0\x80", 3, 0x800},
        Case{"\xed\x9f\xbf", 3, 0xd7ff}, Case{"\xee\x80\x80", 3, 0xe000},
        Case{"\xef\xbf\xbf", 3, 0xffff}, Case{"\xf0\x90\x80\x80", 4, 0x10000},
        Case{"\xf4\x8f\xbf\xbf", 4, 0x10ffff}}) {
    const auto character = utf8::first(bytes + "rest");
    EXPECT_TRUE(character.valid) << std::hex << code_point;
    EXPECT_EQ(character.bytes, taken);
    EXPECT_EQ(character.code_point, code_point);
  }
  for (const std::string bytes :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x80\x80", "\xe0\x9f\xbf",
        "\xe1\x80", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",
        "\xf0\x90\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe",
        "\xff"}) {
    const auto character = utf8::first(bytes);
    EXPECT_FALSE(character.valid) << escape_bytes(bytes);
    EXPECT_EQ(character.bytes, 1u);
    EXPECT_FALSE(utf8::is_valid("ok" + bytes));
  }
  EXPECT_TRUE(utf8::is_valid(""));
  EXPECT_TRUE(utf8::is_valid("z\xc3\xa4hl"));
}

TEST(Utf8Test, SanitizingKeepsWholeCharactersWithinTheBound) {
  EXPECT_EQ(utf8::sanitize("plain", 100), "plain");
  EXPECT_EQ(utf8::sanitize("plain", 3), "pla");
  EXPECT_EQ(utf8::sanitize("\xc3\xa4\xc3\xa4", 4), "\xc3\xa4\xc3\xa4");
  EXPECT_EQ(utf8::sanitize("\xc3\xa4\xc3\xa4", 3), "\xc3\xa4");
  EXPECT_EQ(utf8::sanitize("\xc3\xa4", 1), "");
  EXPECT_EQ(utf8::sanitize("a\xff"
                           "b",
                           100),
            "a\xef\xbf\xbd"
            "b");
  EXPECT_EQ(utf8::sanitize("a\xff"
                           "b",
                           3),
            "a")
      << "a replacement is cut whole, too";
  EXPECT_EQ(utf8::sanitize("x", 0), "");
  const auto clean = utf8::sanitize(std::string(5000, '\xff'), 1024);
  EXPECT_LE(clean.size(), 1024u);
  EXPECT_TRUE(utf8::is_valid(clean));
}

TEST(EscapeControlsTest, WhatWasEscapedIsNotEscapedAgain) {
  EXPECT_EQ(escape_controls(escape_bytes("/a\nb")), "/a\\x0ab");
  EXPECT_EQ(escape_controls("saw '\x1b[0m'"), "saw '\\x1b[0m'");
}

}  // namespace
}  // namespace muster
