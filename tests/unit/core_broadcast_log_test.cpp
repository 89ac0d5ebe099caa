// The broadcasts that run and the reports that are kept.
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "core/broadcast_log.h"
#include "support/steady_second.h"

namespace muster::core {
namespace {

using test::at_second;

constexpr std::size_t kMany = 1'000'000;

class BroadcastLogTest : public ::testing::Test {
 protected:
  Broadcast& run(BroadcastId id, std::size_t targets = 1, const std::string& key = {},
                 bool own = false, std::optional<uid_t> charged = std::nullopt) {
    auto made = log.make(id);
    made->own = own;
    made->charged = charged;
    auto& broadcast = log.add(std::move(made));
    broadcast.request.operation_key = key;
    broadcast.targets.resize(targets);
    return broadcast;
  }
  void end(BroadcastId id, int seconds) {
    auto* broadcast = log.find(id);
    ASSERT_NE(broadcast, nullptr) << id;
    for (std::uint32_t i = 0; i < broadcast->targets.size(); ++i) {
      broadcast->settle(i, OutcomeKind::kAck, Cause::kAnswer, at_second(seconds));
    }
    log.finished(*broadcast);
  }
  void trim(std::size_t reports, std::size_t targets = kMany, int before = -1) {
    log.trim({reports, targets, kMany * 1000, at_second(before)});
  }
  std::string there(BroadcastId last = 20) const {
    std::string text;
    for (BroadcastId id = 1; id <= last; ++id) {
      if (log.find(id) != nullptr) text += std::to_string(id) + ' ';
    }
    return text;
  }

