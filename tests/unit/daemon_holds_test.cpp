// The file of holds: what is written, read, damaged, and told when the disk fails.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include "musterd/state/holds.h"
#include "support/temp_dir.h"

namespace muster::daemon {
namespace {

using core::KeptHold;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

KeptHold kept_release(HoldId id) {
  KeptHold hold;
  hold.id = id;
  hold.operation = BroadcastOperation::release_handles("/var/cache/x\n\xff y", "/cache");
  hold.selection = {Selector::parse("service=zcc*,label.tier=hot").selector,
                    Selector::parse("replica=a").selector};
  hold.asked_by = Operator{1000, 77, "musterctl"};
  hold.leased = true;
  hold.since_unix_ms = 1'800'000'000'000;
  hold.expires_unix_ms = 1'800'000'060'000;
  hold.verify = true;
  hold.mount_namespace = 4'026'531'841;
  hold.violations = 2;
  return hold;
}

KeptHold kept_quiesce(HoldId id) {
  KeptHold hold;
  hold.id = id;
  hold.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  hold.since_unix_ms = 1'800'000'000'001;
  return hold;
}

class DaemonHolds : public ::testing::Test {
 protected:
  // A broker's run; its end is a crash unless the store was closed.
  struct HoldsRun {
    asio::io_context loop;
    asio::executor_work_guard<asio::io_context::executor_type> busy{loop.get_executor()};
    Worker worker{loop.get_executor()};
    std::vector<KeptHold> holds;
    std::unique_ptr<HoldStore> store;

    // Lets it be written. False: nothing says that it is.
    bool write() {
      bool done = false;
      store->changed();
      store->when_written([&] { done = true; });
      while (!done && loop.run_one_for(std::chrono::hours(1)) == 1) {
      }
      return done;
    }
  };

