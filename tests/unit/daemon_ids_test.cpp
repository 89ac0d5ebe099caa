// Broadcast ids: unique across restarts, crashes, damaged files and clocks that go back.
#include <chrono>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <sys/stat.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include "log/log.h"
#include "state/broadcast_ids.h"
#include "state/id_allocator.h"
#include "state/id_mark.h"
#include "support/temp_dir.h"

namespace muster::daemon {
namespace {

constexpr std::uint64_t kNow = 1'800'000'000;  // seconds since 1970

std::string contents(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

void put(const std::filesystem::path& file, std::string_view text) {
  std::ofstream(file, std::ios::binary) << text;
}

TEST(DaemonIdAllocator, BeginsAtTheMarkOrTheClockWhicheverIsMore) {
  EXPECT_EQ(IdAllocator(std::nullopt, kNow).take(), kNow);
  EXPECT_EQ(IdAllocator(IdMark{5, 10}, kNow).take(), kNow);
  EXPECT_EQ(IdAllocator(IdMark{5, kNow + 10}, kNow).take(), kNow + 10);
  EXPECT_EQ(IdAllocator(std::nullopt, 0).take(), 1U) << "0 is no broadcast";
}

TEST(DaemonIdAllocator, CountsUpByOneAndRemembersTheFirst) {
  IdAllocator ids(IdMark{5, 10}, 7);
  EXPECT_EQ(ids.take(), 10U);
  EXPECT_EQ(ids.take(), 11U);
  EXPECT_EQ(ids.first(), 5U);
  EXPECT_EQ(ids.exact(), (IdMark{5, 12}));
  EXPECT_EQ(IdAllocator(std::nullopt, 7).first(), 7U);
}

TEST(DaemonIdAllocator, ReservesAheadAndOnceAtATime) {
  IdAllocator ids(std::nullopt, 100);
  const auto first = ids.reserve();
  ASSERT_EQ(first, (IdMark{100, 1124}));
  EXPECT_EQ(ids.reserve(), std::nullopt) << "one is on its way";
  ids.reserved(*first);
  EXPECT_EQ(ids.reserve(), std::nullopt);
  for (int i = 0; i < 512; ++i) ids.take();
  EXPECT_EQ(ids.reserve(), std::nullopt) << "half of the block is left";
  ids.take();
  EXPECT_EQ(ids.reserve(), (IdMark{100, 613 + 1024}));
}

TEST(DaemonIdAllocator, AsksAgainAfterAFailureButNotForEveryId) {
  IdAllocator ids(std::nullopt, 100);
  ASSERT_TRUE(ids.reserve());
  ids.reservation_failed();
  int asked = 0;
  for (int i = 0; i < 640; ++i) {
    ids.take();
    if (!ids.reserve()) continue;
    ++asked;
    ids.reservation_failed();
  }
  EXPECT_EQ(asked, 10);
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
    std::unique_ptr<BroadcastIds> ids;
    ~Run() { ids.reset(); }
  };

  // Starts a broker at that time.
  std::unique_ptr<Run> start(std::uint64_t unix_seconds) {
    auto run = std::make_unique<Run>();
    auto opened = BroadcastIds::open(run->loop.get_executor(), state_dir_, log_, unix_seconds);
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
  run->ids->close();
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

TEST_F(DaemonIdsTest, TheMarkStaysAheadOfWhatIsGivenOut) {
  auto run = start(kNow);
  BroadcastId last = run->ids->next();
  for (int block = 0; block < 4; ++block) {
    ASSERT_EQ(run->loop.run_one_for(std::chrono::hours(1)), 1U) << "the writer's word";
    EXPECT_GT(parse_mark(contents(file()))->next, last);
    for (BroadcastId i = 0; i < IdAllocator::kBlock / 2 + 1; ++i) last = run->ids->next();
  }
  run.reset();
  EXPECT_GT(start(kNow)->ids->next(), last);
}

TEST_F(DaemonIdsTest, AClockThatGoesBackRepeatsNoId) {
  auto run = start(kNow);
  const BroadcastId before = run->ids->next();
  run.reset();
  run = start(kNow - 86'400);
  EXPECT_GT(run->ids->next(), before);
  EXPECT_EQ(run->ids->first_ever(), kNow);
}

TEST_F(DaemonIdsTest, ADamagedFileIsToldAndTheClockCounts) {
  start(kNow - 100);
  put(file(), "muster broadcast ids 1\nfirst garb");
  const auto run = start(kNow);
  EXPECT_EQ(run->ids->next(), kNow);
  EXPECT_EQ(logged(),
            "<4>broadcast ids go on from the clock: the file with the last one is of no use file=" +
                file().native() + " why=\"is damaged\"\n");
  EXPECT_TRUE(parse_mark(contents(file()))) << "a good one stands there now";
}

TEST_F(DaemonIdsTest, WhatIsNoFileIsToldAndStopsNobody) {
  std::filesystem::create_directories(file());
  const auto run = start(kNow);
  EXPECT_EQ(run->ids->next(), kNow);
  EXPECT_EQ(run->ids->next(), kNow + 1);
  EXPECT_NE(logged().find("cannot be read: Is a directory"), std::string::npos) << logged();
  EXPECT_NE(logged().find("cannot be written"), std::string::npos) << logged();
}

TEST_F(DaemonIdsTest, ADirectoryThatCannotBeMadeIsToldOnceAndStopsNobody) {
  put(dir_ / "file", "");
  state_dir_ = dir_ / "file" / "state";
  const auto run = start(kNow);
  for (BroadcastId i = 0; i < 1000; ++i) {
    EXPECT_EQ(run->ids->next(), kNow + i);
    run->loop.poll();
  }
  run->ids->close();
  EXPECT_EQ(logged(),
            "<4>broadcast ids cannot be written down; they stay unique while fewer than one "
            "broadcast a second is started file=" +
                file().native() + " why=\"cannot make " + state_dir_.native() +
                ": Not a directory\"\n");
}

TEST_F(DaemonIdsTest, WritingThatWorksAgainIsTold) {
  put(dir_ / "state", "in the way");
  const auto run = start(kNow);
  static_cast<void>(run->ids->next());
  std::filesystem::remove(dir_ / "state");
  std::filesystem::create_directory(dir_ / "state");
  run->ids->close();
  EXPECT_NE(logged().find("<6>broadcast ids are written down again"), std::string::npos)
      << logged();
  EXPECT_EQ(parse_mark(contents(file())), (IdMark{kNow, kNow + 1}));
}

TEST_F(DaemonIdsTest, ABlockIsWrittenDownByTheOtherThreadAndComesBackToTheLoop) {
  const auto run = start(kNow);
  static_cast<void>(run->ids->next());
  run->ids->close();  // joins the writer, whose word waits in the loop
  EXPECT_EQ(run->loop.poll(), 1U);
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
  EXPECT_EQ(problem_, "another broker keeps its state in " + state_dir_.native() +
                          ": two of them would give out the same broadcast ids; choose another "
                          "directory with --state-dir");
}

TEST_F(DaemonIdsTest, WithoutADirectoryTheSentenceSaysHowToNameOne) {
  state_dir_.clear();
  EXPECT_EQ(start(kNow)->ids->next(), kNow);
  EXPECT_NE(logged().find("--state-dir"), std::string::npos) << logged();
}

}  // namespace
}  // namespace muster::daemon
