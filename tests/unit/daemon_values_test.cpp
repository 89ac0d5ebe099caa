// Sizes, modes, and words that were meant to be others.
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "musterd/config/values.h"

namespace muster::daemon {
namespace {

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
