// Every way in which a process or the kernel can have a file in use, by a real holder of that kind.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "component/holders_fixture.h"
#include "support/file_holding.h"
#include "support/host_abilities.h"

namespace muster::test {
namespace {

TEST_F(HoldersTest, NobodyHoldsWhatNobodyHolds) {
  expect_free();
  const HolderScan seen = scan(path());
  EXPECT_EQ(seen.leases.files, 1u);
  EXPECT_EQ(seen.leases.proven, 1u);
  EXPECT_TRUE(seen.leases.complete) << seen.leases.incomplete_why;
  EXPECT_GT(seen.processes, 0u);
  EXPECT_GT(seen.descriptors, 0u);
}

// --- one process

class HeldByAProcess : public HoldersTest, public ::testing::WithParamInterface<Holding> {};

TEST_P(HeldByAProcess, IsSeen) {
  const Holding& way = GetParam();
  if (const auto why = way.why_not(); !why.empty()) GTEST_SKIP() << why;
  const Child& child = holder([&] { way.hold(path()); });
  expect_held(child.pid(), way.kinds, path() + way.example);
}

INSTANTIATE_TEST_SUITE_P(Each, HeldByAProcess, ::testing::ValuesIn(holdings_of_processes()),
                         [](const auto& of) { return std::string(of.param.name); });

TEST_F(HoldersTest, AProcessWhoseFirstThreadHasEndedIsSeen) {
  Child& child = *children_.emplace_back(std::make_unique<Child>([&](Child::Side& test) {
    std::thread([&] {
      // Ends the first thread alone; this one goes on.
      while (true) {
        std::ifstream stat("/proc/self/stat");
        std::string text;
        std::getline(stat, text);
        if (text.find(") Z ") != std::string::npos) break;
        std::this_thread::yield();
      }
      must_open(file(), O_RDONLY);
      test.say("holds\n");
      for (;;) ::pause();
    }).detach();
    ::syscall(SYS_exit, 0);  // this thread alone
  }));
  ASSERT_EQ(child.hear(), "holds");
  expect_held(child.pid(), "1 descriptor", file());
}

TEST_F(HoldersTest, ARunningProgramIsSeen) {
  std::filesystem::copy("/bin/sleep", path() + "/program");
  const Child& child = *children_.emplace_back(std::make_unique<Child>(
      [&](Child::Side&) { ::execl((path() + "/program").c_str(), "program", "1000", nullptr); }));
  const auto runs = [&] {
    std::error_code ignored;
    return std::filesystem::read_symlink("/proc/" + std::to_string(child.pid()) + "/exe",
                                         ignored) == path() + "/program";
  };
  while (!runs()) std::this_thread::yield();
  const HolderScan seen = scan(path());
  const Holder* found = find(seen, child.pid());
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->command, "program");
  EXPECT_TRUE(std::count(found->held.begin(), found->held.end(), Held{HeldBy::kExecutable, 1}));
  EXPECT_EQ(seen.verdict, HolderVerdict::kHeld);
}

TEST_F(HoldersTest, ADescriptorInFlightMakesItUnknownAndTheLeaseSaysHeld) {
  const Child& child = holder([&] { send_in_flight(path() + "/file"); });
  const HolderScan seen = scan(path());
  const Holder* found = find(seen, child.pid());
  EXPECT_EQ(kinds(found), "1 in flight");
  ASSERT_NE(found, nullptr);
  EXPECT_TRUE(found->possibly);
  EXPECT_EQ(seen.leases.busy, 1u);
  EXPECT_EQ(seen.leases.busy_example, file());
  EXPECT_EQ(seen.verdict, HolderVerdict::kHeld);
  // Of another directory it is only possible.
  std::filesystem::create_directory(outside("other"));
  EXPECT_EQ(scan(outside("other")).verdict, HolderVerdict::kUnknown);
}

// It holds the directory all the time, but no process of it lives for longer than one may look.
TEST_F(HoldersTest, WhoHandsItOnFasterThanOneCanLookIsSeenOrSaidToBeUnseen) {
  const std::string stop = outside("stop");
  const Child child([&](Child::Side& side) {
    if (::fork() == 0) {
      must(::open(path().c_str(), O_RDONLY | O_DIRECTORY), path());
      side.say("holds\n");
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      // The parent of each exits at once.
      while (::access(stop.c_str(), F_OK) != 0 && std::chrono::steady_clock::now() < end) {
        if (::fork() != 0) ::_exit(0);
      }
      ::_exit(0);
    }
    side.wait_to_be_told();
  });
  for (int i = 0; i < 10; ++i) {
    const HolderScan seen = os::scan_holders(path());
    const bool found =
        std::any_of(seen.holders.begin(), seen.holders.end(),
                    [&](const Holder& one) { return !one.possibly && one.example == path(); });
    const bool said = std::any_of(seen.unseen.begin(), seen.unseen.end(), [](const Unseen& one) {
      return one.what.starts_with("processes that start others and exit faster");
    });
    EXPECT_TRUE(found || said);
    EXPECT_NE(seen.verdict, HolderVerdict::kClear);
  }
  std::ofstream{stop};
}

TEST_F(HoldersTest, ASocketThatWasBoundByARelativeNameIsPossible) {
  const Child& child = holder([&] {
    must(::chdir(path().c_str()), "chdir");
    bind_socket("socket");
    must(::chdir("/"), "chdir");
  });
  const HolderScan seen = scan(path());
  const Holder* found = find(seen, child.pid());
  EXPECT_EQ(kinds(found), "1 bound socket");
  EXPECT_TRUE(found != nullptr && found->possibly);
  EXPECT_EQ(seen.verdict, HolderVerdict::kUnknown);
}

TEST_F(HoldersTest, AbstractSocketsAndThoseElsewhereAreNotMeant) {
  holder([&] {
    bind_socket(outside("socket"));
    bind_socket(path() + "-socket");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    file().copy(address.sun_path + 1, sizeof address.sun_path - 1);  // abstract
    const int socket = must(::socket(AF_UNIX, SOCK_STREAM, 0), "socket");
    must(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  });
  expect_free();
}

TEST_F(HoldersTest, AMountNamespaceThatIsOnlyKeptOpenIsUnseen) {
  if (const auto why = why_no_private_mounts(); !why.empty()) GTEST_SKIP() << why;
  const Child& child = holder([&] {
    const int before = must(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), "open");
    in_private_mounts();
    must(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), "open");
    must(::setns(before, CLONE_NEWNS), "setns");
  });
  const HolderScan seen = scan(path());
  const auto at = std::find_if(seen.unseen.begin(), seen.unseen.end(),
                               [&](const Unseen& one) { return one.pid == child.pid(); });
  ASSERT_NE(at, seen.unseen.end());
  EXPECT_EQ(at->what, "a mount namespace that it keeps open");
  EXPECT_EQ(seen.verdict, HolderVerdict::kUnknown);
}

