// A path as an operator writes it, against real directories, links and file systems.
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "musterctl/resolve_path.h"
#include "os/unique_fd.h"
#include "support/temp_dir.h"

namespace muster::ctl {
namespace {

namespace fs = std::filesystem;

class ResolvePath : public testing::Test {
 protected:
  ResolvePath() : root(fs::canonical(dir.path()).native()) {
    fs::create_directories(root + "/real/deep");
    std::ofstream(root + "/real/file") << "x";
    fs::create_directory_symlink("real/deep", root + "/link");
    fs::create_directory_symlink(root + "/link", root + "/link-to-link");
    fs::create_symlink("nowhere/x", root + "/dangling");
    fs::create_symlink("loop", root + "/loop");
    fs::create_symlink("../file", root + "/real/deep/up");
  }

  // "path (alias) | warning", or "not asked: problem", without the directory of the test.
  std::string resolved(const std::string& text) {
    const ResolvedPath found = resolve_path(text);
    std::string shown = found.problem.empty() ? found.path : "not asked: " + found.problem;
    if (!found.alias.empty()) shown += " (" + found.alias + ')';
    for (const std::string& warning : found.warnings) shown += " | " + warning;
    for (std::size_t at = 0; (at = shown.find(root, at)) != std::string::npos;) {
      shown.replace(at, root.size(), "R");
    }
    return shown;
  }

