// Rosters that were lost: deleted, damaged, of an earlier boot, or not written.
#include <chrono>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <sys/mount.h>
#include <sys/stat.h>
#include <vector>

#include <gtest/gtest.h>

#include "unit/daemon_stores_fixture.h"

namespace muster::daemon {
namespace {

TEST_F(DaemonStoresTest, ARosterThatCannotBeReadIsToldAndStopsNobody) {
  std::ofstream(dir_ / kRosterFileName) << "this is no roster at all";
  auto run = start();
  EXPECT_TRUE(run->roster->load(here_).empty());
  EXPECT_EQ(
      run->roster->problem(),
      "the roster of an earlier run could not be read: " + (dir_ / kRosterFileName).native() +
          " is damaged, or of another version: backends may be missing; look who uses files, then: "
          "musterctl forget --lost-roster");
  EXPECT_FALSE(run->roster->knows_all());
  EXPECT_NE(logged().find("<3>cannot read the roster"), std::string::npos) << logged();
  bool durable = false;
  run->roster->note_registered(entry_of("a"), [&](bool is) { durable = is; });
  run->until(durable);
  run.reset();
  // The file is whole again, and still lacks those who stood in the one that could not be read.
  run = start();
  EXPECT_EQ(services(run->roster->load(here_)), "a ");
  EXPECT_FALSE(run->roster->knows_all());
  EXPECT_TRUE(run->roster->forget_lost());
  EXPECT_FALSE(run->roster->forget_lost()) << "there is none any more";
  EXPECT_TRUE(run->roster->knows_all());
  EXPECT_EQ(run->roster->problem(), "");
  EXPECT_TRUE(run->worker.close());
  run.reset();
  EXPECT_TRUE(start()->roster->knows_all()) << "also after a restart";
}

TEST_F(DaemonStoresTest, ACrashDoesNotForgetThatRefusedProcessesAreNotListed) {
  auto run = start();
  run->roster->set_unlisted_refused(true);
  EXPECT_TRUE(run->roster->knows_all()) << "the core says so itself";
  EXPECT_TRUE(run->worker.close());
  run.reset();  // a crash
  run = start();
  EXPECT_FALSE(run->roster->knows_all());
  EXPECT_EQ(run->roster->problem(),
            "the broker of an earlier run refused backends that it did not list: they may run, and "
            "are not asked until they register; look who uses files, then: musterctl forget "
            "--lost-roster");
  EXPECT_TRUE(run->worker.close());
  run.reset();
  run = start();
  EXPECT_FALSE(run->roster->knows_all()) << "until an operator says otherwise";
  EXPECT_TRUE(run->roster->forget_lost());
  EXPECT_FALSE(run->roster->forget_lost()) << "there is none any more";
  EXPECT_EQ(run->roster->problem(), "");
  run->roster->set_unlisted_refused(true);
  EXPECT_TRUE(run->worker.wait_until_idle(std::chrono::seconds(60)));
  const auto marker = [this] {
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
      if (entry.path().filename().native().starts_with("roster.refused-")) return entry.path();
    }
    return std::filesystem::path();
  };
  ASSERT_FALSE(marker().empty());
  std::filesystem::remove(marker());
  run->roster->set_unlisted_refused(true);
  EXPECT_TRUE(run->worker.wait_until_idle(std::chrono::seconds(60)));
  EXPECT_FALSE(marker().empty()) << "somebody deleted it";
  run->roster->set_unlisted_refused(false);
  EXPECT_TRUE(run->worker.close());
  run.reset();
  EXPECT_TRUE(start()->roster->knows_all());
}

struct LostRoster {
  const char* name;
  std::function<void(const std::filesystem::path& roster)> lose;
};
class DaemonLostRosterTest : public DaemonStoresTest,
                             public ::testing::WithParamInterface<LostRoster> {};

TEST_P(DaemonLostRosterTest, IsNeverTakenForOneThatIsWhole) {
  auto run = start();
  EXPECT_TRUE(run->roster->knows_all()) << "a first start misses nobody";
  bool durable = false;
  run->roster->note_registered(entry_of("a"));
  run->roster->note_registered(entry_of("b"), [&](bool is) { durable = is; });
  run->until(durable);
  run.reset();
  GetParam().lose(dir_ / kRosterFileName);
  EXPECT_FALSE(start(kStoresNow, true)->roster->knows_all());
  EXPECT_FALSE(start(kStoresNow, true)->roster->knows_all()) << "at the next start";
}

void flip_byte(const std::filesystem::path& file, std::uintmax_t at) {
  std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekg(static_cast<std::streamoff>(at));
  const auto was = static_cast<char>(bytes.get());
  bytes.seekp(static_cast<std::streamoff>(at));
  bytes.put(static_cast<char>(was ^ 1));
}

INSTANTIATE_TEST_SUITE_P(
    Each, DaemonLostRosterTest,
    ::testing::Values(
        LostRoster{"Deleted", [](const auto& roster) { std::filesystem::remove(roster); }},
        LostRoster{"Empty", [](const auto& roster) { std::filesystem::resize_file(roster, 0); }},
        LostRoster{"CutInItsHead",
                   [](const auto& roster) { std::filesystem::resize_file(roster, 5); }},
        LostRoster{"DamagedHead", [](const auto& roster) { flip_byte(roster, 3); }},
        LostRoster{"DamagedInTheFirstRecord", [](const auto& roster) { flip_byte(roster, 40); }},
        LostRoster{
            "DamagedInTheLastRecord",
            [](const auto& roster) { flip_byte(roster, std::filesystem::file_size(roster) - 2); }},
        LostRoster{"Zeros",
                   [](const auto& roster) {
                     const auto size = std::filesystem::file_size(roster);
                     std::filesystem::resize_file(roster, 0);
                     std::filesystem::resize_file(roster, size);
                   }},
        LostRoster{"ADirectory",
                   [](const auto& roster) {
                     std::filesystem::remove(roster);
                     std::filesystem::create_directory(roster);
                   }},
        LostRoster{"APipe",
                   [](const auto& roster) {
                     std::filesystem::remove(roster);
                     ASSERT_EQ(::mkfifo(roster.c_str(), 0600), 0);
                   }}),
    [](const auto& of) { return of.param.name; });

TEST_F(DaemonStoresTest, ARosterOfAnEarlierBootMissesNobody) {
  std::ofstream(dir_ / kRosterFileName) << "this is no roster at all";
  std::ofstream(dir_ / "roster.incomplete-of-another-boot") << "";
  std::ofstream(dir_ / "roster.refused-of-another-boot") << "";
  const timespec old[2]{{0, 0}, {0, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir_ / kRosterFileName).c_str(), old, 0), 0);
  EXPECT_TRUE(start()->roster->knows_all());
  EXPECT_FALSE(std::filesystem::exists(dir_ / "roster.incomplete-of-another-boot"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "roster.refused-of-another-boot"));
}

