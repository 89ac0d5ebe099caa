#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "sdk/backoff.h"

namespace muster {
namespace {

using std::chrono::milliseconds;

std::vector<milliseconds> waits(Backoff& backoff, std::size_t count) {
  std::vector<milliseconds> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(backoff.next());
  return all;
}

TEST(BackoffTest, EachWaitIsBetweenAHalfAndTheWholeOfItsStep) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    Backoff backoff(milliseconds(100), milliseconds(1000), seed);
    for (const int step : {100, 200, 400, 800, 1000, 1000, 1000}) {
      const auto wait = backoff.next();
      EXPECT_GE(wait, milliseconds(step / 2)) << "seed " << seed;
      EXPECT_LE(wait, milliseconds(step)) << "seed " << seed;
    }
  }
}

TEST(BackoffTest, ResettingBeginsAnewWithTheFirstWait) {
  Backoff backoff(milliseconds(100), milliseconds(10'000), 1);
  (void)waits(backoff, 6);
  backoff.reset();
  EXPECT_LE(backoff.next(), milliseconds(100));
}

TEST(BackoffTest, TheSameSeedWaitsTheSameAndOthersDoNot) {
  Backoff one(milliseconds(1000), milliseconds(60'000), 7);
  Backoff same(milliseconds(1000), milliseconds(60'000), 7);
  EXPECT_EQ(waits(one, 10), waits(same, 10));

  std::set<milliseconds> first_waits;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    first_waits.insert(Backoff(milliseconds(1000), milliseconds(60'000), seed).next());
  }
  EXPECT_GT(first_waits.size(), 50u);
}

TEST(BackoffTest, WhatTheBrokerAskedForIsNeverUndercutAndIsSpread) {
  std::set<milliseconds> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Backoff backoff(milliseconds(100), milliseconds(1000), seed);
    const auto wait = backoff.next(milliseconds(5000));
    EXPECT_GE(wait, milliseconds(5000));
    EXPECT_LE(wait, milliseconds(7500));
    seen.insert(wait);
  }
  EXPECT_GT(seen.size(), 50u);
}

TEST(BackoffTest, AShorterWishOfTheBrokerChangesLittle) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Backoff backoff(milliseconds(1000), milliseconds(1000), seed);
    const auto wait = backoff.next(milliseconds(10));
    EXPECT_GE(wait, milliseconds(500));
    EXPECT_LE(wait, milliseconds(1000));
  }
}

TEST(BackoffTest, AWaitOfOneMillisecondIsPossible) {
  Backoff backoff(milliseconds(1), milliseconds(1), 1);
  for (const auto wait : waits(backoff, 5)) EXPECT_EQ(wait, milliseconds(1));
}

TEST(BackoffTest, TheLongestWaitDoesNotOverflow) {
  const milliseconds longest = std::chrono::hours(24);
  Backoff backoff(milliseconds(1), longest, 1);
  for (const auto wait : waits(backoff, 200)) {
    EXPECT_GT(wait.count(), 0);
    EXPECT_LE(wait, longest);
  }
}

}  // namespace
}  // namespace muster