// --- what is not a holder

TEST_F(HoldersTest, ANameThatOnlyBeginsAlikeIsNotMeant) {
  std::filesystem::create_directory(path() + "-old");
  const Child& child = holder([&] {
    must_open(path() + "-old/file", O_RDONLY);
    must_open(path() + " (deleted)", O_RDWR);
    must(::chdir((path() + "-old").c_str()), "chdir");
  });
  const HolderScan seen = scan(path());
  EXPECT_EQ(seen.leases.busy, 0u);
  // A file of the name "cache (deleted)" cannot be told from the removed "cache": a needless no.
  const Holder* found = find(seen, child.pid());
  EXPECT_TRUE(found == nullptr || kinds(found) == "1 descriptor") << kinds(found);
}

TEST_F(HoldersTest, AFileOfTheSameNameInAnotherNamespaceIsNotMeant) {
  if (const auto why = why_no_private_mounts(); !why.empty()) GTEST_SKIP() << why;
  holder([&] {
    in_private_mounts();
    must(::mount("none", directory_.path().c_str(), "tmpfs", 0, nullptr), "mount");
    std::filesystem::create_directory(path());
    must_open(path() + "/file", O_RDWR);
  });
  expect_free();
}

// --- what cannot be seen

TEST_F(HoldersTest, AnotherUsersProcessIsUnseenAndNothingIsClear) {
  if (const auto why = why_not_several_users(); !why.empty()) GTEST_SKIP() << why;
  const Child& root = holder([&] { must_open(file(), O_RDONLY); });
  std::filesystem::permissions(directory_.path(), std::filesystem::perms::all);
  std::filesystem::permissions(path(), std::filesystem::perms::all);
  Child nobody([&](Child::Side& test) {
    must(::setgid(65534), "setgid");
    must(::setuid(65534), "setuid");
    os::ScanBounds bounds;
    bounds.max_unseen = 100'000;  // other tests' processes are unseen, too
    const HolderScan seen = scan(path(), bounds);
    std::string text(to_string(seen.verdict));
    for (const Unseen& one : seen.unseen) {
      if (one.pid == root.pid()) text += ", unseen uid " + std::to_string(one.uid);
      if (one.pid == 2) text += ", unseen kernel thread";
    }
    text += ", " + std::to_string(seen.leases.refused) + " refused: " + seen.leases.refused_why;
    test.say(text + '\n');
    test.wait_to_be_told();
  });
  EXPECT_EQ(nobody.hear(), "unknown, unseen uid 0, 1 refused: Permission denied");
  nobody.tell();
  nobody.reap();
}

