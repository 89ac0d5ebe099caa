// The history's file: what it drops when it is old or large, and what becomes of one that is
// damaged, deleted or another one's.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "musterd/history/sqlite.h"
#include "unit/daemon_history_fixture.h"

namespace muster::daemon {
namespace {

using namespace std::chrono_literals;

TEST_F(DaemonHistoryTest, WhatIsTooOldGoes) {
  settings_.keep_age = 48h;
  std::vector<BroadcastReport> all;
  for (BroadcastId id = 1; id <= 100; ++id) {
    all.push_back(history_report(id));
    all.back().started_unix_ms = kToday - (100 - id) * kHour;
  }
  write(all);
  prune();
  HistoryQuery query;
  query.limit = 1000;
  EXPECT_EQ(store().find(query).broadcasts.size(), 49u);
  EXPECT_EQ(store().find(query).broadcasts.back().id, 52u);
  EXPECT_FALSE(store().report(51));
  now_ += 1000 * kHour;
  prune();
  EXPECT_EQ(ids(), "");
}

// A report of about so many bytes.
BroadcastReport large_report(BroadcastId id, std::size_t bytes) {
  BroadcastReport report = history_report(id);
  for (std::size_t i = 0; i < bytes / 1024; ++i) {
    report.backends.push_back(history_outcome_of("zccache", OutcomeKind::kFailure));
    report.backends.back().detail = std::string(1000, 'x');
  }
  return report;
}

TEST_F(DaemonHistoryTest, TheFileStaysAsLargeAsItMayBe) {
  settings_.keep_bytes = 2U << 20U;
  std::uintmax_t most = 0;
  for (BroadcastId id = 1; id <= 200; ++id) {
    write({large_report(id, 100 * 1024)});
    prune();
    most = std::max(most, std::filesystem::file_size(file()));
  }
  const auto entries = store().find({}).broadcasts;
  ASSERT_FALSE(entries.empty());
  EXPECT_EQ(entries.front().id, 200u);
  EXPECT_GE(entries.size(), 10u);  // about 20 fit
  EXPECT_LE(entries.size(), 21u);
  store_.reset();  // what is in the log beside it goes into it
  most = std::max(most, std::filesystem::file_size(file()));
  EXPECT_LE(most, 4U << 20U);
  // A smaller bound makes it smaller.
  settings_.keep_bytes = 1U << 20U;
  restart(1);
  for (int i = 0; i < 100; ++i) (void)store().prune();
  store_.reset();
  EXPECT_LE(std::filesystem::file_size(file()), 2U << 20U);
}

TEST_F(DaemonHistoryTest, AUserPushesOutItsOwnAndNobodyElses) {
  settings_.keep_bytes = 1U << 20U;
  BroadcastReport of_other = large_report(1, 100 * 1024);
  of_other.asked_by->uid = 77002;
  BroadcastReport of_root = large_report(2, 100 * 1024);
  of_root.asked_by->uid = 0;
  write({of_other, of_root});
  for (BroadcastId id = 3; id <= 40; ++id) {
    write({large_report(id, 100 * 1024)});
    prune();
  }
  EXPECT_TRUE(store().report(1));
  EXPECT_TRUE(store().report(2));
  EXPECT_FALSE(store().report(3));
  EXPECT_TRUE(store().report(40));
}

TEST_F(DaemonHistoryTest, QuiescesOfIdleBackendsPushOutNothingElse) {
  settings_.keep_bytes = 4U << 20U;
  write({history_report(1)});
  std::vector<BroadcastReport> idle;
  for (BroadcastId id = 2; id <= 3000; ++id) {
    BroadcastReport report(BroadcastOperation::quiesce(QuiesceReason::kIdleTimeout));
    report.broadcast_id = id;
    report.state = BroadcastState::kFinished;
    report.started_unix_ms = kToday;
    report.backends = {history_outcome_of("lazy", OutcomeKind::kAck)};
    idle.push_back(std::move(report));
  }
  write(idle);
  prune();
  EXPECT_EQ(ids(), "1");
  HistoryQuery query;
  query.own = true;
  query.limit = 1000;
  const auto all = store().find(query).broadcasts;
  EXPECT_LE(all.size(), HistoryStore::kMostOwn + 1);
  EXPECT_GE(all.size(), 300u);
  EXPECT_EQ(all.front().id, 3000u);
}

TEST_F(DaemonHistoryTest, IsItsOwnersAlone) {
  ::umask(0);
  write({history_report(1)});
  ::umask(022);
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
    struct stat found {};
    ASSERT_EQ(::stat(entry.path().c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 07777, 0600u) << entry.path();
  }
  store_.reset();
  ASSERT_EQ(::chmod(file().c_str(), 0644), 0);
  EXPECT_EQ(ids(), "1");
  struct stat found {};
  ASSERT_EQ(::stat(file().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0600u);
}

TEST_F(DaemonHistoryTest, FollowsNoLinkAndTakesNoOtherKindOfFile) {
  std::filesystem::create_symlink(dir_ / "elsewhere", file());
  EXPECT_THROW(write({history_report(1)}), SqlError);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "elsewhere"));
  std::filesystem::remove(file());
  std::filesystem::create_directory(file());
  EXPECT_THROW(write({history_report(1)}), SqlError);
  std::filesystem::remove(file());
  write({history_report(1)});
  EXPECT_EQ(ids(), "1");
}

TEST_F(DaemonHistoryTest, AFileThatIsNoneIsSetAsideAndANewOneIsBegun) {
  std::ofstream(file()) << std::string(10'000, 'x');
  write({history_report(1)});
  EXPECT_EQ(ids(), "1");
  EXPECT_NE(notes().find("is damaged"), std::string::npos);
  EXPECT_EQ(std::filesystem::file_size(dir_ / kDamagedHistoryName), 10'000u);
}

TEST_F(DaemonHistoryTest, AFileThatIsDamagedInTheMiddleIsSetAsideWhenThatIsFound) {
  for (BroadcastId id = 1; id <= 50; ++id) write({large_report(id, 20 * 1024)});
  store_.reset();
  const auto size = std::filesystem::file_size(file());
  {
    std::fstream bytes(file(), std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(4096);  // all but the first page
    const std::string garbage(size - 4096, '\xA5');
    bytes.write(garbage.data(), static_cast<std::streamsize>(garbage.size()));
  }
  write({history_report(99)});
  EXPECT_EQ(ids(), "99");
  EXPECT_TRUE(std::filesystem::exists(dir_ / kDamagedHistoryName));
}

TEST_F(DaemonHistoryTest, AFileThatWasDeletedIsBegunAnew) {
  write({history_report(1)});
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
    std::filesystem::remove(entry.path());
  }
  store().look_after();
  EXPECT_NE(notes().find("was deleted"), std::string::npos);
  write({history_report(2)});
  restart(3);
  EXPECT_EQ(ids(), "2");
}

TEST_F(DaemonHistoryTest, AnotherOnesDatabaseAndANewerOneAreLeftAsTheyAre) {
  {
    SqlDatabase other(file());
    other.run("CREATE TABLE precious (x); INSERT INTO precious VALUES (1)");
  }
  EXPECT_THROW(write({history_report(1)}), SqlError);
  EXPECT_EQ(SqlDatabase(file()).number_of("SELECT x FROM precious"), 1);
  std::filesystem::remove(file());
  write({history_report(1)});
  store_.reset();
  SqlDatabase(file()).run("PRAGMA user_version = 99");
  EXPECT_THROW((void)ids(), SqlError);
  SqlDatabase(file()).run("PRAGMA user_version = 1");
  EXPECT_EQ(ids(), "1");
}

}  // namespace
}  // namespace muster::daemon
