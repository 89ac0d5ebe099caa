// Files that are in use through other mounts and by the kernel itself, by a real holder of that
// kind.
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/swap.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "component/holders_fixture.h"
#include "support/file_holding.h"
#include "support/host_abilities.h"

namespace muster::test {
namespace {

// Runs a program of the system; its words are shown when it fails.
void run(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }

// --- mount namespaces, changed roots

TEST_F(HoldersTest, ABindMountOfAnotherNamespaceIsSeenThrough) {
  if (const auto why = why_no_private_mounts(); !why.empty()) GTEST_SKIP() << why;
  std::filesystem::create_directory(outside("elsewhere"));
  const Child& child = holder([&] {
    in_private_mounts();
    must(::mount(path().c_str(), outside("elsewhere").c_str(), nullptr, MS_BIND, nullptr), "bind");
    must_open(outside("elsewhere") + "/file", O_RDONLY);
    must(::chdir(outside("elsewhere").c_str()), "chdir");
  });
  expect_held(child.pid(), "1 descriptor, 1 working directory", outside("elsewhere"));
}

TEST_F(HoldersTest, AProcessWithAnotherRootIsSeen) {
  if (const auto why = why_not_several_users(); !why.empty()) GTEST_SKIP() << why;
  const Child& child = holder([&] {
    must(::chroot(path().c_str()), "chroot");
    must(::chdir("/"), "chdir");
    must_open("/file", O_RDONLY);
  });
  expect_held(child.pid(), "1 descriptor, 1 working directory, 1 root directory", path());
}

TEST_F(HoldersTest, AMountThatAnotherNamespaceKeptIsSeen) {
  if (const auto why = why_no_private_mounts(); !why.empty()) GTEST_SKIP() << why;
  const Child& child = holder([&] {
    in_private_mounts();
    must(::mount("none", path().c_str(), "tmpfs", 0, nullptr), "mount");
  });
  const HolderScan seen = scan(path());
  EXPECT_EQ(seen.verdict, HolderVerdict::kHeld);
  ASSERT_EQ(seen.holders.size(), 1u);
  EXPECT_EQ(kinds(&seen.holders[0]), "1 mount");
  EXPECT_EQ(seen.holders[0].pid, 0);
  EXPECT_EQ(seen.holders[0].object, path());
  EXPECT_EQ(seen.holders[0].inside, child.pid());
}

// As sandboxed services have them: ReadWritePaths= is a bind mount of the path on itself.
TEST_F(HoldersTest, ABindMountAloneHoldsNothing) {
  if (const auto why = why_no_private_mounts(); !why.empty()) GTEST_SKIP() << why;
  holder([&] {
    in_private_mounts();
    must(::mount(path().c_str(), path().c_str(), nullptr, MS_BIND, nullptr), "bind");
  });
  expect_free();
}

// In a namespace of its own, so that nothing of it stays when the test fails.
class HoldersMountTest : public HoldersTest {
 protected:
  void SetUp() override {
    if (const auto why = why_no_private_mounts(); !why.empty()) GTEST_SKIP() << why;
    HoldersTest::SetUp();
  }
  // Runs the look in a child with private mounts and gives back what it prints.
  [[nodiscard]] std::string look(const std::function<void()>& prepare, const std::string& where) {
    Child child([&](Child::Side& test) {
      try {
        in_private_mounts();
        prepare();
        const HolderScan seen = scan(where);
        std::string text = seen.problem;
        for (const Holder& one : seen.holders) {
          if (!text.empty()) text += "; ";
          text += one.possibly ? "possibly " : "";
          text += one.pid == 0            ? "kernel: " + one.object + ": "
                  : one.pid == ::getpid() ? "self: "
                                          : "other: ";
          text += kinds(&one);
        }
        test.say(std::string(to_string(seen.verdict)) + ": " + text + '\n');
      } catch (const std::exception& problem) {
        test.say(std::string(problem.what()) + '\n');
      }
      test.wait_to_be_told();
    });
    const std::string heard = child.hear();
    child.tell();
    child.reap();
    return heard;
  }
};

TEST_F(HoldersMountTest, AFileOnAMountThatWasDetachedIsPossible) {
  const auto text = look(
      [&] {
        must(::mount("none", path().c_str(), "tmpfs", 0, nullptr), "mount");
        must_open(path() + "/file", O_RDWR);
        const std::string again = outside("again");
        std::filesystem::create_directory(again);
        must(::mount(path().c_str(), again.c_str(), nullptr, MS_BIND, nullptr), "bind");
        must(::umount2(path().c_str(), MNT_DETACH), "umount");
      },
      outside("again"));
  EXPECT_EQ(text, "held: possibly self: 1 descriptor");  // by the lease
}

TEST_F(HoldersMountTest, AWorkingDirectoryOnAMountThatWasDetachedIsPossible) {
  const auto text = look(
      [&] {
        const std::string again = outside("again");
        std::filesystem::create_directory(again);
        std::filesystem::create_directory(path() + "/sub");
        must(::mount(path().c_str(), again.c_str(), nullptr, MS_BIND, nullptr), "bind");
        must(::chdir((again + "/sub").c_str()), "chdir");
        must(::umount2(again.c_str(), MNT_DETACH), "umount");
      },
      path());
  EXPECT_EQ(text, "unknown: possibly self: 1 working directory");
}

TEST_F(HoldersMountTest, OverlayLayersAreHeldByTheOverlayAndSeenThroughIt) {
  for (const char* name : {"lower", "upper", "work", "merged"}) {
    std::filesystem::create_directory(outside(name));
  }
  std::filesystem::create_directory(outside("upper") + "/sub");
  std::filesystem::create_directory(outside("upper") + "/other");
  std::ofstream(outside("lower") + "/file") << "content";
  const auto mounted = [&](const std::string& opened) {
    return [=, this] {
      const std::string options = "lowerdir=" + outside("lower") + ",upperdir=" + outside("upper") +
                                  ",workdir=" + outside("work");
      must(::mount("overlay", outside("merged").c_str(), "overlay", 0, options.c_str()), "overlay");
      must_open(outside("merged") + opened, O_RDWR);
    };
  };
  EXPECT_EQ(look(mounted("/file"), outside("lower")),
            "held: self: 1 descriptor; kernel: " + outside("merged") + ": 1 overlay layer");
  EXPECT_EQ(look(mounted("/sub/new"), outside("upper") + "/sub"), "held: self: 1 descriptor");
  EXPECT_EQ(look(mounted("/sub/new"), outside("upper") + "/other").find("held"), std::string::npos);
}

TEST_F(HoldersMountTest, AnotherMountOfTheFileSystemKeepsIt) {
  const auto text = look(
      [&] {
        must(::mount("none", path().c_str(), "tmpfs", 0, nullptr), "mount");
        const std::string again = outside("again");
        std::filesystem::create_directory(again);
        must(::mount(path().c_str(), again.c_str(), nullptr, MS_BIND, nullptr), "bind");
        must_open(again + "/file", O_RDWR);
      },
      path());
  EXPECT_EQ(text, "held: self: 1 descriptor");
}

TEST_F(HoldersMountTest, AMountNamespaceThatOnlyAMountKeepsIsUnseen) {
  Child child([&](Child::Side& test) {
    try {
      // Only a younger namespace can be mounted, and the kernel tells their ages by CPU.
      cpu_set_t this_one;
      CPU_ZERO(&this_one);
      CPU_SET(static_cast<unsigned>(must(::sched_getcpu(), "sched_getcpu")), &this_one);
      must(::sched_setaffinity(0, sizeof this_one, &this_one), "sched_setaffinity");
      in_private_mounts();
      std::filesystem::create_directory(outside("names"));
      must(::mount("none", outside("names").c_str(), "tmpfs", 0, nullptr), "mount");
      must(::mount(nullptr, outside("names").c_str(), nullptr, MS_PRIVATE, nullptr), "private");
      const std::string kept = outside("names") + "/kept";
      std::ofstream(kept) << "";
      Child inside([](Child::Side& parent) {
        in_private_mounts();
        parent.say("has its own\n");
        parent.wait_to_be_told();
      });
      static_cast<void>(inside.hear());
      const std::string its = "/proc/" + std::to_string(inside.pid()) + "/ns/mnt";
      must(::mount(its.c_str(), kept.c_str(), nullptr, MS_BIND, nullptr), its);
      inside.kill();
      inside.reap();
      const HolderScan seen = os::scan_holders(path());
      std::string text(to_string(seen.verdict));
      for (const Unseen& one : seen.unseen) {
        if (one.what.find(kept) != std::string::npos) text += ": " + one.what;
      }
      test.say(text + '\n');
    } catch (const std::exception& problem) {
      test.say(std::string(problem.what()) + '\n');
    }
    test.wait_to_be_told();
  });
  EXPECT_EQ(child.hear(),
            "unknown: the mount namespace that is kept at \"" + outside("names") + "/kept\"");
  child.tell();
  child.reap();
}

// A file system whose process does not answer: nothing on it may be opened.
TEST_F(HoldersMountTest, ADeadMountHangsNobody) {
  if (::access("/dev/fuse", R_OK | W_OK) != 0) GTEST_SKIP() << "there is no /dev/fuse";
  const auto dead = [&] {
    const int fuse = must(::open("/dev/fuse", O_RDWR | O_CLOEXEC), "/dev/fuse");
    std::filesystem::create_directory(path() + "/dead");
    const std::string options =
        "fd=" + std::to_string(fuse) + ",rootmode=40000,user_id=0,group_id=0";
    must(::mount("fuse", (path() + "/dead").c_str(), "fuse", 0, options.c_str()), "fuse");
  };
  EXPECT_NE(look(dead, path()), "");
  EXPECT_NE(look(dead, path() + "/dead"), "");
  EXPECT_EQ(look(dead, path() + "/dead/below").substr(0, 5), "unkno");
}

// --- the kernel's own

TEST_F(HoldersTest, ALoopDeviceOnADeletedImageIsSeen) {
  if (::geteuid() != 0 || ::access("/dev/loop-control", W_OK) != 0)
    GTEST_SKIP() << "no loop devices";
  run("truncate -s 1M '" + path() + "/image' && losetup -f '" + path() + "/image'");
  std::filesystem::remove(path() + "/image");
  const HolderScan seen = scan(path());
  ASSERT_EQ(seen.holders.size(), 1u);
  EXPECT_EQ(kinds(&seen.holders[0]), "1 loop device");
  EXPECT_TRUE(seen.holders[0].object.starts_with("/dev/loop")) << seen.holders[0].object;
  EXPECT_TRUE(seen.holders[0].deleted);
  EXPECT_EQ(seen.holders[0].example, path() + "/image");
  EXPECT_EQ(seen.verdict, HolderVerdict::kHeld);
  run("losetup -d " + seen.holders[0].object);
  expect_free();
}

TEST_F(HoldersTest, ASwapFileIsSeen) {
  const std::string swap = path() + "/swap file";
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  run("dd if=/dev/zero of='" + swap + "' bs=1M count=1 2>/dev/null && chmod 600 '" + swap +
      "' && mkswap '" + swap + "' > /dev/null");
  if (::swapon(swap.c_str(), 0) != 0) GTEST_SKIP() << "this file system takes no swap files";
  const HolderScan seen = scan(path());
  EXPECT_EQ(::swapoff(swap.c_str()), 0);
  ASSERT_EQ(seen.holders.size(), 1u);
  EXPECT_EQ(kinds(&seen.holders[0]), "1 swap file");
  EXPECT_EQ(seen.holders[0].object, swap);
  EXPECT_EQ(seen.verdict, HolderVerdict::kHeld);
  expect_free();
}

}  // namespace
}  // namespace muster::test
