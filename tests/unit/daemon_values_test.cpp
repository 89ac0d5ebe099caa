// Durations, sizes, modes, and words that were meant to be others.
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "musterd/config/values.h"

namespace muster::daemon {
namespace {

using namespace std::chrono_literals;

TEST(DaemonValues, DurationsHaveUnits) {
  EXPECT_EQ(parse_duration("5s"), 5000ms);
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("1h30m"), 90min);
  EXPECT_EQ(parse_duration("2d1h1m1s1ms"), 2 * 24h + 1h + 1min + 1s + 1ms);
  EXPECT_EQ(parse_duration("0s"), 0ms);
}

TEST(DaemonValues, WhatIsNoDurationIsRefused) {
  for (const char* text :
       {"", "5", "s", "-5s", "+5s", " 5s", "5s ", "5 s", "1.5s", "5sec", "5S", "5s5", "30m1h",
        "1s1s", "99999999999999999999s", "9223372036854775808ms", "106751991168d"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << '"' << text << '"';
  }
  EXPECT_EQ(parse_duration("9223372036854775807ms"), std::chrono::milliseconds::max());
}

TEST(DaemonValues, DurationsAreWrittenAsTheyAreRead) {
  for (const auto duration : {0ms, 1ms, 1500ms, 5000ms, 90'000ms, 86'400'000ms, 90'061'001ms}) {
    EXPECT_EQ(parse_duration(format_duration(duration)), duration) << format_duration(duration);
  }
  EXPECT_EQ(format_duration(90min), "1h30m");
}

TEST(DaemonValues, SizesHaveBinaryUnits) {
  EXPECT_EQ(parse_size("256KiB"), 262'144U);
  EXPECT_EQ(parse_size("1MiB"), 1'048'576U);
  EXPECT_EQ(parse_size("7B"), 7U);
  for (const char* text : {"", "1", "KiB", "1KB", "1kib", "-1B", "1 KiB", "18446744073709551616B",
                           "9007199254740992KiB1", "17179869184GiB"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << '"' << text << '"';
  }
  EXPECT_EQ(format_size(262'144), "256KiB");
  EXPECT_EQ(format_size(1000), "1000B");
  EXPECT_EQ(format_size(0), "0B");
}

TEST(DaemonValues, ModesAreOctal) {
  EXPECT_EQ(parse_mode("0660"), mode_t{0660});
  EXPECT_EQ(parse_mode("600"), mode_t{0600});
  for (const char* text : {"", "66", "0888", "1777", "00660", "0o660", "rw-rw----", "-660"}) {
    EXPECT_EQ(parse_mode(text), std::nullopt) << '"' << text << '"';
  }
}

TEST(DaemonValues, ATypingErrorIsRecognised) {
  const std::vector<std::string_view> known{"ack_timeout", "max_ack_timeout", "dir", "level"};
  EXPECT_EQ(nearest_word("ack_timout", known), "ack_timeout");
  EXPECT_EQ(nearest_word("ack-timeout", known), "ack_timeout");
  EXPECT_EQ(nearest_word("lvel", known), "level");
  EXPECT_EQ(nearest_word("colour", known), "");
  EXPECT_EQ(nearest_word("d", known), "") << "most of a short word is not a typing error";
  EXPECT_EQ(nearest_word(std::string(100'000, 'a'), known), "");
}

}  // namespace
}  // namespace muster::daemon
