// The history's file: what it finds, what it drops, and what becomes of one that is damaged.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "musterd/history/history_store.h"
#include "musterd/history/local_users.h"
#include "musterd/history/sqlite.h"
#include "support/temp_dir.h"
#include "wire/history.h"
#include "wire/views.h"

namespace muster::daemon {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kHour = 3'600'000;
constexpr std::uint64_t kToday = 1'800'000'000'000;

BackendOutcome history_outcome_of(const std::string& service, OutcomeKind kind) {
  BackendOutcome outcome;
  outcome.key = {Instance::shared(), service, "1.0.0", {}};
  outcome.outcome = kind;
  if (kind == OutcomeKind::kFailure) outcome.reason = BroadcastFailureReason::kRejected;
  return outcome;
}

// Finished, all acked, by uid 77001, a second ago.
BroadcastReport history_report(BroadcastId id) {
  BroadcastReport report(BroadcastOperation::release_handles("/cache/" + std::to_string(id)));
  report.broadcast_id = id;
  report.state = BroadcastState::kFinished;
  report.backends = {history_outcome_of("zccache", OutcomeKind::kAck)};
  report.started_unix_ms = kToday - 1000;
  report.duration = 1500us;
  report.asked_by = Operator{77001, 4242, "musterctl"};
  return report;
}

HistoryRecord history_record(const BroadcastReport& report) {
  HistoryRecord record;
  record.id = report.broadcast_id;
  record.payload = std::make_shared<const std::string>(
      wire::payload_of_report(wire::message_of(report, wire::Texts::kAll)));
  return record;
}

class DaemonHistoryTest : public testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path file() const { return dir_ / kHistoryFileName; }

  HistoryStore& store() {
    if (!store_) {
      store_ = std::make_unique<HistoryStore>(dir_.path(), settings_, first_id_,
                                              [this] { return now_; });
    }
    return *store_;
  }
  // As a broker that ends, and another that starts.
  void restart(BroadcastId first_id) {
    store_.reset();
    first_id_ = first_id;
  }
  void write(const std::vector<BroadcastReport>& reports) {
    HistoryBatch batch;
    for (const BroadcastReport& report : reports) batch.records.push_back(history_record(report));
    store().write(batch);
  }
  void prune() {
    for (int i = 0; i < 10'000; ++i) {
      if (!store().prune()) return;
    }
    ADD_FAILURE() << "it prunes for ever";
  }
  // The ids, the newest first.
  std::string ids(const HistoryQuery& query = {}) {
    std::string text;
    for (const HistoryEntry& entry : store().find(query).broadcasts) {
      text += (text.empty() ? "" : " ") + std::to_string(entry.id);
    }
    return text;
  }
  std::string notes() {
    std::string text;
    for (const HistoryNote& note : store().take_notes()) text += note.text + '\n';
    return text;
  }

  test::TempDir dir_;
  HistorySettings settings_;
  BroadcastId first_id_ = 1;
  std::uint64_t now_ = kToday;
  std::unique_ptr<HistoryStore> store_;
};

