// What the reports of each user take, and whose go when there is too much of them.
#include <cstddef>
#include <malloc.h>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/broker.h"
#include "core/report_bytes.h"
#include "support/allocations.h"
#include "support/keeping_shell.h"

namespace muster::core {
namespace {

using test::KeepingShell;

constexpr uid_t kRoot = 0;
constexpr uid_t kAnna = 54'321;
constexpr uid_t kBert = 54'322;

class CoreReportBytesTest : public ::testing::Test {
 protected:
  void start() { broker.emplace(config, shell); }

  ConnectionId join(const std::string& service, bool is_large = false, uid_t uid = kAnna) {
    const ConnectionId id{++last_slot_, 1};
    EXPECT_TRUE(
        broker->connection_opened(id, {{static_cast<pid_t>(last_slot_), 1}, uid, uid}, now));
    Registration registration;
    registration.key = {Instance::shared(), service, "1.0.0", ""};
    if (is_large) {
      registration.key.replica = std::string(60, 'r');
      registration.sdk_name = std::string(64, 's');
      for (char name = 'a'; name < 'a' + static_cast<char>(kMaxLabels); ++name) {
        registration.labels[std::string(64, name)] = std::string(64, name);
      }
    }
    broker->registration(id, 1, std::move(registration), now);
    return id;
  }
  BroadcastId ask(uid_t uid, std::string path = "/cache", Selection selection = {}) {
    BroadcastRequest request;
    request.operation = BroadcastOperation::release_handles(std::move(path));
    request.selection = std::move(selection);
    const auto result = broker->start_broadcast(std::move(request), now, Operator{uid, 1, "tool"});
    const auto* started = std::get_if<Started>(&result);
    return started == nullptr ? 0 : started->id;
  }
  // A broadcast of that user that has ended.
  BroadcastId report(uid_t uid, ConnectionId backend) {
    const BroadcastId id = ask(uid);
    broker->acked(backend, id, {}, now);
    now.steady += std::chrono::seconds(1);
    return id;
  }
  [[nodiscard]] bool is_kept(BroadcastId id) const {
    return std::holds_alternative<BroadcastRows>(broker->report(id, now));
  }
  [[nodiscard]] std::string kept() const {
    std::string text;
    for (BroadcastId id = 20; id < shell.next_id; ++id) {
      if (is_kept(id)) text += (text.empty() ? "" : " ") + std::to_string(id);
    }
    return text;
  }
  [[nodiscard]] Share bytes_of(uid_t uid) const {
    BrokerStatus status;
    broker->fill_status(status);
    for (const auto& user : status.users) {
      if (user.uid == uid) return user.report_bytes;
    }
    return {};
  }
  // The texts of the report's targets, in their order.
  [[nodiscard]] std::vector<std::string> details(BroadcastId id) const {
    std::vector<std::string> texts;
    const auto report = broker->report(id, now);
    std::get<BroadcastRows>(report).for_each_backend(
        [&](const OutcomeView& view) { texts.emplace_back(view.detail); });
    return texts;
  }

  Config config;
  KeepingShell shell;
  std::optional<Broker> broker;
  Now now{SteadyTime(std::chrono::hours(1)), 1000};

