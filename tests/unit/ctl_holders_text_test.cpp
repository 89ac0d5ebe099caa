// What an operator reads of a scan: the table, what was not seen, and the sentence that is the
// answer.
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "musterctl/holders_text.h"
#include "support/view_values.h"

namespace muster::ctl {
namespace {

Holder process(pid_t pid, HeldBy kind, std::uint64_t count = 1) {
  Holder holder;
  holder.pid = pid;
  holder.uid = 1000;
  holder.command = "cached";
  holder.held = {{kind, count}};
  holder.example = "/srv/a";
  return holder;
}

Holder of_kernel(HeldBy kind, std::string object, pid_t inside = 0) {
  Holder holder;
  holder.command = "kernel";
  holder.object = std::move(object);
  holder.held = {{kind, 1}};
  holder.inside = inside;
  return holder;
}

HolderScan scan_with(HolderVerdict verdict, std::vector<Holder> holders = {}) {
  HolderScan scan;
  scan.prefix = "/srv";
  scan.verdict = verdict;
  scan.holders = std::move(holders);
  return scan;
}

std::string shown_scan(const HolderScan& scan) {
  HoldersStyle style;
  style.user = [](uid_t uid) { return uid == 1000 ? "alice" : ""; };
  return show_holders(scan, style);
}

TEST(HoldersText, ClearIsOneSentenceWithTheProof) {
  HolderScan scan = scan_with(HolderVerdict::kClear);
  EXPECT_EQ(shown_scan(scan), "Clear: nobody has a file below /srv in use.\n");
  scan.leases.files = 187;
  scan.leases.proven = 187;
  EXPECT_EQ(shown_scan(scan),
            "Clear: nobody has a file below /srv in use (187 of 187 files proven free).\n");
  scan.leases.proven = 185;
  scan.leases.refused = 2;
  scan.leases.refused_why = "Permission denied";
  EXPECT_EQ(shown_scan(scan),
            "Clear: nobody has a file below /srv in use (185 of 187 files proven free; 2 could not "
            "be asked: Permission denied).\n");
  scan.leases = {};
  scan.leases.complete = false;
  scan.leases.incomplete_why = "files on fuse are not opened, since that may wait";
  EXPECT_EQ(shown_scan(scan),
            "Clear: nobody has a file below /srv in use (files on fuse are not opened, since that "
            "may wait).\n");
}

TEST(HoldersText, HeldIsATableAndASentence) {
  Holder service = process(42, HeldBy::kDescriptor, 2);
  service.held.push_back({HeldBy::kMapping, 1});
  service.unit = "cached.service";
  service.deleted = true;
  HolderScan scan =
      scan_with(HolderVerdict::kHeld, {service, of_kernel(HeldBy::kLoopDevice, "/dev/loop0")});
  scan.leases = {3, 2, 1, 0, "/srv/b", "", true, ""};
  EXPECT_EQ(shown_scan(scan),
            "PID  USER          COMMAND  UNIT            BACKEND  HOLDS                     "
            "EXAMPLE           TO END IT\n"
            "42   alice (1000)  cached   cached.service  -        2 descriptors, 1 mapping  "
            "/srv/a (deleted)  systemctl stop cached.service\n"
            "-    -             kernel   -               -        1 loop device /dev/loop0  -     "
            "            losetup -d /dev/loop0\n"
            "Held: 2 holders have files below /srv in use (2 of 3 files proven free; 1 is open, as "
            "/srv/b).\n");
}

// Nobody was found, and yet the kernel says that somebody has it.
TEST(HoldersText, ABusyFileWithoutAHolderIsHeldByUnknown) {
  HolderScan scan = scan_with(HolderVerdict::kHeld);
  scan.leases = {1, 0, 1, 0, "/srv/b", "", true, ""};
  EXPECT_TRUE(scan.held_by_unknown());
  EXPECT_EQ(shown_scan(scan),
            "PID  USER  COMMAND  UNIT  BACKEND  HOLDS        EXAMPLE  TO END IT\n"
            "-    -     unknown  -     -        1 open file  /srv/b   run it as root\n"
            "Held: 1 holder has files below /srv in use (0 of 1 file proven free; 1 is open, as "
            "/srv/b).\n");
  // A working directory does not explain a lease that fails; an open file does.
  scan.holders = {process(42, HeldBy::kWorkingDirectory)};
  EXPECT_TRUE(scan.held_by_unknown());
  scan.holders = {process(42, HeldBy::kDescriptor)};
  EXPECT_FALSE(scan.held_by_unknown());
}

TEST(HoldersText, UnknownSaysWhatWasNotSeenByReason) {
  HolderScan scan = scan_with(HolderVerdict::kUnknown);
  for (pid_t pid = 10; pid < 15; ++pid) {
    scan.unseen.push_back(
        {pid, 0, "d" + std::to_string(pid), "its descriptors: Permission denied"});
  }
  scan.unseen.push_back({20, 0, "x", "its mappings: Permission denied"});
  scan.unseen.push_back({0, 0, "", "the processes outside this container"});
  scan.more_unseen = 7;
  EXPECT_EQ(
      shown_scan(scan),
      "not seen: the processes outside this container\n"
      "not seen: of 5 processes (pid 10 d10, 11 d11, 12 d12, ...) its descriptors: Permission "
      "denied\n"
      "not seen: of 1 process (pid 20 x) its mappings: Permission denied\n"
      "not seen: 7 more\n"
      "Unknown: nobody was found who has a file below /srv in use, but not everything could "
      "be seen.\n");
}

TEST(HoldersText, WhatIsOnlyPossibleSaysSo) {
  Holder possibly = process(42, HeldBy::kInFlight, 2);
  possibly.possibly = true;
  possibly.example.clear();
  const std::string text = shown_scan(scan_with(HolderVerdict::kUnknown, {possibly}));
  EXPECT_NE(text.find("possibly 2 in flight"), std::string::npos) << text;
  EXPECT_NE(text.find("Unknown: it cannot be told whether what was found is below /srv.\n"),
            std::string::npos)
      << text;
}

TEST(HoldersText, AScanThatCouldNotBeMadeIsUnknown) {
  HolderScan scan = scan_with(HolderVerdict::kUnknown);
  scan.problem = "/proc cannot be read: Permission denied";
  EXPECT_EQ(shown_scan(scan), "Unknown: /proc cannot be read: Permission denied\n");
}

TEST(HoldersText, NamesThatOthersChoseCannotWriteToTheTerminal) {
  Holder hostile = process(42, HeldBy::kDescriptor);
  hostile.command = "a\x1b[2J b";
  hostile.example = "/srv/\n-    -     kernel";
  const std::string text = shown_scan(scan_with(HolderVerdict::kHeld, {hostile}));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find("\"a\\x1b[2J b\""), std::string::npos) << text;
  EXPECT_NE(text.find("\"/srv/\\x0a-    -     kernel\""), std::string::npos) << text;
}

TEST(HoldersText, WhatWouldEndEachHolder) {
  Holder one = process(42, HeldBy::kDescriptor);
  EXPECT_EQ(what_ends(one, "/srv"), "kill 42");
  one.unit = "session-3.scope";
  EXPECT_EQ(what_ends(one, "/srv"), "kill 42");
  one.unit = "cached.service";
  EXPECT_EQ(what_ends(one, "/srv"), "systemctl stop cached.service");
  one.unit = "a\\x2db.service";
  EXPECT_EQ(what_ends(one, "/srv"), "systemctl stop 'a\\x2db.service'");
  one.unit = "sync.service";
  one.unit_user = 1000;
  EXPECT_EQ(what_ends(one, "/srv"), "systemctl --user -M 1000@ stop sync.service");
  one.unit_user.reset();
  one.unit = "container 3f2a9c0b1d2e";
  EXPECT_EQ(what_ends(one, "/srv"), "stop container 3f2a9c0b1d2e");
  one.backend = test::key_of("cache");
  EXPECT_EQ(what_ends(one, "/srv/it's"), "musterctl release-handles '/srv/it'\\''s'");
  EXPECT_EQ(what_ends(process(42, HeldBy::kWorkingDirectory), "/srv"),
            "cd to another directory there, or kill 42");
  EXPECT_EQ(what_ends(of_kernel(HeldBy::kLoopDevice, "/dev/loop0"), "/srv"),
            "losetup -d /dev/loop0");
  EXPECT_EQ(what_ends(of_kernel(HeldBy::kSwapFile, "/srv/swap file"), "/srv"),
            "swapoff '/srv/swap file'");
  EXPECT_EQ(what_ends(of_kernel(HeldBy::kOverlayLayer, "/merged"), "/srv"), "umount /merged");
  EXPECT_EQ(what_ends(of_kernel(HeldBy::kMount, "/srv", 814), "/srv"),
            "nsenter -t 814 -m umount /srv");
  EXPECT_EQ(what_ends(of_kernel(HeldBy::kNfsExport, "/srv"), "/srv"),
            "remove /srv from /etc/exports, then exportfs -r");
}

}  // namespace
}  // namespace muster::ctl