  test::TempDir dir;
  std::string root;
};

TEST_F(ResolvePath, FollowsLinksAndKeepsTheSpelling) {
  struct Row {
    const char* text;
    const char* wanted;
  };
  const Row rows[] = {
      {"/real", "R/real"},
      {"/real/", "R/real"},
      {"/real/./deep//", "R/real/deep"},
      {"/link", "R/real/deep (R/link)"},
      {"/link/", "R/real/deep (R/link)"},
      {"/link-to-link", "R/real/deep (R/link-to-link)"},
      {"/link/up", "R/real/file (R/link/up)"},
      {"/real/../link", "R/real/deep (R/link)"},
      // ".." is the parent of what a link leads to; as text it is another place, so no alias.
      {"/link/..", "R/real"},
      {"/link/../file", "R/real/file"},
      {"/link/../../real", "R/real"},
  };
  for (const Row& row : rows) EXPECT_EQ(resolved(root + row.text), row.wanted) << row.text;
  EXPECT_EQ(resolved("/"), "/");
  EXPECT_EQ(resolved("/.."), "/");
}

TEST_F(ResolvePath, TakesWhatDoesNotExistAndSaysSo) {
  const std::string why = " does not exist: going on with the path as it is written";
  EXPECT_EQ(resolved(root + "/gone"), "R/gone | R/gone" + why);
  EXPECT_EQ(resolved(root + "/gone/../other/x"), "R/other/x | R/other/x" + why);
  EXPECT_EQ(resolved(root + "/gone/../link/x"), "R/real/deep/x (R/link/x) | R/real/deep/x" + why);
  EXPECT_EQ(resolved(root + "/link/gone"),
            "R/real/deep/gone (R/link/gone) | R/real/deep/gone" + why);
  // What was there may still be open by the name that the link leads to.
  EXPECT_EQ(resolved(root + "/dangling"), "R/nowhere/x (R/dangling) | R/nowhere/x" + why);
}

TEST_F(ResolvePath, SaysWhatTheShellDidNotExpand) {
  const auto here = fs::current_path();
  fs::current_path(root);
  const auto shell = [](const std::string& path, const std::string& what, const std::string& text) {
    return path + " | " + path + " does not exist: the shell did not expand " + what + " in \"" +
           text + "\": write it without quotes";
  };
  EXPECT_EQ(resolved("~/x"), shell("R/~/x", "~", "~/x"));
  EXPECT_EQ(resolved("~"), shell("R/~", "~", "~"));
  EXPECT_EQ(resolved("~alice/x"), shell("R/~alice/x", "~alice", "~alice/x"));
  EXPECT_EQ(resolved("$HOME/x"), shell("R/$HOME/x", "$HOME", "$HOME/x"));
  EXPECT_EQ(resolved("/none/${X}/y"), shell("/none/${X}/y", "${X}", "/none/${X}/y"));
  EXPECT_EQ(
      resolved(root + "/*.log"),
      "R/*.log | R/*.log does not exist: the shell did not expand the pattern in \"R/*.log\": "
      "write it without quotes");
  // One that is there is meant.
  fs::create_directories(root + "/~/x");
  EXPECT_EQ(resolved("~/x"), "R/~/x");
  fs::current_path(here);
}

constexpr char kAsWritten[] = ", or ask for it as it is written with --as-written";

TEST_F(ResolvePath, IsAProblemWhereItCannotBeFollowed) {
  EXPECT_EQ(resolved(root + "/loop/x"),
            std::string("not asked: R/loop/x cannot be resolved: R/loop: Too many levels of "
                        "symbolic links: repair the link, or name the path that is meant") +
                kAsWritten);
  EXPECT_EQ(resolved(root + "/real/file/x"),
            std::string("not asked: R/real/file/x cannot be resolved: R/real/file/x: Not a "
                        "directory: name a path that can exist") +
                kAsWritten);
  const std::string name(300, 'n');
  EXPECT_EQ(resolved(root + "/link/" + name + "/x"),
            "not asked: R/link/" + name + "/x cannot be resolved: R/real/deep/" + name +
                ": File name too long: name a path that can exist" + kAsWritten);
  // What is missing before it does not hide it.
  EXPECT_EQ(resolved(root + "/gone/../loop").find("not asked: R/loop cannot be resolved: R/loop: "),
            0u);
  // A link to a long path makes one that no broker takes.
  std::string deep = root;
  for (int i = 0; i < 16; ++i) deep += '/' + std::string(200, 'd');
  fs::create_directories(deep);
  fs::create_directory_symlink(deep, root + "/l");
  std::string more;
  for (int i = 0; i < 5; ++i) more += '/' + std::string(200, 'm');
  const std::string text = resolved(root + "/l" + more);
  EXPECT_EQ(text.find("not asked: R/l/mmm"), 0u) << text;
  EXPECT_NE(text.find(": name a shorter path to the same place"), std::string::npos) << text;
}

TEST_F(ResolvePath, IsAProblemWhereItMayNotLook) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
  ASSERT_EQ(::chmod(root.c_str(), 0755), 0);
  ASSERT_EQ(::chmod((root + "/real").c_str(), 0700), 0);
  ASSERT_EQ(::seteuid(65534), 0);
  const std::string text = resolved(root + "/link/x");
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_EQ(text, std::string("not asked: R/link/x cannot be resolved: R/real/deep: Permission "
                              "denied: run musterctl as root or as a user who may look there") +
                      kAsWritten);
}

// Who looks is a process of its own, with descriptors of its own.
TEST_F(ResolvePath, IsAProblemWhereItLeadsThroughTheProcessThatLooks) {
  const os::UniqueFd open(::open((root + "/real").c_str(), O_RDONLY | O_DIRECTORY));
  const std::string fd = std::to_string(open.get());
  fs::create_symlink("/proc/self/fd/" + fd, root + "/open");
  const auto problem = [](const std::string& path, const std::string& link) {
    return "not asked: " + path + " cannot be resolved: it leads through " + link +
           ", which is another place for every process: name the path it leads to (`readlink -f " +
           path + "` shows it)";
  };
  for (const std::string& path : {"/proc/self/fd/" + fd, "/proc/self/fd/" + fd + "/deep",
                                  std::string("/proc/self/cwd"), std::string("/proc/self")}) {
    EXPECT_EQ(resolved(path), problem(path, "/proc/self"));
  }
  EXPECT_EQ(resolved("/proc/thread-self/root"),
            problem("/proc/thread-self/root", "/proc/thread-self"));
  EXPECT_EQ(resolved(root + "/open/x"), problem("R/open/x", "/proc/self"));
  if (fs::exists("/dev/fd")) {
    EXPECT_EQ(resolved("/dev/fd/" + fd), problem("/dev/fd/" + fd, "/proc/self"));
  }
  // Only in a file system of that kind.
  fs::create_directory_symlink("real", root + "/self");
  EXPECT_EQ(resolved(root + "/self/x"),
            "R/real/x (R/self/x) | R/real/x does not exist: going on with the path as it is "
            "written");
}

// The text of such a link is no way to what it leads to.
TEST_F(ResolvePath, DoesNotBelieveALinkOfTheKernelThatLeadsElsewhere) {
  fs::create_directories(root + "/gone");
  const os::UniqueFd open(::open((root + "/gone").c_str(), O_RDONLY | O_DIRECTORY));
  fs::rename(root + "/gone", root + "/moved");
  const std::string link =
      "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(open.get());
  EXPECT_EQ(resolved(link), "R/moved (" + link + ")");
  fs::remove(root + "/moved");
  fs::create_directories(root + "/moved (deleted)");
  EXPECT_EQ(resolved(link), "not asked: " + link +
                                " cannot be resolved: it leads through a link of the kernel that "
                                "has no other name here: name another path to the same place" +
                                kAsWritten);
}

TEST_F(ResolvePath, DoesNotWaitForAFileSystemThatDoesNotAnswer) {
  // A file system whose server never says a word.
  os::UniqueFd server(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  const std::string options =
      "fd=" + std::to_string(server.get()) + ",rootmode=40000,user_id=0,group_id=0";
  fs::create_directories(root + "/dead");
  if (!server || ::mount("dead", (root + "/dead").c_str(), "fuse", 0, options.c_str()) != 0) {
    GTEST_SKIP() << "needs the right to mount a FUSE file system";
  }
  fs::create_directory_symlink("dead", root + "/to-dead");
  for (const std::string path : {"/dead/x", "/to-dead/x"}) {
    const auto before = std::chrono::steady_clock::now();
    const ResolvedPath found = resolve_path(root + path, std::chrono::milliseconds(50));
    const auto took = std::chrono::steady_clock::now() - before;
    EXPECT_EQ(found.problem, root + path +
                                 " cannot be resolved: its file system does not answer: repair or "
                                 "unmount that file system" +
                                 kAsWritten);
    EXPECT_LT(took, std::chrono::seconds(5));
  }
  EXPECT_EQ(::umount2((root + "/dead").c_str(), MNT_DETACH), 0);
  // Who still waits for it was killed, and ends at the latest when the server does.
  server = {};
  while (::waitpid(-1, nullptr, 0) > 0) {
  }
}

}  // namespace
}  // namespace muster::ctl