 private:
  std::uint32_t last_slot_ = 0;
};

TEST_F(CoreReportBytesTest, AUserOverItsBytesLosesItsOwnOldestReportsAndNobodyElseDoes) {
  config.quotas.each.report_bytes = 8 * 1024;
  start();
  const auto a = join("a");
  const BroadcastId of_bob = report(kBert, a);
  BroadcastId first = 0;
  for (int i = 0; i < 20; ++i) {
    const BroadcastId id = report(kAnna, a);
    if (first == 0) first = id;
    EXPECT_TRUE(is_kept(id));
    EXPECT_LE(bytes_of(kAnna).used, 8u * 1024);
  }
  EXPECT_FALSE(is_kept(first));
  EXPECT_TRUE(is_kept(of_bob));
  EXPECT_GT(bytes_of(kAnna).used, 6u * 1024) << "as many as fit are kept";
  EXPECT_EQ(bytes_of(kAnna).quota, 8u * 1024);
  EXPECT_GT(bytes_of(kBert).used, kReportBytes);
}

TEST_F(CoreReportBytesTest, TheNewestReportOfAUserStaysWhateverItsSizeIs) {
  config.quotas.each.report_bytes = 1;
  start();
  const auto a = join("a");
  EXPECT_EQ(report(kAnna, a), 20u);
  EXPECT_EQ(report(kBert, a), 21u);
  EXPECT_EQ(kept(), "20 21");
  EXPECT_EQ(report(kAnna, a), 22u);
  EXPECT_EQ(kept(), "21 22");
}

TEST_F(CoreReportBytesTest, ABroadcastThatRunsIsKeptAndNotWeighed) {
  config.quotas.each.report_bytes = 5'400;
  start();
  const auto a = join("a");
  const BroadcastId running = ask(kAnna, "/" + std::string(4'000, 'x'));
  EXPECT_EQ(bytes_of(kAnna).used, 0u);
  for (int i = 0; i < 10; ++i) report(kAnna, a);
  EXPECT_TRUE(is_kept(running));
  broker->acked(a, running, {}, now);
  EXPECT_TRUE(is_kept(running)) << "somebody waits for it";
  EXPECT_EQ(kept(), std::to_string(running)) << "it is over the quota alone";
}

TEST_F(CoreReportBytesTest, WhatAUserHasRunningTakesNoMoreThanItsReportsMay) {
  config.quotas.each.report_bytes = 8 * 1024;
  start();
  const auto a = join("a");
  const auto start_one = [&](uid_t uid) {
    BroadcastRequest request;
    request.operation = BroadcastOperation::release_handles("/" + std::string(2'000, 'x'));
    Operator by;
    by.uid = uid;
    return broker->start_broadcast(request, now, by);
  };
  std::vector<BroadcastId> running;
  for (;;) {
    const auto started = start_one(kAnna);
    if (const auto* one = std::get_if<Started>(&started)) {
      running.push_back(one->id);
      ASSERT_LE(running.size(), 4u);
      continue;
    }
    const auto& refused = std::get<ControlError>(started);
    EXPECT_EQ(refused.code, ControlError::Code::kBusy);
    EXPECT_THAT(refused.message, ::testing::MatchesRegex(
                                     "uid [0-9]+ has running broadcasts of [0-9]+ bytes, and its "
                                     "quota of report_bytes is 8192; try again when one has "
                                     "ended, or cancel one"));
    break;
  }
  EXPECT_GE(running.size(), 2u) << "the one that goes over it is taken";
  EXPECT_TRUE(std::holds_alternative<Started>(start_one(kBert))) << "each user's are its own";
  // When one has ended, there is room again.
  broker->acked(a, running.front(), {}, now);
  EXPECT_TRUE(std::holds_alternative<Started>(start_one(kAnna)));
  EXPECT_TRUE(std::holds_alternative<ControlError>(start_one(kAnna)));
}

TEST_F(CoreReportBytesTest, ALateAnswerIsChargedAndCanPushOutAnOlderReport) {
  config.quotas.each.report_bytes = 7 * 1024;
  start();
  const auto a = join("a");
  std::vector<BroadcastId> ids;
  while (ids.empty() || is_kept(20)) {
    ids.push_back(ask(kAnna));
    ASSERT_FALSE(broker->cancel_broadcast(ids.back(), now).index());
    now.steady += std::chrono::seconds(1);
  }
  const BroadcastId oldest = ids[1];
  ASSERT_TRUE(is_kept(oldest));
  const auto before = bytes_of(kAnna).used;
  broker->failed(a, ids.back(), {BroadcastFailureReason::kRejected, std::string(1024, 'd')}, now);
  EXPECT_FALSE(is_kept(oldest));
  EXPECT_LE(bytes_of(kAnna).used, 7u * 1024);
  EXPECT_LT(bytes_of(kAnna).used, before + 1024);
  EXPECT_EQ(broker->counters().late_answers, 1u);
}

TEST_F(CoreReportBytesTest, WhoHasTheMostLosesAReportWhenThereAreTooMany) {
  config.max_reports = 6;
  start();
  const auto a = join("a");
  for (int i = 0; i < 5; ++i) report(kAnna, a);  // 20 to 24
  report(kBert, a);                              // 25
  EXPECT_EQ(kept(), "20 21 22 23 24 25");
  report(kBert, a);
  report(kBert, a);
  EXPECT_EQ(kept(), "22 23 24 25 26 27");
  report(kAnna, a);
  EXPECT_EQ(kept(), "23 24 25 26 27 28") << "of two who have as many, the oldest";
  report(kBert, a);
  EXPECT_EQ(kept(), "23 24 26 27 28 29");
}

TEST_F(CoreReportBytesTest, ManyUsersDoNotPushOutWhatIsReservedForRoot) {
  config.max_reports = 16;
  start();
  const auto a = join("a");
  for (int i = 0; i < 4; ++i) report(kRoot, a);
  for (uid_t i = 0; i < 40; ++i) report(kAnna + i, a);
  for (BroadcastId id = 20; id < 24; ++id) EXPECT_TRUE(is_kept(id)) << id;
  EXPECT_GT(bytes_of(kRoot).used, 0u);
  // What is over a quarter is not reserved.
  const BroadcastId more = report(kRoot, a);
  for (uid_t i = 0; i < 40; ++i) report(kAnna + i, a);
  EXPECT_FALSE(is_kept(20));
  EXPECT_TRUE(is_kept(more));
}

TEST_F(CoreReportBytesTest, InAllOneUserHasTheMemoryThatOthersLeave) {
  config.max_report_bytes = 64 * 1024;
  start();
  const auto a = join("a");
  const BroadcastId of_bob = report(kBert, a);
  for (int i = 0; i < 200; ++i) report(kAnna, a);
  EXPECT_TRUE(is_kept(of_bob));
  EXPECT_LE(bytes_of(kAnna).used + bytes_of(kBert).used, 64u * 1024);
  EXPECT_GT(bytes_of(kAnna).used, 50u * 1024);
}

TEST_F(CoreReportBytesTest, WhatABackendRegisteredWithIsChargedOnceForAllReportsOfAUser) {
  start();
  const auto a = join("a", true);
  report(kAnna, a);
  const auto one = bytes_of(kAnna).used;
  EXPECT_GT(one, 16u * (64 + 64)) << "its labels among it";
  report(kAnna, a);
  const auto more = bytes_of(kAnna).used - one;
  EXPECT_LT(more, 2 * kReportBytes) << "the registration is shared";
  report(kBert, a);
  EXPECT_EQ(bytes_of(kBert).used, one) << "another user's report may be the last that holds it";

  // It comes back as another one, over and over: each registration is charged.
  auto backend = a;
  for (int i = 0; i < 10; ++i) {
    broker->deregister(backend, 2, now);
    backend = join("a", true);
    report(kAnna, backend);
  }
  EXPECT_EQ(bytes_of(kAnna).used, one + more + 10 * one);
}

TEST_F(CoreReportBytesTest, LongSelectionsAndPathsAreCharged) {
  start();
  Selection selection;
  for (int i = 0; i < 100; ++i) {
    selection.push_back(Selector::parse("service=" + std::string(200, 'x')).selector);
  }
  ASSERT_NE(ask(kAnna, "/" + std::string(4'000, 'p'), selection), 0u);
  EXPECT_GT(bytes_of(kAnna).used, 100u * 200 + 4'000);
}

TEST_F(CoreReportBytesTest, OfManyLongTextsTheBeginningsAreKeptAndNoBackendCrowdsOutAnother) {
  start();
  constexpr std::size_t kBackends = 200;
  std::vector<ConnectionId> backends;
  for (std::size_t i = 0; i < kBackends; ++i) backends.push_back(join("b" + std::to_string(i)));
  const BroadcastId id = ask(kAnna);
  const auto failure_of = [](std::size_t i) {
    std::string text = "failure " + std::to_string(i) + ' ';
    return text.append(kMaxDetailBytes - text.size(), 'x');
  };
  for (std::size_t i = 0; i < kBackends; ++i) {
    broker->failed(backends[i], id, {BroadcastFailureReason::kRejected, failure_of(i)}, now);
  }
  const auto texts = details(id);
  ASSERT_EQ(texts.size(), kBackends);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kBackends; ++i) {
    bytes += texts[i].size();
    const std::string whole = failure_of(i);
    if (texts[i] == whole) continue;
    EXPECT_GE(texts[i].size(), Broadcast::kTextBeginning);
    EXPECT_EQ(texts[i], whole.substr(0, texts[i].size() - 3) + "...") << "it says that it is cut";
  }
  EXPECT_EQ(texts.front(), failure_of(0)) << "while there is room all of it is kept";
  EXPECT_LE(bytes, Broadcast::kTextPool + kBackends * Broadcast::kTextBeginning);
}

TEST_F(CoreReportBytesTest, ACutTextEndsWithAWholeCharacter) {
  Broadcast broadcast;
  std::string full;
  broadcast.pool_used = Broadcast::kTextPool;
  std::string text = "x";
  while (text.size() < 1000) text += "\xc3\xa9";
  broadcast.keep(full, text);
  EXPECT_EQ(full, text.substr(0, 125) + "...");
  text.insert(0, 1, 'x');
  broadcast.keep(full, text);
  EXPECT_EQ(full, text.substr(0, 124) + "...");
  broadcast.keep(full, "short");
  EXPECT_EQ(full, "short");
  EXPECT_EQ(broadcast.pool_used, Broadcast::kTextPool);
}

TEST_F(CoreReportBytesTest, ANoteThatIsReplacedGivesItsRoomBack) {
  Broadcast broadcast;
  std::string note;
  for (int i = 0; i < 1000; ++i)
    broadcast.keep(note, std::string(1024, static_cast<char>('a' + i % 26)));
  EXPECT_EQ(note.size(), 1024u);
  EXPECT_EQ(broadcast.pool_used, 1024 - Broadcast::kTextBeginning);
  broadcast.keep(note, {});
  EXPECT_EQ(broadcast.pool_used, 0u);
}

// A report of 10,000 backends is kept for an hour: what a row takes is a decision, not an accident.
TEST_F(CoreReportBytesTest, ATargetIsARowAndLittleMore) {
  EXPECT_EQ(sizeof(OutcomeRow), 48u);
  EXPECT_LE(sizeof(Target), 88u);
  EXPECT_LE(sizeof(SkippedTarget), 24u);
}

// What is charged is what the allocator gives, or a little more: of backends that have left, that
// said much, and that answered late.
TEST_F(CoreReportBytesTest, IsWhatAReportReallyTakes) {
  if (!test::counts_allocations()) GTEST_SKIP() << "a sanitizer has an allocator of its own";
  config.quotas.each.report_bytes = 1ULL << 30U;
  for (const std::size_t backends : {1U, 20U, 1'000U}) {
    for (const bool says_much : {false, true}) {
      SCOPED_TRACE(std::to_string(backends) + (says_much ? " that say much" : " that say little"));
      start();
      constexpr std::size_t kReports = 20;
      const std::size_t before = ::mallinfo2().uordblks;
      for (std::size_t n = 0; n < kReports; ++n) {
        std::vector<ConnectionId> all;
        for (std::size_t i = 0; i < backends; ++i) {
          all.push_back(join("b" + std::to_string(i), says_much));
        }
        const BroadcastId id = ask(kBert, says_much ? "/" + std::string(3'000, 'p') : "/cache");
        const Failure failure{BroadcastFailureReason::kRejected,
                              std::string(says_much ? kMaxDetailBytes : 0, 'd')};
        const Working working{std::chrono::seconds(1), 5,
                              std::string(says_much ? kMaxNoteBytes : 0, 'n')};
        for (std::size_t i = 0; i < backends; ++i) {
          broker->working(all[i], id, working, now);
          if (i % 2 == 0) broker->failed(all[i], id, failure, now);
        }
        (void)broker->cancel_broadcast(id, now);
        for (std::size_t i = 1; i < backends; i += 2) broker->failed(all[i], id, failure, now);
        for (const auto backend : all) broker->deregister(backend, 2, now);
        shell = {};
        shell.next_id = id + 1;
      }
      const std::size_t real = ::mallinfo2().uordblks - before;
      const std::size_t charged = bytes_of(kBert).used;
      // The broker's own tables (sessions, registry) are in what was measured.
      constexpr std::size_t kTablesOfAnEmptyBroker = 8 * 1024;
      const std::size_t tables = kTablesOfAnEmptyBroker + backends * kReports * 120;
      EXPECT_GE(charged + tables, real);
      EXPECT_LE(charged, 2 * real);
    }
  }
}

}  // namespace
}  // namespace muster::core