TEST_F(DaemonHistoryTest, AnEntryHasAllThatTheReportSays) {
  BroadcastReport report = history_report(7);
  report.backends.push_back(history_outcome_of("soldr", OutcomeKind::kTimeout));
  report.backends.push_back(history_outcome_of("soldr", OutcomeKind::kFailure));
  report.backends.push_back(history_outcome_of("gone", OutcomeKind::kSkippedDead));
  report.late_acks = {{{Instance::shared(), "soldr", "1.0.0", {}}, 5ms, {}, {}}};
  report.operation_key = "nightly";
  report.backends_unknown = true;
  report.verify = true;
  report.verification.emplace().scan.verdict = HolderVerdict::kHeld;
  report.hold.emplace().ended = HoldEnd::kExpired;
  report.hold->violations.resize(2);
  write({report});
  const HistoryPage page = store().find({});
  ASSERT_EQ(page.broadcasts.size(), 1u);
  HistoryEntry want;
  want.id = 7;
  want.operation = "release-handles /cache/7";
  want.path = "/cache/7";
  want.asked_by = Operator{77001, 4242, "musterctl"};
  want.user = LocalUsers().name_of(77001);
  want.started_unix_ms = kToday - 1000;
  want.duration = 1500us;
  want.state = BroadcastState::kFinished;
  want.targets = 3;
  want.acks = 1;
  want.timeouts = 1;
  want.failures = 1;
  want.skipped_dead = 1;
  want.late_answers = 1;
  want.backends_unknown = true;
  want.verify = true;
  want.verdict = HolderVerdict::kHeld;
  want.hold = true;
  want.hold_ended = HoldEnd::kExpired;
  want.violations = 2;
  want.operation_key = "nightly";
  want.failed = true;
  EXPECT_TRUE(page.broadcasts[0] == want);
  EXPECT_FALSE(page.more);
  const auto kept = store().report(7);
  ASSERT_TRUE(kept);
  EXPECT_EQ(*kept, wire::message_of(report, wire::Texts::kAll));
  EXPECT_FALSE(store().report(8));
}

TEST_F(DaemonHistoryTest, WhatIsWrittenAgainTakesThePlaceOfWhatWasThere) {
  BroadcastReport report = history_report(7);
  report.state = BroadcastState::kRunning;
  report.backends[0].outcome = OutcomeKind::kOpen;
  write({report, history_report(8)});
  write({history_report(7)});
  EXPECT_EQ(ids(), "8 7");
  EXPECT_EQ(store().find({}).broadcasts[1].state, BroadcastState::kFinished);
  EXPECT_EQ(*store().report(7), wire::message_of(history_report(7), wire::Texts::kAll));
  HistoryBatch batch;
  batch.dropped = {8};
  store().write(batch);
  EXPECT_EQ(ids(), "7");
  EXPECT_FALSE(store().report(8));
}

TEST_F(DaemonHistoryTest, EachFilterSelectsWhatItSays) {
  std::vector<BroadcastReport> all;
  for (BroadcastId id = 1; id <= 6; ++id) {
    all.push_back(history_report(id));
    all.back().started_unix_ms = kToday - (7 - id) * kHour;
  }
  all[1].backends = {history_outcome_of("soldr", OutcomeKind::kTimeout),
                     history_outcome_of("zccache", OutcomeKind::kAck)};
  all[2].asked_by = Operator{0, 1, "cron"};
  all[3].asked_by.reset();  // the broker's shutdown
  all[4].backends.clear();
  all[5].state = BroadcastState::kRunning;
  all[5].backends[0].outcome = OutcomeKind::kOpen;
  BroadcastReport idle(BroadcastOperation::quiesce(QuiesceReason::kIdleTimeout));
  idle.broadcast_id = 9;
  idle.state = BroadcastState::kFinished;
  idle.started_unix_ms = kToday;
  idle.backends = {history_outcome_of("lazy", OutcomeKind::kAck)};
  all.push_back(idle);
  write(all);
  const auto with = [](auto&& change) {
    HistoryQuery query;
    change(query);
    return query;
  };
  EXPECT_EQ(ids(), "6 5 4 3 2 1");
  EXPECT_EQ(ids(with([](auto& q) { q.own = true; })), "9 6 5 4 3 2 1");
  EXPECT_EQ(ids(with([](auto& q) { q.since_unix_ms = kToday - 3 * kHour; })), "6 5 4");
  EXPECT_EQ(ids(with([](auto& q) { q.until_unix_ms = kToday - 3 * kHour; })), "3 2 1");
  EXPECT_EQ(ids(with([](auto& q) {
              q.since_unix_ms = kToday - 5 * kHour;
              q.until_unix_ms = kToday - 3 * kHour;
            })),
            "3 2");
  EXPECT_EQ(ids(with([](auto& q) { q.failed = true; })), "2");
  EXPECT_EQ(ids(with([](auto& q) { q.service = "soldr"; })), "2");
  EXPECT_EQ(ids(with([](auto& q) { q.service = "sold"; })), "");
  EXPECT_EQ(ids(with([](auto& q) { q.uid = 77001; })), "6 5 2 1");
  EXPECT_EQ(ids(with([](auto& q) { q.uid = 0; })), "3");
  EXPECT_EQ(ids(with([](auto& q) { q.user = "root"; })), "3");
  EXPECT_EQ(ids(with([](auto& q) { q.limit = 2; })), "6 5");
  EXPECT_EQ(ids(with([](auto& q) {
              q.uid = 77001;
              q.service = "zccache";
              q.limit = 3;
            })),
            "6 2 1");
  EXPECT_TRUE(store().find(with([](auto& q) { q.limit = 5; })).more);
  EXPECT_FALSE(store().find(with([](auto& q) { q.limit = 6; })).more);
}

