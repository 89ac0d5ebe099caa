// What the history finds of what was written, and which user it names.
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "musterd/history/local_users.h"
#include "unit/daemon_history_fixture.h"

namespace muster::daemon {
namespace {

using namespace std::chrono_literals;

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

TEST_F(DaemonHistoryTest, AHoldWhoseEndWasNotWrittenHasEndedUnseen) {
  const auto held = [](BroadcastId id) {
    BroadcastReport report = history_report(id);
    report.hold.emplace().since_unix_ms = kToday;
    report.hold->violations.resize(id == 6 ? 1 : 0);
    return report;
  };
  BroadcastReport ended = held(5);
  ended.hold->ended = HoldEnd::kCompleted;
  write({history_report(4), ended, held(6), held(7), held(8)});
  restart(8);  // 8 is of the new broker
  store().holds_go_on({7});
  std::vector<std::string> ends;
  for (const HistoryEntry& entry : store().find({}).broadcasts) {
    ends.push_back(std::to_string(entry.id) + ' ' + std::to_string(entry.violations) + ' ' +
                   (entry.hold_ended ? std::string(to_string(*entry.hold_ended)) : "-"));
  }
  EXPECT_EQ(ends,
            (std::vector<std::string>{"8 0 -", "7 0 -", "6 1 unseen", "5 0 completed", "4 0 -"}));
  wire::ReportDigest digest;
  EXPECT_EQ(wire::digest_report(*store().report(6), digest), "");
  EXPECT_EQ(digest.entry.hold_ended, HoldEnd::kUnseen);
}

TEST_F(DaemonHistoryTest, WhereHoldsAreNotKnownTheyStayAsTheyWere) {
  BroadcastReport report = history_report(7);
  report.hold.emplace().since_unix_ms = kToday;
  write({report});
  restart(8);
  EXPECT_EQ(store().find({}).broadcasts.at(0).hold_ended, std::nullopt);
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
