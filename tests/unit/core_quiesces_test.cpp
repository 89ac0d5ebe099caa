// The quiesces of one backend: which go on, and that none is lost for want of memory.
#include <gtest/gtest.h>

#include "core/quiesces.h"
#include "support/allocations.h"

namespace muster::core {
namespace {

Quiesce quiesce(BroadcastId broadcast, QuiesceReason reason = QuiesceReason::kMaintenance) {
  Quiesce made;
  made.broadcast = broadcast;
  made.reason = reason;
  made.since_unix_ms = 1000 + broadcast;
  return made;
}

constexpr auto kIdle = QuiesceReason::kIdleTimeout;

TEST(CoreQuiescesOfOneTest, AnOperatorsQuiesceTakesThePlaceOfAnIdleOne) {
  Quiesces all;
  all.reserve();
  all.add(quiesce(1, kIdle));
  all.add(quiesce(2));
  EXPECT_FALSE(all.holds(1));
  EXPECT_TRUE(all.holds(2));
  EXPECT_FALSE(all.end_one_of_many(2)) << "it is the only one";
}

TEST(CoreQuiescesOfOneTest, AnIdleQuiesceDoesNotCountBesideAnOperators) {
  Quiesces all;
  all.reserve();
  all.add(quiesce(1));
  all.add(quiesce(2, kIdle));
  EXPECT_TRUE(all.holds(1));
  EXPECT_FALSE(all.holds(2));
  EXPECT_EQ(all.newest().reason, QuiesceReason::kMaintenance);
}

TEST(CoreQuiescesOfOneTest, OneThatEndedWhileItWasAwayIsNotShownAndIsToBeTold) {
  Quiesces all;
  all.reserve();
  all.add(quiesce(1));
  all.add(quiesce(2));
  all.end_while_away();
  EXPECT_FALSE(all.holds());
  EXPECT_FALSE(all.holds(2));
  EXPECT_FALSE(all.state());
  EXPECT_TRUE(all.ended());
  all.add(quiesce(3));
  EXPECT_TRUE(all.holds(3));
  EXPECT_FALSE(all.ended());
}

TEST(CoreQuiescesOfOneTest, WithoutMemoryItStaysQuiescedUntilAllAreEnded) {
  if (!test::counts_allocations()) GTEST_SKIP() << "operator new is the sanitizer's";
  Quiesces all;
  all.reserve();
  all.add(quiesce(1));
  {
    const test::FailingAllocation failing(1);
    all.add(quiesce(2));
    ASSERT_TRUE(failing.has_failed());
  }
  EXPECT_TRUE(all.holds());
  EXPECT_TRUE(all.holds(2));
  EXPECT_TRUE(all.end_one_of_many(2)) << "the first has not ended";
  EXPECT_TRUE(all.holds());
  EXPECT_FALSE(all.end_one_of_many(0)) << "all of them";
}

TEST(CoreQuiescesOfOneTest, TheFirstNeedsNoMemoryBesideItsRoom) {
  if (!test::counts_allocations()) GTEST_SKIP() << "operator new is the sanitizer's";
  Quiesces all;
  all.reserve();
  for (BroadcastId id = 1; id <= 3; ++id) {
    const auto before = test::allocations();
    all.add(quiesce(id));
    EXPECT_EQ(test::allocations(), before);
    all.clear();
  }
}

}  // namespace
}  // namespace muster::core
