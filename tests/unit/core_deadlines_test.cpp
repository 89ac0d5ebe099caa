// Deadline numbers: a slot is used again, its generation is not.
#include <vector>

#include <gtest/gtest.h>

#include "core/deadlines.h"

namespace muster::core {
namespace {

Deadline about(std::uint32_t index) {
  Deadline deadline;
  deadline.kind = Deadline::Kind::kGrace;
  deadline.index = index;
  return deadline;
}

TEST(DeadlinesTest, ADeadlineIsFoundUntilItIsRemoved) {
  Deadlines deadlines;
  const auto id = deadlines.add(about(7));
  EXPECT_TRUE(id.armed());
  ASSERT_NE(deadlines.find(id), nullptr);
  EXPECT_EQ(deadlines.find(id)->index, 7u);
  EXPECT_EQ(deadlines.in_use(), 1u);
  deadlines.remove(id);
  EXPECT_EQ(deadlines.find(id), nullptr);
  EXPECT_EQ(deadlines.in_use(), 0u);
}

TEST(DeadlinesTest, TheNextUserOfASlotIsNotTheOneBefore) {
  Deadlines deadlines;
  const auto first = deadlines.add(about(1));
  deadlines.remove(first);
  const auto second = deadlines.add(about(2));
  EXPECT_EQ(second.slot, first.slot);
  EXPECT_GT(second.generation, first.generation);
  EXPECT_EQ(deadlines.find(first), nullptr);
  deadlines.remove(first);  // late, and means nothing
  ASSERT_NE(deadlines.find(second), nullptr);
  EXPECT_EQ(deadlines.find(second)->index, 2u);
  EXPECT_EQ(deadlines.in_use(), 1u);
}

TEST(DeadlinesTest, WhatWasNeverGivenOutIsNotFound) {
  Deadlines deadlines;
  EXPECT_FALSE(DeadlineId{}.armed());
  EXPECT_EQ(deadlines.find({}), nullptr);
  EXPECT_EQ(deadlines.find({5, 1}), nullptr);
  deadlines.remove({5, 1});
  const auto id = deadlines.add(about(1));
  EXPECT_EQ(deadlines.find({id.slot, id.generation + 1}), nullptr);
  EXPECT_EQ(deadlines.find({id.slot, 0}), nullptr);
}

TEST(DeadlinesTest, ManyAreToldApartAndSlotsAreUsedAgain) {
  Deadlines deadlines;
  std::vector<DeadlineId> ids;
  for (std::uint32_t i = 0; i < 1000; ++i) ids.push_back(deadlines.add(about(i)));
  for (std::uint32_t i = 0; i < 1000; i += 2) deadlines.remove(ids[i]);
  EXPECT_EQ(deadlines.in_use(), 500u);
  for (std::uint32_t i = 0; i < 500; ++i) {
    const auto id = deadlines.add(about(5000 + i));
    EXPECT_LT(id.slot, 1000u);
    EXPECT_EQ(id.generation, 2u);
  }
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const auto* found = deadlines.find(ids[i]);
    ASSERT_EQ(found != nullptr, i % 2 == 1) << i;
    if (found == nullptr) continue;
    EXPECT_EQ(found->index, i);
  }
}

}  // namespace
}  // namespace muster::core