// --- prefixes

TEST_F(HoldersTest, ASymbolicLinkIsRefused) {
  const std::string link = outside("link");
  std::filesystem::create_symlink(path(), link);
  for (const std::string& prefix : {link, link + "/file", link + "/none"}) {
    const HolderScan seen = scan(prefix);
    EXPECT_NE(seen.problem.find("symbolic link"), std::string::npos) << prefix;
    EXPECT_EQ(seen.verdict, HolderVerdict::kUnknown) << prefix;
  }
}

TEST_F(HoldersTest, WhoHoldsARemovedTreeIsSeenWithoutIt) {
  const Child& child = holder([&] {
    must_open(file(), O_RDONLY);
    must(::chdir(path().c_str()), "chdir");
  });
  std::filesystem::remove_all(path());
  expect_held(child.pid(), "1 descriptor, 1 working directory", path());
}

TEST_F(HoldersTest, ATreeThatIsRemovedAndMadeAnewWhileOneLooksIsNeverFree) {
  const Child& child = holder([&] { must_open(file(), O_RDONLY); });
  std::atomic<bool> is_done = false;
  std::thread changes([&] {
    while (!is_done) {
      std::filesystem::remove_all(path());
      std::filesystem::create_directory(path());
      std::ofstream(path() + "/new") << "content";
    }
  });
  int looked = 0;
  for (int i = 0; i < 50; ++i) {
    const HolderScan seen = scan(path());
    EXPECT_NE(seen.verdict, HolderVerdict::kClear) << all(seen);
    if (!seen.problem.empty()) continue;
    ++looked;
    EXPECT_EQ(kinds(find(seen, child.pid())), "1 descriptor");
  }
  is_done = true;
  changes.join();
  EXPECT_GT(looked, 0);
}

TEST_F(HoldersTest, APrefixMayBeOneFile) {
  std::ofstream(path() + "/other") << "content";
  const Child& child = holder([&] { must_open(path() + "/other", O_RDONLY); });
  const HolderScan one = scan(file());
  EXPECT_EQ(find(one, child.pid()), nullptr);
  EXPECT_EQ(one.leases.proven, 1u);
  const HolderScan other = scan(path() + "/other");
  EXPECT_EQ(kinds(find(other, child.pid())), "1 descriptor");
  EXPECT_EQ(other.leases.busy, 1u);
}

TEST_F(HoldersTest, TheWholeHostIsHeld) {
  os::ScanBounds bounds;
  bounds.leases.max_files = 10;
  bounds.max_holders = 3;
  const HolderScan seen = scan("/", bounds);
  EXPECT_EQ(seen.verdict, HolderVerdict::kHeld);
  EXPECT_EQ(seen.holders.size(), 3u);
  EXPECT_GT(seen.more_holders, 0u);
  EXPECT_LE(seen.leases.files, 10u);
  EXPECT_FALSE(seen.leases.complete);
}

TEST_F(HoldersTest, LeasesStopAtTheirBounds) {
  for (int i = 0; i < 20; ++i) std::ofstream(path() + "/" + std::to_string(i)) << i;
  os::ScanBounds bounds;
  bounds.leases.max_files = 5;
  const HolderScan few = scan(path(), bounds);
  EXPECT_EQ(few.leases.proven, 5u);
  EXPECT_EQ(few.leases.incomplete_why, "stopped at 5 files");
  bounds.leases.max_files = 21;  // "file" and twenty: all of them
  EXPECT_TRUE(scan(path(), bounds).leases.all_proven());
  bounds.leases.max_time = std::chrono::milliseconds(0);
  EXPECT_EQ(scan(path(), bounds).leases.proven, 0u);
}

}  // namespace
}  // namespace muster::test
