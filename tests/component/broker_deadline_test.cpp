// Timers alone: what passes is reported once, what is cancelled never, and nothing is allocated for
// each of them once they are warm.
#include <vector>

#include <asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/deadline_timers.h"
#include "support/allocations.h"

namespace muster::broker {
namespace {

using core::DeadlineId;
using std::chrono::hours;
using ::testing::ElementsAre;

struct DeadlineNotes final : DeadlineTimers::Events {
  void before_deadlines() override {
    ++batches;
    if (before) before();
  }
  void deadline_passed(DeadlineId id) override { passed.push_back(id.slot); }

  std::function<void()> before;
  int batches = 0;
  std::vector<std::uint32_t> passed;
};

class DeadlineTimersTest : public ::testing::Test {
 protected:
  void settle() {
    context_.restart();  // it stops whenever nothing is armed
    while (context_.poll() > 0) {
    }
  }
  static core::SteadyTime passed() { return std::chrono::steady_clock::now() - hours(1); }
  static core::SteadyTime never() { return std::chrono::steady_clock::now() + hours(1); }

  asio::io_context context_;
  DeadlineNotes notes_;
  DeadlineTimers timers_{context_, notes_};
};

TEST_F(DeadlineTimersTest, ADeadlineThatPassedIsReportedOnce) {
  timers_.arm({0, 1}, passed());
  timers_.arm({1, 1}, never());
  settle();
  settle();
  EXPECT_THAT(notes_.passed, ElementsAre(0));
  EXPECT_EQ(timers_.armed(), 1u);
  timers_.stop();
}

TEST_F(DeadlineTimersTest, ThoseThatPassTogetherAreOneBatchInTheirOrder) {
  const auto start = passed();
  timers_.arm({0, 1}, start + std::chrono::milliseconds(2));
  timers_.arm({1, 1}, start + std::chrono::milliseconds(3));
  timers_.arm({2, 1}, start + std::chrono::milliseconds(1));
  settle();
  EXPECT_THAT(notes_.passed, ElementsAre(2, 0, 1));
  EXPECT_EQ(notes_.batches, 1);
}

TEST_F(DeadlineTimersTest, WhatIsCancelledIsNotReportedEvenIfItHadPassed) {
  timers_.arm({0, 1}, passed());
  timers_.arm({1, 1}, passed());
  timers_.cancel({0, 1});
  // The other one is cancelled by what comes to light just before it is reported.
  notes_.before = [&] { timers_.cancel({1, 1}); };
  settle();
  EXPECT_TRUE(notes_.passed.empty());
  EXPECT_EQ(notes_.batches, 1);
  EXPECT_EQ(timers_.armed(), 0u);
}

TEST_F(DeadlineTimersTest, ASlotThatIsArmedAgainBeforeItsOldTimerIsSeenFiresForTheNewOneOnly) {
  timers_.arm({0, 1}, passed());
  timers_.cancel({0, 1});
  timers_.arm({0, 2}, never());
  settle();
  EXPECT_TRUE(notes_.passed.empty());
  timers_.cancel({0, 1});  // the old one: nothing happens
  EXPECT_EQ(timers_.armed(), 1u);
  timers_.cancel({0, 2});
  timers_.arm({0, 3}, passed());
  settle();
  EXPECT_THAT(notes_.passed, ElementsAre(0));
}

TEST_F(DeadlineTimersTest, ManyAreReportedInSeveralTurnsEachAfterALookAtWhatCame) {
  constexpr std::uint32_t kMany = 1500;
  for (std::uint32_t i = 0; i < kMany; ++i) timers_.arm({i, 1}, passed());
  settle();
  EXPECT_EQ(notes_.passed.size(), kMany);
  EXPECT_EQ(notes_.batches, 3);
}

TEST_F(DeadlineTimersTest, AnAnswerThatComesToLightBeforeALaterBatchStillCounts) {
  constexpr std::uint32_t kMany = 1500;
  for (std::uint32_t i = 0; i < kMany; ++i) timers_.arm({i, 1}, passed());
  notes_.before = [&] {
    if (notes_.batches == 3) timers_.cancel({kMany - 1, 1});
  };
  settle();
  EXPECT_EQ(notes_.passed.size(), kMany - 1);
}

TEST_F(DeadlineTimersTest, ATimerIsLeftToRunForTheNextDeadlineOfItsSlot) {
  timers_.arm({0, 1}, never());
  timers_.cancel({0, 1});
  EXPECT_EQ(timers_.armed(), 0u);
  EXPECT_EQ(timers_.waiting(), 1u);
  timers_.arm({0, 2}, never());
  EXPECT_EQ(timers_.armed(), 1u);
  EXPECT_EQ(timers_.waiting(), 1u);
}

TEST_F(DeadlineTimersTest, AnEarlierDeadlineDoesNotWaitForATimerThatWasLeft) {
  timers_.arm({0, 1}, never());
  timers_.cancel({0, 1});
  timers_.arm({0, 2}, passed());
  settle();
  EXPECT_THAT(notes_.passed, ElementsAre(0));
  EXPECT_EQ(timers_.waiting(), 0u);
}

TEST_F(DeadlineTimersTest, ATimerThatRingsEarlyWaitsForTheDeadlineThatIsArmedByThen) {
  timers_.arm({0, 1}, passed());
  timers_.cancel({0, 1});
  timers_.arm({0, 2}, never());
  timers_.arm({1, 1}, passed());
  timers_.cancel({1, 1});
  const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
  timers_.arm({1, 2}, soon);
  context_.run_for(std::chrono::milliseconds(0));
  while (notes_.passed.empty() && context_.run_one_for(std::chrono::seconds(10)) > 0) {
  }
  EXPECT_THAT(notes_.passed, ElementsAre(1));
  EXPECT_GE(std::chrono::steady_clock::now(), soon);
  EXPECT_EQ(timers_.armed(), 1u);
  EXPECT_EQ(timers_.waiting(), 1u);
}

TEST_F(DeadlineTimersTest, TheFirstTimerThatRingsForNothingEndsAllThatWould) {
  constexpr std::uint32_t kMany = 1500;
  timers_.arm({kMany, 1}, never());
  for (std::uint32_t i = 0; i < kMany; ++i) timers_.arm({i, 1}, i == 700 ? passed() : never());
  for (std::uint32_t i = 0; i < kMany; ++i) timers_.cancel({i, 1});
  settle();
  EXPECT_EQ(timers_.waiting(), 1u);  // for the one that is armed
  timers_.cancel({kMany, 1});
  timers_.arm({kMany, 2}, passed());
  settle();
  EXPECT_THAT(notes_.passed, ElementsAre(kMany));
  EXPECT_TRUE(context_.stopped()) << "something still waits";
}

TEST_F(DeadlineTimersTest, NothingKeepsTheLoopRunningAfterAStop) {
  timers_.arm({0, 1}, never());
  timers_.stop();
  context_.run_for(std::chrono::seconds(10));
  EXPECT_TRUE(context_.stopped());
}

TEST_F(DeadlineTimersTest, OnceWarmArmingAndCancellingAllocatesNothing) {
  if (!test::counts_allocations()) GTEST_SKIP() << "allocations are not counted here";
  constexpr std::uint32_t kMany = 1000;
  std::uint32_t generation = 0;
  const auto round = [&] {
    ++generation;
    for (std::uint32_t i = 0; i < kMany; ++i) timers_.arm({i, generation}, never());
    for (std::uint32_t i = 0; i < kMany; ++i) timers_.cancel({i, generation});
    settle();
  };
  round();
  const auto before = test::allocations();
  for (int i = 0; i < 10; ++i) round();
  EXPECT_EQ(test::allocations() - before, 0u);
}

}  // namespace
}  // namespace muster::broker
