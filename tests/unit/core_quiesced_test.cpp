// Backends that are quiesced, by one broadcast or several, until they resume.
//
// Through the core alone: times are virtual, and the oracle of the simulator checks each step, too.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulator/scenario_test.h"

namespace muster::simulator {
namespace {

class CoreQuiescedTest : public ScenarioTest {};

TEST_F(CoreQuiescedTest, AQuiescedBackendIsShownAsSuchUntilItIsResumed) {
  auto& s = with_two();
  constexpr std::int64_t kQuiesce = 4;
  s.step(StepKind::kStart, 1, kQuiesce, -1);
  s.acks(1, 1);
  const auto quiesced = [&] {
    std::string text;
    for (const auto& info : s.simulation().oracle().list(0)) {
      if (info.quiesced)
        text += info.key.service_name + " by " + std::to_string(info.quiesced->broadcast) + ' ';
    }
    return text;
  };
  EXPECT_EQ(quiesced(), "alpha by 1 ");
  EXPECT_EQ(s.reads(1), "operation 1");
  s.step(StepKind::kResume, 2);
  EXPECT_EQ(quiesced(), "alpha by 1 ") << "that was another quiesce";
  s.step(StepKind::kResume, 1);
  EXPECT_EQ(s.reads(1), "resumed 1");
  EXPECT_EQ(quiesced(), "");
  // One that is away is told when it returns.
  s.acks(2, 1);
  s.hangs_up(2);
  s.step(StepKind::kResume, 0);
  s.join(12, 2, kBeta);
  EXPECT_EQ(s.reads(12), "registered, resumed 1");
}

class CoreQuiescesTest : public CoreQuiescedTest {
 protected:
  static constexpr std::int64_t kQuiesce = 4;

  // Broadcasts 1 and 2, both acked by both.
  Scenario& quiesced_twice() {
    auto& s = with_two();
    for (std::int64_t id = 1; id <= 2; ++id) {
      s.step(StepKind::kStart, id, kQuiesce, -1);
      for (const std::uint32_t line : {1U, 2U}) {
        s.acks(line, id);
        EXPECT_EQ(s.reads(line), "operation " + std::to_string(id));
      }
    }
    return s;
  }
  static std::string quiesced_by(Scenario& s) {
    std::string text;
    for (const auto& info : s.simulation().oracle().list(0)) {
      text += info.key.service_name;
      text += info.quiesced ? ' ' + std::to_string(info.quiesced->broadcast) + ' ' : " - ";
    }
    return text;
  }
};

TEST_F(CoreQuiescesTest, TheOlderOfTwoEndsByItselfAndTheBackendResumesWithTheLast) {
  auto& s = quiesced_twice();
  EXPECT_EQ(quiesced_by(s), "alpha 2 beta 2 ");
  s.step(StepKind::kResume, 1);
  EXPECT_EQ(s.reads(1), "");
  EXPECT_EQ(quiesced_by(s), "alpha 2 beta 2 ");
  s.step(StepKind::kResume, 1);
  EXPECT_EQ(quiesced_by(s), "alpha 2 beta 2 ") << "it has ended";
  s.step(StepKind::kResume, 2);
  EXPECT_EQ(s.reads(1), "resumed 2");
  EXPECT_EQ(s.reads(2), "resumed 2");
  EXPECT_EQ(quiesced_by(s), "alpha - beta - ");
}

TEST_F(CoreQuiescesTest, TheNewerOfTwoEndsByItself) {
  auto& s = quiesced_twice();
  s.step(StepKind::kResume, 2);
  EXPECT_EQ(s.reads(1), "");
  EXPECT_EQ(quiesced_by(s), "alpha 1 beta 1 ");
  s.step(StepKind::kResume, 1);
  EXPECT_EQ(s.reads(1), "resumed 1");
}

TEST_F(CoreQuiescesTest, AllEndTogetherWithoutAnId) {
  auto& s = quiesced_twice();
  s.step(StepKind::kResume, 0);
  EXPECT_EQ(s.reads(1), "resumed 2");
  EXPECT_EQ(quiesced_by(s), "alpha - beta - ");
}

TEST_F(CoreQuiescesTest, ARestartOfTheBrokerEndsNone) {
  auto& s = quiesced_twice();
  s.step(StepKind::kResume, 1);
  s.step(StepKind::kRestart);
  EXPECT_EQ(quiesced_by(s), "alpha 2 beta 2 ");
  s.join(11, 1, kAlpha);
  EXPECT_EQ(s.reads(11), "registered");
  // Beta is not back yet.
  s.step(StepKind::kResume, 2);
  EXPECT_EQ(s.reads(11), "resumed 2");
  s.step(StepKind::kRestart);
  EXPECT_EQ(quiesced_by(s), "alpha - beta - ");
  s.join(22, 2, kBeta);
  EXPECT_EQ(s.reads(22), "registered, resumed 2") << "it was away, twice";
  s.join(21, 1, kAlpha);
  EXPECT_EQ(s.reads(21), "registered");
}

TEST_F(CoreQuiescesTest, MoreThanCanBeNamedEndTogether) {
  auto& s = with_two();
  constexpr auto kAll = static_cast<std::int64_t>(core::Quiesces::kMost) + 2;
  for (std::int64_t id = 1; id <= kAll; ++id) {
    s.step(StepKind::kStart, id, kQuiesce, -1);
    s.acks(1, id);
    s.acks(2, id);
  }
  (void)s.reads(1);
  for (std::int64_t id = 1; id <= kAll; ++id) s.step(StepKind::kResume, id);
  EXPECT_EQ(s.reads(1), "") << "some of them have no record of their own";
  s.step(StepKind::kResume, 0);
  EXPECT_EQ(s.reads(1), "resumed " + std::to_string(kAll));
}

}  // namespace
}  // namespace muster::simulator
