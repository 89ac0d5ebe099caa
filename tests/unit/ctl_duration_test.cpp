#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "musterctl/duration.h"

namespace muster::ctl {
namespace {

using namespace std::chrono_literals;

std::string parsed(std::string_view text) {
  const ParsedDuration result = parse_duration(text);
  return result.problem.empty() ? std::to_string(result.value.count()) : result.problem;
}

TEST(Duration, IsWrittenAsWholeNumbersWithUnits) {
  EXPECT_EQ(parsed("500ms"), "500");
  EXPECT_EQ(parsed("2s"), "2000");
  EXPECT_EQ(parsed("1m"), "60000");
  EXPECT_EQ(parsed("1h30m"), "5400000");
  EXPECT_EQ(parsed("1h2m3s4ms"), "3723004");
  EXPECT_EQ(parsed("90m"), "5400000");
}

TEST(Duration, OfNothingIsRefused) {
  for (const std::string text : {"0s", "0ms", "0h0m"}) {
    EXPECT_EQ(parsed(text), '"' + text + "\" is too short: the least is 1ms");
  }
}

TEST(Duration, WithoutAUnitIsRefusedAndBothMeaningsAreOffered) {
  EXPECT_EQ(parsed("5"),
            "\"5\" has a number without a unit: write 5s for seconds or 5ms for milliseconds");
  EXPECT_EQ(parsed("1m30"),
            "\"1m30\" has a number without a unit: write 30s for seconds or 30ms for milliseconds");
}

TEST(Duration, OfAnyOtherFormIsRefusedWithAnExample) {
  const std::string example = " is no duration: write 500ms, 2s, 1m or 1h30m";
  EXPECT_EQ(parsed(""), "\"\"" + example);
  EXPECT_EQ(parsed("s"), "\"s\"" + example);
  EXPECT_EQ(parsed("-2s"), "\"-2s\"" + example);
  EXPECT_EQ(parsed(" 2s"), "\" 2s\"" + example);
  for (const char* text : {"1.5s", "2 s", "2sec", "2S", "2s ", "1d"}) {
    EXPECT_EQ(parsed(text), '"' + std::string(text) +
                                "\" is no duration (the units are h, m, s and ms, the numbers "
                                "whole): write 500ms, 2s, 1m or 1h30m");
  }
  EXPECT_EQ(parsed("30m1h"), "\"30m1h\" has its units out of order: write 1h30m, not 30m1h");
  EXPECT_EQ(parsed("1s1s"), "\"1s1s\" has its units out of order: write 1h30m, not 30m1h");
}

TEST(Duration, EndsWhereTheWireEnds) {
  EXPECT_EQ(parsed("4294967295ms"), "4294967295");
  EXPECT_EQ(parsed("4294967296ms"), "\"4294967296ms\" is too long: the most is 49 days");
  EXPECT_EQ(parsed("4294967s295ms"), "4294967295");
  EXPECT_EQ(parsed("4294967s296ms"), "\"4294967s296ms\" is too long: the most is 49 days");
  EXPECT_EQ(parsed("99999999999999999999h"),
            "\"99999999999999999999h\" is too long: the most is 49 days");
  EXPECT_EQ(parsed("18446744073709551615h"),
            "\"18446744073709551615h\" is too long: the most is 49 days");
}

TEST(Duration, ThatWasSetIsShownAsItWasSet) {
  EXPECT_EQ(show_exactly(1ms), "1 ms");
  EXPECT_EQ(show_exactly(999ms), "999 ms");
  EXPECT_EQ(show_exactly(2s), "2 s");
  EXPECT_EQ(show_exactly(2500ms), "2.5 s");
  EXPECT_EQ(show_exactly(1001ms), "1.001 s");
  EXPECT_EQ(show_exactly(90s), "1 min 30 s");
  EXPECT_EQ(show_exactly(5min), "5 min");
  EXPECT_EQ(show_exactly(3661s), "1 h 1 min 1 s");
  EXPECT_EQ(show_exactly(0ms), "0 s");
}

TEST(Duration, ThatWasMeasuredIsShownToTwoDigits) {
  EXPECT_EQ(show_measured(0us), "0.0 ms");
  EXPECT_EQ(show_measured(412us), "0.4 ms");
  EXPECT_EQ(show_measured(9'949us), "9.9 ms");
  EXPECT_EQ(show_measured(9'950us), "10 ms");
  EXPECT_EQ(show_measured(312'400us), "312 ms");
  EXPECT_EQ(show_measured(999'499us), "999 ms");
  EXPECT_EQ(show_measured(999'500us), "1.0 s");
  EXPECT_EQ(show_measured(1'240ms), "1.2 s");
  EXPECT_EQ(show_measured(59'940ms), "59.9 s");
  EXPECT_EQ(show_measured(59'960ms), "1 min");
  EXPECT_EQ(show_measured(192s), "3 min 12 s");
  EXPECT_EQ(show_measured(3h + 12min + 5s), "3 h 12 min");
  EXPECT_EQ(show_measured(51h), "2 d 3 h");
  EXPECT_EQ(show_measured(48h + 5min), "2 d");
  EXPECT_EQ(show_measured(-5ms), "0.0 ms");
}

}  // namespace
}  // namespace muster::ctl