// What is registered while the disk fails stands in no file.
TEST_F(DaemonStoresTest, ADiskThatFailedIsRememberedOverACrash) {
  auto run = start();
  std::filesystem::remove(dir_ / kRosterFileName);
  std::filesystem::create_directories(dir_ / kRosterFileName / "in the way");
  run->roster->check();
  const auto marker = dir_ / ("roster.incomplete-" + here_.boot_id);
  while (!std::filesystem::exists(marker))
    ASSERT_EQ(run->loop.run_one_for(std::chrono::hours(1)), 1U);
  EXPECT_TRUE(run->roster->knows_all()) << "this run knows them";
  EXPECT_NE(run->roster->problem(), "");
  EXPECT_TRUE(run->worker.close());
  run.reset();
  std::filesystem::remove_all(dir_ / kRosterFileName);
  EXPECT_FALSE(start(kStoresNow, true)->roster->knows_all());
}

// On a full disk nothing can be made, the sign that somebody is missing neither.
TEST_F(DaemonStoresTest, ADiskThatIsFullIsRememberedOverACrash) {
  if (::mount("few", dir_.path().c_str(), "tmpfs", 0, "size=32k,nr_inodes=16") != 0) {
    GTEST_SKIP() << "needs the right to mount a file system";
  }
  auto run = start();
  std::vector<std::filesystem::path> fill;
  const std::string page(4096, 'x');
  for (bool fits = true; fits;) {
    fill.push_back(dir_ / ("fill" + std::to_string(fill.size())));
    std::ofstream file(fill.back());
    fits = static_cast<bool>(file << page << std::flush);
  }
  const auto marker = dir_ / ("roster.incomplete-" + here_.boot_id);
  for (int i = 0; !std::filesystem::exists(marker) && i < 10'000; ++i) {
    run->roster->note_registered(entry_of("s" + std::to_string(i)));
    run->loop.run_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(std::filesystem::exists(marker));
  EXPECT_TRUE(run->worker.close());
  run.reset();
  for (const auto& file : fill) std::filesystem::remove(file);
  EXPECT_FALSE(start(kStoresNow, true)->roster->knows_all());
  EXPECT_EQ(::umount2(dir_.path().c_str(), MNT_DETACH), 0);
}

TEST_F(DaemonStoresTest, ARosterThatWasDeletedIsWrittenAgain) {
  auto run = start();
  bool durable = false;
  run->roster->note_registered(entry_of("a"), [&](bool is) { durable = is; });
  run->until(durable);
  std::filesystem::remove(dir_ / kRosterFileName);
  run->roster->check();
  while (!std::filesystem::exists(dir_ / kRosterFileName)) {
    ASSERT_EQ(run->loop.run_one_for(std::chrono::hours(1)), 1U);
  }
  EXPECT_TRUE(run->worker.close());
  run.reset();
  auto after = start(kStoresNow, true);
  EXPECT_EQ(services(after->roster->load(here_)), "a ");
  EXPECT_TRUE(after->roster->knows_all());
}

}  // namespace
}  // namespace muster::daemon
