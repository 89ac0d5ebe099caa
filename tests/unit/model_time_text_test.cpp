// The grammar of durations.
#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "model/time_text.h"

namespace muster {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

TEST(Duration, EachTextIsReadOrRefusedWithItsSentence) {
  constexpr milliseconds kMost = 49 * 24h;
  constexpr milliseconds kAny = milliseconds::max();
  const std::string example = " is no duration: write 500ms, 2s, 1m or 1h30m";
  const std::string units =
      " is no duration (the units are d, h, m, s and ms, the numbers whole): write 500ms, 2s, 1m "
      "or 1h30m";
  const std::string order = " has its units out of order: write 1h30m, not 30m1h";
  const std::string too_short = " is too short: the least is ";
  const std::string too_long = " is too long: the most is ";
  const std::string longest = "106751991167d7h12m55s807ms";
  const struct {
    std::string text;
    milliseconds least;
    milliseconds most;
    std::string read;  // milliseconds, or what follows the quoted text
  } kRows[] = {
      {"500ms", 0ms, kAny, "500"},
      {"2s", 0ms, kAny, "2000"},
      {"1m", 0ms, kAny, "60000"},
      {"1h30m", 0ms, kAny, "5400000"},
      {"1h2m3s4ms", 0ms, kAny, "3723004"},
      {"90m", 0ms, kAny, "5400000"},
      {"2d1h", 0ms, kAny, "176400000"},
      // Below the least.
      {"0s", 0ms, kAny, "0"},
      {"0ms", 0ms, kAny, "0"},
      {"0h0m", 0ms, kAny, "0"},
      {"0s", 1ms, kAny, too_short + "1ms"},
      {"0ms", 1ms, kAny, too_short + "1ms"},
      {"0h0m", 1ms, kAny, too_short + "1ms"},
      {"1999ms", 2s, kAny, too_short + "2s"},
      {"2s", 2s, kAny, "2000"},
      // Above the most.
      {"49d", 1ms, kMost, "4233600000"},
      {"49d1ms", 1ms, kMost, too_long + "49d"},
      {"1177h", 1ms, kMost, too_long + "49d"},
      {"99999999999999999999h", 1ms, kMost, too_long + "49d"},
      {"18446744073709551615h", 1ms, kMost, too_long + "49d"},
      {"4233600001ms", 1ms, kMost, too_long + "49d"},
      {"9223372036854775807ms", 0ms, kAny, "9223372036854775807"},
      {"9223372036854775808ms", 0ms, kAny, too_long + longest},
      {"106751991168d", 0ms, kAny, too_long + longest},
      // Without a unit: both meanings are offered.
      {"5", 0ms, kAny,
       " has a number without a unit: write 5s for seconds or 5ms for milliseconds"},
      {"1m30", 0ms, kAny,
       " has a number without a unit: write 30s for seconds or 30ms for milliseconds"},
      // Of any other form.
      {"", 0ms, kAny, example},
      {"s", 0ms, kAny, example},
      {"-2s", 0ms, kAny, example},
      {" 2s", 0ms, kAny, example},
      {"1.5s", 0ms, kAny, units},
      {"2 s", 0ms, kAny, units},
      {"2sec", 0ms, kAny, units},
      {"2S", 0ms, kAny, units},
      {"2s ", 0ms, kAny, units},
      {"1w", 0ms, kAny, units},
      {"30m1h", 0ms, kAny, order},
      {"1s1s", 0ms, kAny, order},
  };
  for (const auto& row : kRows) {
    const ParsedDuration result = parse_duration(row.text, row.least, row.most);
    EXPECT_EQ(result.problem.empty() ? std::to_string(result.value.count()) : result.problem,
              row.read.starts_with(' ') ? '"' + row.text + '"' + row.read : row.read)
        << row.text << " of at least " << row.least.count() << " ms";
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