// What must not be taken for a success, each by itself.
TEST_F(DaemonHistoryTest, WhatIsNoYesIsFailed) {
  std::vector<BroadcastReport> all;
  for (BroadcastId id = 1; id <= 7; ++id) all.push_back(history_report(id));
  all[0].backends.push_back(history_outcome_of("b", OutcomeKind::kFailure));
  all[1].backends_unknown = true;
  all[2].verify = true;  // and nobody looked
  all[3].verify = true;
  all[3].verification.emplace().scan.verdict = HolderVerdict::kUnknown;
  all[4].hold.emplace().more_violations = 1;
  all[5].interrupted = true;
  all[6].verify = true;
  all[6].verification.emplace().scan.verdict = HolderVerdict::kClear;
  write(all);
  HistoryQuery failed;
  failed.failed = true;
  EXPECT_EQ(ids(failed), "6 5 4 3 2 1");
}

TEST_F(DaemonHistoryTest, WhatRanWhenTheBrokerEndedIsInterruptedWithWhatWasKnown) {
  BroadcastReport running = history_report(7);
  running.state = BroadcastState::kRunning;
  running.backends.push_back(history_outcome_of("soldr", OutcomeKind::kOpen));
  BroadcastReport verifying = history_report(8);
  verifying.state = BroadcastState::kVerifying;
  verifying.verify = true;
  write({running, verifying, history_report(9)});
  // Of which only the beginning was written.
  HistoryRecord begun;
  begun.id = 10;
  BroadcastReport head = history_report(10);
  head.state = BroadcastState::kRunning;
  head.backends.clear();
  begun.payload = history_record(head).payload;
  begun.targets = 3;
  begun.skipped_dead = 1;
  HistoryBatch batch;
  batch.records = {begun};
  store().write(batch);

  restart(11);
  const auto entries = store().find({}).broadcasts;
  ASSERT_EQ(entries.size(), 4u);
  EXPECT_TRUE(entries[0].interrupted && entries[0].failed);
  EXPECT_EQ(entries[0].targets, 3u);
  EXPECT_EQ(entries[0].skipped_dead, 1u);
  EXPECT_FALSE(entries[1].interrupted || entries[1].failed);
  EXPECT_TRUE(entries[2].interrupted && entries[3].interrupted);
  EXPECT_EQ(entries[3].acks, 1u);
  EXPECT_EQ(entries[3].targets, 2u);
  EXPECT_EQ(notes(),
            "3 broadcasts in the history did not end before the broker did: they are "
            "interrupted\n");
  BroadcastReport want = running;
  want.interrupted = true;
  EXPECT_EQ(*store().report(7), wire::message_of(want, wire::Texts::kAll));
  EXPECT_EQ(*store().report(9), wire::message_of(history_report(9), wire::Texts::kAll));
}

