// Durations as musterctl shows them.
#include <chrono>
#include <utility>

#include <gtest/gtest.h>

#include "musterctl/text.h"

namespace muster::ctl {
namespace {

using namespace std::chrono_literals;

TEST(Duration, ThatWasSetIsShownAsItWasSet) {
  const std::pair<std::chrono::milliseconds, const char*> kRows[] = {
      {1ms, "1 ms"},     {999ms, "999 ms"},        {2s, "2 s"},
      {2500ms, "2.5 s"}, {1001ms, "1.001 s"},      {90s, "1 min 30 s"},
      {5min, "5 min"},   {3661s, "1 h 1 min 1 s"}, {0ms, "0 s"},
  };
  for (const auto& [duration, shown] : kRows) EXPECT_EQ(show_exactly(duration), shown);
}

TEST(Duration, ThatWasMeasuredIsShownToTwoDigits) {
  const std::pair<std::chrono::microseconds, const char*> kRows[] = {
      {0us, "0.0 ms"},      {412us, "0.4 ms"},     {9'949us, "9.9 ms"},
      {9'950us, "10 ms"},   {312'400us, "312 ms"}, {999'499us, "999 ms"},
      {999'500us, "1.0 s"}, {1'240ms, "1.2 s"},    {59'940ms, "59.9 s"},
      {59'960ms, "1 min"},  {192s, "3 min 12 s"},  {3h + 12min + 5s, "3 h 12 min"},
      {51h, "2 d 3 h"},     {48h + 5min, "2 d"},   {-5ms, "0.0 ms"},
  };
  for (const auto& [duration, shown] : kRows) EXPECT_EQ(show_measured(duration), shown);
}

}  // namespace
}  // namespace muster::ctl
