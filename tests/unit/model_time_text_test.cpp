// The grammar of durations.
#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "model/time_text.h"

namespace muster {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

std::string parsed_duration(std::string_view text, milliseconds least = 0ms,
                            milliseconds most = milliseconds::max()) {
  const ParsedDuration result = parse_duration(text, least, most);
  return result.problem.empty() ? std::to_string(result.value.count()) : result.problem;
}

TEST(Duration, IsWrittenAsWholeNumbersWithUnits) {
  EXPECT_EQ(parsed_duration("500ms"), "500");
  EXPECT_EQ(parsed_duration("2s"), "2000");
  EXPECT_EQ(parsed_duration("1m"), "60000");
  EXPECT_EQ(parsed_duration("1h30m"), "5400000");
  EXPECT_EQ(parsed_duration("1h2m3s4ms"), "3723004");
  EXPECT_EQ(parsed_duration("90m"), "5400000");
  EXPECT_EQ(parsed_duration("2d1h"), "176400000");
}

TEST(Duration, BelowTheLeastIsRefused) {
  for (const std::string text : {"0s", "0ms", "0h0m"}) {
    EXPECT_EQ(parsed_duration(text, 1ms), '"' + text + "\" is too short: the least is 1ms");
    EXPECT_EQ(parsed_duration(text), "0");
  }
  EXPECT_EQ(parsed_duration("1999ms", 2s), "\"1999ms\" is too short: the least is 2s");
  EXPECT_EQ(parsed_duration("2s", 2s), "2000");
}

TEST(Duration, WithoutAUnitIsRefusedAndBothMeaningsAreOffered) {
  EXPECT_EQ(parsed_duration("5"),
            "\"5\" has a number without a unit: write 5s for seconds or 5ms for milliseconds");
  EXPECT_EQ(parsed_duration("1m30"),
            "\"1m30\" has a number without a unit: write 30s for seconds or 30ms for milliseconds");
}

TEST(Duration, OfAnyOtherFormIsRefusedWithAnExample) {
  const std::string example = " is no duration: write 500ms, 2s, 1m or 1h30m";
  EXPECT_EQ(parsed_duration(""), "\"\"" + example);
  EXPECT_EQ(parsed_duration("s"), "\"s\"" + example);
  EXPECT_EQ(parsed_duration("-2s"), "\"-2s\"" + example);
  EXPECT_EQ(parsed_duration(" 2s"), "\" 2s\"" + example);
  for (const char* text : {"1.5s", "2 s", "2sec", "2S", "2s ", "1w"}) {
    EXPECT_EQ(parsed_duration(text),
              '"' + std::string(text) +
                  "\" is no duration (the units are d, h, m, s and ms, the numbers "
                  "whole): write 500ms, 2s, 1m or 1h30m");
  }
  EXPECT_EQ(parsed_duration("30m1h"),
            "\"30m1h\" has its units out of order: write 1h30m, not 30m1h");
  EXPECT_EQ(parsed_duration("1s1s"), "\"1s1s\" has its units out of order: write 1h30m, not 30m1h");
}

TEST(Duration, AboveTheMostIsRefused) {
  constexpr milliseconds kMost = 49 * 24h;
  EXPECT_EQ(parsed_duration("49d", 1ms, kMost), "4233600000");
  for (const std::string text :
       {"49d1ms", "1177h", "99999999999999999999h", "18446744073709551615h", "4233600001ms"}) {
    EXPECT_EQ(parsed_duration(text, 1ms, kMost), '"' + text + "\" is too long: the most is 49d");
  }
  EXPECT_EQ(parsed_duration("9223372036854775807ms"), "9223372036854775807");
  for (const std::string text : {"9223372036854775808ms", "106751991168d"}) {
    EXPECT_EQ(parsed_duration(text), '"' + text +
                                         "\" is too long: the most is "
                                         "106751991167d7h12m55s807ms");
  }
}

TEST(Duration, IsWrittenAsItIsRead) {
  for (const auto duration : {0ms, 1ms, 1500ms, 5000ms, 90'000ms, 86'400'000ms, 90'061'001ms}) {
    EXPECT_EQ(parse_duration(format_duration(duration)).value, duration)
        << format_duration(duration);
  }
  EXPECT_EQ(format_duration(90min), "1h30m");
  EXPECT_EQ(format_duration(-5ms), "0s");
}

}  // namespace
}  // namespace muster