TEST_F(DaemonHistoryTest, AHoldThatOutlivesItsBrokerEndsInTheHistory) {
  BroadcastReport report = history_report(7);
  report.hold.emplace().since_unix_ms = kToday;
  report.hold->violations.resize(1);
  write({report});
  restart(8);
  HoldState violated;
  violated.violations.resize(1);
  HoldState ended;
  ended.ended = HoldEnd::kExpired;
  ended.ended_unix_ms = kToday + 1;
  HistoryBatch batch;
  batch.holds = {{7, violated}, {7, ended}, {6, ended}};
  store().write(batch);
  EXPECT_EQ(ids(), "7");
  const HistoryEntry entry = store().find({}).broadcasts.at(0);
  EXPECT_EQ(entry.hold_ended, HoldEnd::kExpired);
  EXPECT_EQ(entry.violations, 2u);
  EXPECT_TRUE(entry.failed);
  EXPECT_EQ(entry.acks, 1u);
  wire::ReportDigest digest;
  EXPECT_EQ(wire::digest_report(*store().report(7), digest), "");
  EXPECT_EQ(digest.entry.violations, 2u);
}

TEST_F(DaemonHistoryTest, WhatRunsNowIsNotInterruptedWhenTheFileIsOpenedAgain) {
  BroadcastReport running = history_report(11);
  running.state = BroadcastState::kRunning;
  first_id_ = 11;
  write({running});
  restart(11);  // the same broker: the file was closed after an error
  EXPECT_FALSE(store().find({}).broadcasts.at(0).interrupted);
  EXPECT_EQ(notes(), "");
}

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

TEST_F(DaemonHistoryTest, RefusalsOfOneProcessAreCountedAndListedByUser) {
  HistoryRefusal refusal;
  refusal.first_unix_ms = refusal.last_unix_ms = kToday;
  refusal.uid = 77001;
  refusal.pid = 4711;
  refusal.command = "zccache";
  refusal.key = "zccache 1.0.0";
  refusal.why = "too many";
  HistoryBatch batch;
  batch.refusals = {refusal};
  store().write(batch);
  batch.refusals[0].first_unix_ms = batch.refusals[0].last_unix_ms = kToday + 60'000;
  batch.refusals[0].times = 3;
  store().write(batch);
  HistoryRefusal other = refusal;
  other.uid = 0;
  other.why = "not allowed";
  batch.refusals = {other};
  store().write(batch);
  batch.refusals = {refusal};  // a day later it is told apart
  batch.refusals[0].first_unix_ms = batch.refusals[0].last_unix_ms = kToday + 24 * kHour;
  store().write(batch);

  HistoryQuery query;
  query.refusals = true;
  const auto all = store().find(query).refusals;
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].first_unix_ms, kToday + 24 * kHour);
  EXPECT_EQ(all[1].user, "root");
  EXPECT_EQ(all[2].times, 4u);
  EXPECT_EQ(all[2].first_unix_ms, kToday);
  EXPECT_EQ(all[2].last_unix_ms, kToday + 60'000);
  EXPECT_EQ(all[2].command, "zccache");
  EXPECT_EQ(all[2].key, "zccache 1.0.0");
  query.uid = 0;
  EXPECT_EQ(store().find(query).refusals.at(0).why, "not allowed");
  query.uid.reset();
  query.since_unix_ms = kToday + kHour;
  EXPECT_EQ(store().find(query).refusals.size(), 1u);
  // Those of one user push out its own.
  batch.refusals.clear();
  for (int i = 0; i < 12'000; ++i) {
    batch.refusals.push_back(refusal);
    batch.refusals.back().pid = 10'000 + i;
  }
  store().write(batch);
  prune();
  query = {};
  query.refusals = true;
  query.uid = 0;
  EXPECT_EQ(store().find(query).refusals.size(), 1u);
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

TEST(LocalUsersTest, AreThoseOfTheFileAsItIsNow) {
  const test::TempDir dir;
  const auto file = dir / "passwd";
  LocalUsers users(file);
  EXPECT_EQ(users.name_of(0), "");
  std::ofstream(file) << "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\n"
                         "alice:x:1000:1000::/home/alice:/bin/sh\n";
  EXPECT_EQ(users.name_of(0), "root");
  EXPECT_EQ(users.name_of(1000), "alice");
  EXPECT_EQ(users.name_of(1001), "");
  std::ofstream(file, std::ios::app) << "bob:x:1001:1001::/home/bob:/bin/sh\n";
  EXPECT_EQ(users.name_of(1001), "bob");
}

}  // namespace
}  // namespace muster::daemon
