// Broadcast ids: unique across restarts, crashes, damaged files and clocks that go back.
#include <chrono>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include "musterd/log/log.h"
#include "musterd/state/broadcast_ids.h"
#include "support/temp_dir.h"

namespace muster::daemon {
namespace {

constexpr std::uint64_t kNow = 1'800'000'000;  // seconds since 1970
constexpr std::uint64_t kNowMs = kNow * 1000;

std::string contents(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

void put(const std::filesystem::path& file, std::string_view text) {
  std::ofstream(file, std::ios::binary) << text;
}

TEST(DaemonIdAllocator, BeginsAtTheMarkOrTheClockWhicheverIsMore) {
  const auto begins = [](std::optional<IdMark> mark, bool lost, std::uint64_t ms) {
    return IdAllocator(mark, lost, ms).next();
  };
  EXPECT_EQ(begins(std::nullopt, false, kNowMs), kNow);
  EXPECT_EQ(begins(IdMark{5, 10}, false, kNowMs), kNow);
  EXPECT_EQ(begins(IdMark{5, kNow + 10}, false, kNowMs), kNow + 10);
  EXPECT_EQ(begins(std::nullopt, false, 0), 1U) << "0 is no broadcast";
  EXPECT_EQ(begins(std::nullopt, true, kNowMs), kNowMs * 2048) << "nobody knows what was given out";
}

TEST(DaemonIdAllocator, CountsUpByOneWhatIsCoveredAndRemembersTheFirst) {
  IdAllocator ids(IdMark{5, 10}, false, 7000);
  ids.reserved(*ids.reserve());
  EXPECT_EQ(ids.take(7000).id, 10U);
  EXPECT_EQ(ids.take(9'000'000).id, 11U) << "the clock does not count";
  EXPECT_EQ(ids.first(), 5U);
  EXPECT_EQ(ids.exact(), (IdMark{5, 12}));
  EXPECT_EQ(IdAllocator(std::nullopt, false, 7000).first(), 7U);
}

TEST(DaemonIdAllocator, ReservesLongBeforeABlockIsUsedUpAndOnceAtATime) {
  IdAllocator ids(std::nullopt, false, 100'000);
  const auto first = ids.reserve();
  ASSERT_EQ(first, (IdMark{100, 100 + IdAllocator::kBlock}));
  EXPECT_EQ(ids.reserve(), std::nullopt) << "one is on its way";
  ids.reserved(*first);
  for (BroadcastId i = 0; i < IdAllocator::kAskAfter; ++i) {
    EXPECT_EQ(ids.reserve(), std::nullopt) << i;
    EXPECT_TRUE(ids.take(0).covered);
  }
  EXPECT_EQ(ids.reserve(), (IdMark{100, 100 + IdAllocator::kAskAfter + IdAllocator::kBlock}));
}

TEST(DaemonIdAllocator, WithoutABlockIdsComeFromTheMomentAndAreNotCovered) {
  IdAllocator ids(IdMark{5, kNow + 10}, false, kNowMs);
  const auto mark = ids.reserve();
  ids.reserved(*mark);
  for (BroadcastId i = 0; i < IdAllocator::kBlock; ++i) ASSERT_TRUE(ids.take(kNowMs).covered);
  const auto bare = ids.take(kNowMs);
  EXPECT_FALSE(bare.covered);
  EXPECT_EQ(bare.id, kNowMs * 2048);
  EXPECT_EQ(ids.take(kNowMs).id, bare.id + 1);
  EXPECT_EQ(ids.take(kNowMs - 3'600'000).id, bare.id + 2)
      << "ids only grow, whatever the clock does";

  // A block that was on its way meanwhile is below: it covers nothing.
  ids.reserved(IdMark{5, mark->next + 1});
  EXPECT_FALSE(ids.take(kNowMs).covered);
  const auto next = ids.reserve();
  ASSERT_TRUE(next);
  EXPECT_GT(next->next, bare.id);
  ids.reserved(*next);
  EXPECT_TRUE(ids.take(kNowMs).covered);

  // A crash before: what is counted up from the old mark does not get there.
  IdAllocator later(mark, false, kNowMs + 5);
  later.reserved(*later.reserve());
  EXPECT_LT(later.take(kNowMs).id, bare.id);
  // Nor does another range of a later moment.
  IdAllocator failing_again(mark, false, kNowMs + 5);
  EXPECT_GT(failing_again.take(kNowMs + 5).id, bare.id + 4);
}

TEST(DaemonIdAllocator, AsksAgainAfterAFailure) {
  IdAllocator ids(std::nullopt, false, 100'000);
  ASSERT_TRUE(ids.reserve());
  ids.reservation_failed();
  EXPECT_TRUE(ids.reserve());
}

TEST(DaemonIdMark, IsReadAsItIsWritten) {
  const IdMark mark{1'764'000'000, 1'764'001'024};
  EXPECT_EQ(format_mark(mark), "muster broadcast ids 1\nfirst 1764000000\nnext 1764001024\n");
  EXPECT_EQ(parse_mark(format_mark(mark)), mark);
}

TEST(DaemonIdMark, WhatIsDamagedIsNoMark) {
  for (const char* text :
       {"", "\n", "muster broadcast ids 1\n", "muster broadcast ids 1\nfirst 1\nnext 2",
        "muster broadcast ids 2\nfirst 1\nnext 2\n", "muster broadcast ids 1\nfirst 3\nnext 2\n",
        "muster broadcast ids 1\nfirst 0\nnext 2\n", "muster broadcast ids 1\nfirst -1\nnext 2\n",
        "muster broadcast ids 1\nfirst 1\nnext 2\nmore\n",
        "muster broadcast ids 1\nfirst 1\nnext \n",
        "muster broadcast ids 1\nfirst 1\nnext 18446744073709551616\n",
        "muster broadcast ids 1\nfirst 1\nnext 18446744073709551615\n",
        "muster broadcast ids 1\nfirst 1\nnext 4611686018427387905\n"}) {
    EXPECT_EQ(parse_mark(text), std::nullopt) << text;
  }
}

// One run of a broker after the other over the same directory.
class DaemonIdsTest : public ::testing::Test {
 protected:
  struct Run {
    asio::io_context loop;
    // As in the daemon: a loop that has something to do, and does not end by itself.
    asio::executor_work_guard<asio::io_context::executor_type> busy{loop.get_executor()};
    Worker worker{loop.get_executor()};
    std::unique_ptr<BroadcastIds> ids;
    ~Run() { ids.reset(); }
  };

  // Starts a broker at that time.
  std::unique_ptr<Run> start(std::uint64_t unix_seconds) {
    auto run = std::make_unique<Run>();
    auto opened = BroadcastIds::open(run->loop.get_executor(), run->worker, state_dir_, log_,
                                     [unix_seconds] { return unix_seconds * 1000; });
    problem_ = opened.problem;
    run->ids = std::move(opened.ids);
    return run;
  }
  [[nodiscard]] std::filesystem::path file() const { return state_dir_ / kIdFileName; }
  [[nodiscard]] std::string logged() const { return text_.str(); }

  test::TempDir dir_;
  std::filesystem::path state_dir_ = dir_ / "state";
  std::ostringstream text_;
  Log log_{std::make_shared<spdlog::sinks::ostream_sink_mt>(text_), {}, Log::Reader::kJournal};
  std::string problem_;
};

TEST_F(DaemonIdsTest, ACleanRestartGoesOnWithTheNextId) {
  auto run = start(kNow);
  EXPECT_EQ(run->ids->next(), kNow);
  EXPECT_EQ(run->ids->next(), kNow + 1);
  EXPECT_TRUE(run->ids->close(std::chrono::hours(1)));
  run.reset();
  run = start(kNow);
  EXPECT_EQ(run->ids->next_at_start(), kNow + 2);
  EXPECT_EQ(run->ids->next(), kNow + 2);
  EXPECT_EQ(run->ids->first_ever(), kNow);
  EXPECT_EQ(logged(), "");
}

TEST_F(DaemonIdsTest, ACrashRepeatsNoIdEvenWithinTheSameSecond) {
  std::set<BroadcastId> given;
  for (int crash = 0; crash < 20; ++crash) {
    const auto run = start(kNow);
    for (int i = 0; i < crash * 50; ++i) EXPECT_TRUE(given.insert(run->ids->next()).second);
  }
  EXPECT_EQ(parse_mark(contents(file()))->first, kNow);
}

// Read from the disk at every id: whatever the moment of a crash, a mark is above it.
TEST_F(DaemonIdsTest, TheMarkOnDiskIsAboveEveryIdOfABurst) {
  auto run = start(kNow);
  EXPECT_EQ(parse_mark(contents(file())), (IdMark{kNow, kNow + IdAllocator::kBlock}))
      << "before the first id";
  BroadcastId last = 0;
  for (unsigned i = 0; i < 5000; ++i) {
    last = run->ids->next();
    ASSERT_EQ(last, kNow + i);
    ASSERT_TRUE(run->ids->last_is_durable());
    ASSERT_GT(parse_mark(contents(file()))->next, last);
    if (i % 1000 == 999) run->loop.poll();
  }
  run.reset();
  EXPECT_GT(start(kNow)->ids->next(), last);
  EXPECT_EQ(logged(), "");
}

TEST_F(DaemonIdsTest, AClockThatGoesBackRepeatsNoId) {
  auto run = start(kNow);
  const BroadcastId before = run->ids->next();
  run.reset();
  run = start(kNow - 86'400);
  EXPECT_GT(run->ids->next(), before);
  EXPECT_EQ(run->ids->first_ever(), kNow);
}

TEST_F(DaemonIdsTest, ADamagedFileIsToldAndIdsGoOnAboveAllThatTheClockGave) {
  start(kNow - 100);
  put(file(), "muster broadcast ids 1\nfirst garb");
  const auto run = start(kNow);
  EXPECT_EQ(run->ids->next(), kNowMs * 2048);
  EXPECT_TRUE(run->ids->last_is_durable());
  EXPECT_EQ(logged(), "<4>id file unusable: new broadcast ids are made from the clock file=" +
                          file().native() + " why=\"is damaged\"\n");
  EXPECT_TRUE(parse_mark(contents(file()))) << "a good one stands there now";
}

TEST_F(DaemonIdsTest, WhatIsNoFileIsToldAndStopsNobody) {
  std::filesystem::create_directories(file());
  const auto run = start(kNow);
  EXPECT_EQ(run->ids->next(), kNowMs * 2048);
  EXPECT_FALSE(run->ids->last_is_durable());
  EXPECT_EQ(run->ids->next(), kNowMs * 2048 + 1);
  EXPECT_NE(logged().find("cannot be read: Is a directory"), std::string::npos) << logged();
  EXPECT_NE(logged().find("cannot be written"), std::string::npos) << logged();
}

TEST_F(DaemonIdsTest, ADirectoryThatCannotBeMadeIsToldOnceAndStopsNobody) {
  put(dir_ / "file", "");
  state_dir_ = dir_ / "file" / "state";
  const auto run = start(kNow);
  for (BroadcastId i = 0; i < 1000; ++i) {
    EXPECT_EQ(run->ids->next(), kNowMs * 2048 + i);
    EXPECT_FALSE(run->ids->last_is_durable());
    run->loop.poll();
  }
  const std::string why = "cannot make " + state_dir_.native() + ": Not a directory";
  EXPECT_EQ(run->ids->problem(), "broadcast ids cannot be written: " + file().native() + ' ' + why +
                                     ": make room or repair the disk");
  EXPECT_TRUE(run->ids->close(std::chrono::hours(1)));
  EXPECT_EQ(logged(),
            "<4>cannot write broadcast ids: when the reserved ones are used up, ids come from the "
            "clock and are not durable file=" +
                file().native() + " why=\"" + why + "\"\n");
}

TEST_F(DaemonIdsTest, WritingThatWorksAgainIsToldAndCoversWhatWasGivenOut) {
  put(dir_ / "state", "in the way");
  auto run = start(kNow);
  const BroadcastId bare = run->ids->next();
  std::filesystem::remove(dir_ / "state");
  std::filesystem::create_directory(dir_ / "state");
  // By itself: nobody asks for an id meanwhile.
  while (!run->ids->problem().empty()) ASSERT_EQ(run->loop.run_one_for(std::chrono::hours(1)), 1U);
  EXPECT_NE(logged().find("<6>broadcast ids can be written again"), std::string::npos) << logged();
  EXPECT_TRUE(run->ids->last_is_durable());
  EXPECT_GT(parse_mark(contents(file()))->next, bare);
  EXPECT_TRUE(run->ids->close(std::chrono::hours(1)));
  EXPECT_EQ(parse_mark(contents(file())), (IdMark{bare, bare + 1}));
}

TEST_F(DaemonIdsTest, TheFileAndItsDirectoryAreTheirOwnersAlone) {
  start(kNow);
  struct stat found {};
  ASSERT_EQ(::stat(file().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0600U);
  ASSERT_EQ(::stat(state_dir_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0700U);
}

TEST_F(DaemonIdsTest, TwoBrokersDoNotShareADirectory) {
  const auto run = start(kNow);
  const auto second = start(kNow);
  EXPECT_EQ(second->ids, nullptr);
  EXPECT_EQ(problem_, "another broker (pid " + std::to_string(::getpid()) +
                          ") keeps its state in " + state_dir_.native() +
                          ": two of them would give out the same broadcast ids; choose another "
                          "directory with --state-dir");
}

TEST_F(DaemonIdsTest, WithoutADirectoryTheSentenceSaysHowToNameOne) {
  state_dir_.clear();
  EXPECT_EQ(start(kNow)->ids->next(), kNowMs * 2048);
  EXPECT_NE(logged().find("--state-dir"), std::string::npos) << logged();
}

}  // namespace
}  // namespace muster::daemon
