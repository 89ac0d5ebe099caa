// Durations as musterctl shows them.
#include <chrono>

#include <gtest/gtest.h>

#include "musterctl/text.h"

namespace muster::ctl {
namespace {

using namespace std::chrono_literals;

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