  std::unique_ptr<HoldsRun> start() {
    auto run = std::make_unique<HoldsRun>();
    run->store =
        std::make_unique<HoldStore>(run->loop.get_executor(), run->worker, dir_.path(), log_);
    run->holds = run->store->load();
    run->store->keep([holds = &run->holds] { return *holds; });
    return run;
  }
  [[nodiscard]] std::filesystem::path file() const { return dir_ / kHoldsFileName; }
  [[nodiscard]] std::string bytes() const {
    std::ifstream in(file(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  [[nodiscard]] std::string logged() const { return text_.str(); }

  test::TempDir dir_;
  std::ostringstream text_;
  Log log_{std::make_shared<spdlog::sinks::ostream_sink_mt>(text_), {}, Log::Reader::kJournal};
};

TEST_F(DaemonHolds, ARecordIsReadAsItIsWrittenAndNoPartOfIt) {
  for (const KeptHold& hold : {kept_release(7), kept_quiesce(9)}) {
    const std::string record = encode_hold(hold);
    const auto read = decode_hold(record);
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, hold);
    EXPECT_FALSE(decode_hold(record + "x"));
    for (std::size_t cut = 0; cut < record.size(); ++cut) {
      EXPECT_FALSE(decode_hold(record.substr(0, cut))) << cut;
    }
  }
  std::string newer = encode_hold(kept_quiesce(9));
  newer[0] = 2;
  EXPECT_FALSE(decode_hold(newer));
}

TEST_F(DaemonHolds, TheNextBrokerGoesOnWithThoseOfTheLast) {
  auto run = start();
  EXPECT_THAT(run->holds, IsEmpty());
  run->holds = {kept_release(7), kept_quiesce(9)};
  ASSERT_TRUE(run->write());
  run.reset();  // a crash
  run = start();
  EXPECT_THAT(run->holds, ElementsAre(kept_release(7), kept_quiesce(9)));
  run->holds.erase(run->holds.begin());
  run->store->changed();
  run->store->close();
  run->worker.close();
  run.reset();
  run = start();
  EXPECT_THAT(run->holds, ElementsAre(kept_quiesce(9)));
  run->holds.clear();
  ASSERT_TRUE(run->write());
  run.reset();
  run = start();
  EXPECT_THAT(run->holds, IsEmpty());
  EXPECT_EQ(run->store->problem(), "");
  EXPECT_EQ(logged(), "");
}

TEST_F(DaemonHolds, WithoutHoldsThereIsNoFile) {
  auto run = start();
  ASSERT_TRUE(run->write());
  EXPECT_FALSE(std::filesystem::exists(file()));
}

TEST_F(DaemonHolds, ManyChangesOfATurnAreOneWriteAndOfTheLastState) {
  auto run = start();
  run->holds = {kept_release(7)};
  int told = 0;
  for (int i = 0; i < 100; ++i) {
    run->store->changed();
    run->store->when_written([&] { ++told; });
  }
  run->holds = {kept_release(8)};
  while (told < 100) ASSERT_EQ(run->loop.run_one_for(std::chrono::hours(1)), 1U);
  run.reset();
  EXPECT_THAT(start()->holds, ElementsAre(kept_release(8)));
}

// Whoever waits is told in a turn of its own, and so never from inside.
TEST_F(DaemonHolds, NothingToWriteIsToldAtOnceAndLater) {
  auto run = start();
  bool done = false;
  run->store->when_written([&] { done = true; });
  EXPECT_FALSE(done);
  while (!done) ASSERT_EQ(run->loop.run_one_for(std::chrono::hours(1)), 1U);
}

TEST_F(DaemonHolds, ADamagedFileIsKeptAsideAndWhatCanBeReadGoesOn) {
  auto run = start();
  run->holds = {kept_release(7), kept_quiesce(9)};
  ASSERT_TRUE(run->write());
  run.reset();
  const std::string good = bytes();
  struct Damage {
    std::size_t at;
    std::vector<HoldId> left;
  };
  for (const Damage& damage : {Damage{3, {}}, Damage{60, {9}}, Damage{good.size() - 3, {7}}}) {
    text_.str("");
    std::string damaged = good;
    damaged[damage.at] = static_cast<char>(~damaged[damage.at]);
    std::ofstream(file(), std::ios::binary) << damaged;
    run = start();
    std::vector<HoldId> left;
    for (const KeptHold& hold : run->holds) left.push_back(hold.id);
    EXPECT_EQ(left, damage.left) << damage.at;
    EXPECT_THAT(run->store->problem(), HasSubstr("holds may be lost: " + file().native()));
    EXPECT_THAT(run->store->problem(), HasSubstr(kDamagedHoldsName));
    EXPECT_THAT(logged(), HasSubstr("holds of before this start may be lost"));
    std::ifstream in(dir_ / kDamagedHoldsName, std::ios::binary);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), damaged);
    // Those that are left are on disk again.
    ASSERT_TRUE(run->write());
    run.reset();
    EXPECT_EQ(start()->holds.size(), damage.left.size());
    std::filesystem::remove(dir_ / kDamagedHoldsName);
  }
}

TEST_F(DaemonHolds, WhatIsNoFileOrEmptyIsAProblemAndStopsNobody) {
  std::filesystem::create_directory(file());
  {
    auto run = start();
    EXPECT_THAT(run->store->problem(), HasSubstr("holds may be lost"));
    run->holds = {kept_quiesce(9)};
    ASSERT_TRUE(run->write());
  }
  std::filesystem::remove_all(dir_ / kDamagedHoldsName);
  EXPECT_THAT(start()->holds, ElementsAre(kept_quiesce(9)));
  std::ofstream(file()).close();
  EXPECT_THAT(start()->store->problem(), HasSubstr("is cut off"));
}

// A directory in its place is what no file can be put over, whoever runs the test.
TEST_F(DaemonHolds, ADiskThatTakesNothingIsToldAndTriedAgain) {
  auto run = start();
  std::filesystem::create_directory(dir_ / (std::string(kHoldsFileName) + ".new"));
  run->holds = {kept_release(7)};
  ASSERT_TRUE(run->write()) << "an operator waits for it";
  EXPECT_THAT(run->store->problem(), HasSubstr("a restart of the broker ends holds: "));
  EXPECT_THAT(logged(), HasSubstr("cannot write holds: a restart of the broker ends them"));
  std::filesystem::remove(dir_ / (std::string(kHoldsFileName) + ".new"));
  run->store->check();
  bool done = false;
  run->store->when_written([&] { done = true; });
  while (!done) ASSERT_EQ(run->loop.run_one_for(std::chrono::hours(1)), 1U);
  EXPECT_EQ(run->store->problem(), "");
  EXPECT_THAT(logged(), HasSubstr("holds can be written again"));
  run.reset();
  EXPECT_THAT(start()->holds, ElementsAre(kept_release(7)));
}

TEST_F(DaemonHolds, AFileThatSomebodyDeletedIsWrittenAgain) {
  auto run = start();
  run->holds = {kept_release(7)};
  ASSERT_TRUE(run->write());
  std::filesystem::remove(file());
  run->store->check();
  while (!std::filesystem::exists(file())) {
    ASSERT_EQ(run->loop.run_one_for(std::chrono::hours(1)), 1U);
  }
  run.reset();
  EXPECT_THAT(start()->holds, ElementsAre(kept_release(7)));
}

}  // namespace
}  // namespace muster::daemon
