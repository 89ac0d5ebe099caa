// What texts of /proc say about a process.
#include "os/holders/proc_text.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace muster::test {
namespace {

using os::ring_files;
using os::unit_of;

constexpr char kId[] = "3f2a9c0b1d2e3f2a9c0b1d2e3f2a9c0b1d2e3f2a9c0b1d2e3f2a9c0b1d2e3f2a";

TEST(ProcStatTest, TheNameMayHaveParenthesesAndBlanks) {
  constexpr std::string_view kStat = "42 (a) R 7 (b) S 1 42 42 0 -1 4194560 9";
  EXPECT_EQ(os::command_of(kStat), "a) R 7 (b");
  EXPECT_EQ(os::stat_field(kStat, 3), "S");
  EXPECT_EQ(os::stat_field(kStat, 4), "1");
  EXPECT_EQ(os::stat_field(kStat, 22), "");
  EXPECT_FALSE(os::is_kernel_thread(kStat));
  EXPECT_TRUE(os::is_kernel_thread("2 (kthreadd) S 0 0 0 0 -1 2129984"));
  EXPECT_EQ(os::command_of("nonsense"), "");
}

std::string name_of(std::string_view cgroup) { return unit_of(cgroup).name; }

TEST(UnitOfTest, AUnitOfAUsersServiceManager) {
  EXPECT_EQ(unit_of("0::/user.slice/user-1000.slice/user@1000.service/app.slice/sync.service\n"),
            (os::Unit{"sync.service", 1000}));
  EXPECT_EQ(unit_of("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n"),
            (os::Unit{"init.scope", 1000}));
  EXPECT_EQ(unit_of("0::/user.slice/user-1000.slice/user@1000.service\n"),
            (os::Unit{"user@1000.service", std::nullopt}));
}

TEST(UnitOfTest, WhatWouldHaveToBeStopped) {
  EXPECT_EQ(name_of("0::/system.slice/nginx.service\n"), "nginx.service");
  EXPECT_EQ(name_of("0::/system.slice/a\\x2db.service/sub\n"), "a\\x2db.service");
  EXPECT_EQ(name_of("0::/user.slice/user-1000.slice/session-3.scope\n"), "session-3.scope");
  EXPECT_EQ(name_of(std::string("0::/system.slice/docker-") + kId + ".scope\n"),
            "container 3f2a9c0b1d2e");
  EXPECT_EQ(name_of(std::string("12:cpu:/docker/") + kId + "\n1:name=systemd:/docker/" + kId +
                    "\n0::/\n"),
            "container 3f2a9c0b1d2e");
  EXPECT_EQ(name_of("0::/\n"), "");
  EXPECT_EQ(name_of(""), "");
}

TEST(RingFilesTest, PathsAsTheKernelListsThem) {
  const auto files = ring_files(
      "pos:\t0\nSqThread:\t-1\nUserFiles:\t4\n    0: /srv/a\\040b\n    2: anon_inode:[eventfd]\n"
      "    3: /srv/c\nUserBufs:\t1\n    0: 0x7f/4096\n");
  EXPECT_EQ(files.paths, (std::vector<std::string>{"/srv/a b", "/srv/c"}));
  EXPECT_TRUE(files.complete);
}

TEST(RingFilesTest, NoFilesAtAll) {
  const auto files = ring_files("UserFiles:\t0\nUserBufs:\t0\n");
  EXPECT_TRUE(files.paths.empty());
  EXPECT_TRUE(files.complete);
}

TEST(RingFilesTest, WhatIsLeftOutMayBeAnything) {
  EXPECT_FALSE(ring_files("pos:\t0\nflags:\t02000002\n").complete);    // the ring is in use
  EXPECT_FALSE(ring_files("UserFiles:\t2\nUserBufs:\t0\n").complete);  // the same, before 6.10
  EXPECT_FALSE(ring_files("UserFiles:\t1\n    0: file\n").complete);   // only the last part
}

TEST(RingFilesTest, ShortNamesOfWhatIsNoFileAreNoFiles) {
  const auto files =
      ring_files("UserFiles:\t4\n    0: <none>\n    1: [eventfd]\n    2: \n    3: pipe:[42]\n");
  EXPECT_TRUE(files.paths.empty());
  EXPECT_TRUE(files.complete);
}

}  // namespace
}  // namespace muster::test
