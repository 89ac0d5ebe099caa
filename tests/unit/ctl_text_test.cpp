#include <ctime>
#include <string>

#include <gtest/gtest.h>

#include "musterctl/text.h"

namespace muster::ctl {
namespace {

TEST(Text, IsMeasuredInColumnsAndNotInBytes) {
  EXPECT_EQ(columns_of(""), 0u);
  EXPECT_EQ(columns_of("soldr"), 5u);
  EXPECT_EQ(columns_of("größe"), 5u);
  EXPECT_EQ(columns_of("e\u0301"), 1u);  // a combining accent
  EXPECT_EQ(columns_of("漢字"), 4u);
  EXPECT_EQ(columns_of("\U0001F600"), 2u);
}

TEST(Text, IsCutSoThatNothingWraps) {
  EXPECT_EQ(cut_to("waiting", 7), "waiting");
  EXPECT_EQ(cut_to("waiting", 6), "wai...");
  EXPECT_EQ(cut_to("waiting", 3), "...");
  EXPECT_EQ(cut_to("waiting", 2), "..");
  EXPECT_EQ(cut_to("waiting", 0), "");
  EXPECT_EQ(cut_to("größer als", 6), "grö...");
  // A wide character that would take half a column too much is left out.
  EXPECT_EQ(cut_to("漢字漢字", 6), "漢...");
}

TEST(Text, IsPaddedByColumns) {
  EXPECT_EQ(padded("ab", 4), "ab  ");
  EXPECT_EQ(padded("öö", 4), "öö  ");
  EXPECT_EQ(padded("漢字", 4), "漢字");
  EXPECT_EQ(padded("longer", 4), "longer");
}

TEST(Text, SaysTheDateOnlyOfAnotherDay) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  constexpr std::uint64_t kNoon = 1'709'294'531'042;  // 2024-03-01 12:02:11.042
  EXPECT_EQ(local_time(kNoon, kNoon + 3'600'000), "12:02:11");
  EXPECT_EQ(local_time(kNoon, kNoon + 86'400'000), "2024-03-01 12:02:11");
  EXPECT_EQ(local_time(kNoon, kNoon + 366ull * 86'400'000), "2024-03-01 12:02:11");
  EXPECT_EQ(local_time_of_day(kNoon), "12:02:11.042");
}

TEST(Text, CountsInWords) {
  EXPECT_EQ(counted(0, "backend"), "0 backends");
  EXPECT_EQ(counted(1, "backend"), "1 backend");
  EXPECT_EQ(counted(2, "backend"), "2 backends");
}

TEST(JsonObject, EscapesWhatJsonCannotHold) {
  EXPECT_EQ(JsonObject().text("a", "x\"y\\z\n\x01").big("id", 18446744073709551615ull).line(),
            "{\"a\":\"x\\\"y\\\\z\\u000a\\u0001\",\"id\":\"18446744073709551615\"}\n");
  EXPECT_EQ(JsonObject().boolean("b", false).number("n", -1).raw("o", "{}").line(),
            "{\"b\":false,\"n\":-1,\"o\":{}}\n");
  EXPECT_EQ(JsonObject().line(), "{}\n");
}

TEST(Paint, IsNothingWhereThereIsNoColour) {
  EXPECT_EQ(Paint(false).error("late"), "late");
  EXPECT_EQ(Paint(true).error("late"), "\x1b[31mlate\x1b[0m");
}

}  // namespace
}  // namespace muster::ctl