  BroadcastLog log;
};

TEST_F(BroadcastLogTest, IsEmptyAtFirst) {
  EXPECT_EQ(log.running(), 0u);
  EXPECT_EQ(log.kept(), 0u);
  EXPECT_EQ(log.newest(), nullptr);
  EXPECT_EQ(log.find(1), nullptr);
  EXPECT_EQ(log.oldest_end(), SteadyTime::max());
  EXPECT_EQ(log.first_id(), 0u);
  trim(0);
}

TEST_F(BroadcastLogTest, FindsByIdAcrossGaps) {
  const auto& two = run(2);
  const auto& five = run(5);
  const auto& nine = run(9);
  EXPECT_EQ(log.find(2), &two);
  EXPECT_EQ(log.find(5), &five);
  EXPECT_EQ(log.find(9), &nine);
  EXPECT_EQ(there(), "2 5 9 ");
  EXPECT_EQ(log.newest(), &nine);
  EXPECT_EQ(log.first_id(), 2u);
  EXPECT_EQ(log.last_id(), 9u);
}

TEST_F(BroadcastLogTest, TheBrokersOwnDisplaceNoOperatorsReportAndAreNeverTheNewest) {
  const auto& asked = run(1);
  end(1, 1);
  for (BroadcastId id = 2; id < 2 + BroadcastLog::kMaxOwnReports + 5; ++id) {
    run(id, 1, {}, true);
    EXPECT_EQ(log.running_own(), 1u);
    end(id, 2);
    trim(1);
  }
  EXPECT_EQ(log.running_own(), 0u);
  EXPECT_EQ(log.newest(), &asked);
  EXPECT_EQ(log.kept(), 1 + BroadcastLog::kMaxOwnReports);
  EXPECT_EQ(log.find(6), nullptr) << "the oldest of its own went";
  EXPECT_NE(log.find(7), nullptr);
  EXPECT_EQ(log.oldest_end(), at_second(1));
  trim(1, kMany, 1);
  EXPECT_EQ(log.newest(), nullptr);
  EXPECT_EQ(log.oldest_end(), at_second(2));
}

TEST_F(BroadcastLogTest, RunningAndKeptAreCounted) {
  run(1);
  run(2);
  run(3);
  EXPECT_EQ(log.running(), 3u);
  end(2, 5);
  EXPECT_EQ(log.running(), 2u);
  EXPECT_EQ(log.kept(), 1u);
  std::string running;
  log.for_each_running([&](const Broadcast& b) { running += std::to_string(b.id) + ' '; });
  EXPECT_EQ(running, "1 3 ");
}

TEST_F(BroadcastLogTest, TheFirstThatEndedGoesFirstAndWhatRunsStays) {
  for (const BroadcastId id : {1U, 2U, 3U, 4U}) run(id);
  end(3, 10);
  end(1, 20);
  end(4, 30);
  trim(2);
  EXPECT_EQ(there(), "1 2 4 ");
  trim(1);
  EXPECT_EQ(there(), "2 4 ");
  EXPECT_EQ(log.running(), 1u);
  trim(0);
  EXPECT_EQ(there(), "2 4 ") << "an operator is about to read the newest";
}

TEST_F(BroadcastLogTest, ReportsGoByAge) {
  for (const BroadcastId id : {1U, 2U, 3U}) run(id);
  end(2, 10);
  end(1, 20);
  EXPECT_EQ(log.oldest_end(), at_second(10));
  trim(kMany, kMany, 9);
  EXPECT_EQ(there(), "1 2 3 ");
  trim(kMany, kMany, 10);
  EXPECT_EQ(there(), "1 3 ");
  EXPECT_EQ(log.oldest_end(), at_second(20));
  trim(kMany, kMany, 1000);
  EXPECT_EQ(there(), "3 ");
  EXPECT_EQ(log.oldest_end(), SteadyTime::max());
}

TEST_F(BroadcastLogTest, ReportsGoBySizeButTheNewestStays) {
  run(1, 600);
  run(2, 300);
  end(1, 1);
  end(2, 2);
  trim(kMany, 900);
  EXPECT_EQ(there(), "1 2 ");
  trim(kMany, 899);
  EXPECT_EQ(there(), "2 ");
  trim(kMany, 10);
  EXPECT_EQ(there(), "2 ") << "somebody is about to read it";
  run(3, 5);
  end(3, 3);
  trim(kMany, 10);
  EXPECT_EQ(there(), "3 ");
}

TEST_F(BroadcastLogTest, TheDeadThatWereSkippedCountForTheSize) {
  auto& big = run(1, 0);
  big.skipped.resize(50);
  log.finished(big);
  run(2, 1);
  end(2, 2);
  trim(kMany, 50);
  EXPECT_EQ(there(), "2 ");
}

TEST_F(BroadcastLogTest, AnAddressIsGoodWhileItRuns) {
  auto* first = &run(1);
  for (BroadcastId id = 2; id < 500; ++id) {
    run(id);
    end(id, static_cast<int>(id));
    trim(3);
  }
  EXPECT_EQ(log.find(1), first);
  EXPECT_EQ(log.running(), 1u);
}

TEST_F(BroadcastLogTest, OneThatIsUsedAgainIsEmptyAndHasRoom) {
  auto& old = run(1, 400, "key");
  old.request.traceparent = "trace";
  old.skipped.resize(3);
  old.late.resize(2);
  old.text_of(7).note = "note";
  old.cancelling = true;
  end(1, 5);
  const auto* address = &old;
  trim(kMany, kMany, 5);
  auto& again = log.add(log.make(2));
  EXPECT_EQ(&again, address);
  EXPECT_EQ(again.id, 2u);
  EXPECT_TRUE(again.targets.empty());
  EXPECT_GE(again.targets.capacity(), 400u) << "a round allocates nothing for its targets";
  EXPECT_TRUE(again.skipped.empty());
  EXPECT_TRUE(again.texts.empty());
  EXPECT_TRUE(again.late.empty());
  EXPECT_EQ(again.acks, 0u);
  EXPECT_FALSE(again.cancelling);
  EXPECT_EQ(again.state, BroadcastState::kRunning);
  EXPECT_EQ(again.request.operation_key, "");
  EXPECT_EQ(again.request.traceparent, "");
}

TEST_F(BroadcastLogTest, AReportOfFewKeepsNoRoomForMany) {
  run(1, 10'000);
  end(1, 1);
  run(2);
  end(2, 2);
  trim(1);  // the first goes, and the next broadcast gets its room
  auto& next = run(3);
  EXPECT_GE(next.targets.capacity(), 10'000u);
  next.give_back_room();
  EXPECT_LE(next.targets.capacity(), 4u);
  EXPECT_EQ(next.targets.size(), 1u);
}

TEST_F(BroadcastLogTest, ABroadcastToAsManyAsBeforeKeepsItsRoom) {
  auto& broadcast = run(1, 1'000);
  const auto* const before = broadcast.targets.data();
  broadcast.give_back_room();
  EXPECT_EQ(broadcast.targets.data(), before);
}

}  // namespace
}  // namespace muster::core
