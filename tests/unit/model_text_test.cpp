// The words for people: every enumeration, operations, results, moments.
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "muster/broker_view.h"
#include "muster/control_error.h"

#include "model/time_text.h"

namespace muster {
namespace {

// Each has a word of its own, and what is out of range has one that says so.
template <class Enum>
void every_value_has_a_word(Enum last) {
  std::set<std::string_view> words;
  const auto count = static_cast<int>(last) + 1;
  for (int value = 0; value < count; ++value) {
    const auto word = to_string(static_cast<Enum>(value));
    EXPECT_NE(word, "?") << value;
    EXPECT_FALSE(word.empty()) << value;
    EXPECT_TRUE(words.insert(word).second) << word;
  }
  EXPECT_EQ(to_string(static_cast<Enum>(count)), "?") << "a value without a test";
}

TEST(TextTest, EveryValueOfEveryEnumerationHasAWordOfItsOwn) {
  every_value_has_a_word(QuiesceReason::kMaintenance);
  every_value_has_a_word(BroadcastFailureReason::kBackendError);
  every_value_has_a_word(RefusalCode::kTooSlow);
  every_value_has_a_word(HoldEnd::kUnseen);
  every_value_has_a_word(OutcomeKind::kSkippedDead);
  every_value_has_a_word(BroadcastState::kVerifying);
  every_value_has_a_word(BackendState::kLost);
  every_value_has_a_word(Event::Kind::kEventsLost);
  every_value_has_a_word(SaidBy::kKernel);
  every_value_has_a_word(Cause::kUnseen);
  every_value_has_a_word(ControlError::Code::kTooLarge);
}

TEST(TextTest, OperationsAreShownHarmlessly) {
  EXPECT_EQ(BroadcastOperation::release_handles("/var/c").to_string(), "release-handles /var/c");
  EXPECT_EQ(BroadcastOperation::release_handles("/a\x1b\xff").to_string(),
            "release-handles /a\\x1b\\xff");
  EXPECT_EQ(BroadcastOperation::quiesce(QuiesceReason::kIdleTimeout).to_string(),
            "quiesce (idle-timeout)");
  EXPECT_EQ(BroadcastOperation::quiesce(QuiesceReason::kBrokerShutdown).to_string(),
            "quiesce (broker-shutdown)");
  EXPECT_EQ(BroadcastOperation::quiesce(QuiesceReason::kMaintenance).to_string(),
            "quiesce (maintenance)");
}

TEST(TextTest, AResultIsOneLineWithoutItsEmptyLists) {
  const auto key = [](const char* service) {
    return BackendKey{Instance::shared(), service, "1.0.0", ""};
  };
  BroadcastResult result(BroadcastOperation::release_handles("/c"));
  EXPECT_EQ(to_string(result), "release-handles /c: nobody");
  result.skipped_dead.push_back(key("d"));
  EXPECT_EQ(to_string(result), "release-handles /c: skipped dead d 1.0.0");
  result.acks.push_back({key("a")});
  result.timeouts.push_back({key("b"), std::chrono::milliseconds(5000)});
  result.failures.push_back({key("c"), BroadcastFailureReason::kRejected});
  EXPECT_EQ(to_string(result),
            "release-handles /c: acked a 1.0.0; timed out b 1.0.0 (5000 ms); failed c 1.0.0 "
            "(rejected); skipped dead d 1.0.0");
}

TEST(TextTest, MomentsAreShownInUtc) {
  EXPECT_EQ(format_utc(0), "1970-01-01 00:00:00 UTC");
  EXPECT_EQ(format_utc(999), "1970-01-01 00:00:00 UTC");
  EXPECT_EQ(format_utc(951'782'400'000), "2000-02-29 00:00:00 UTC");
  EXPECT_EQ(format_utc(1'772'373'727'500), "2026-03-01 14:02:07 UTC");
  EXPECT_NE(format_utc(~std::uint64_t{0}), "");
}

}  // namespace
}  // namespace muster
