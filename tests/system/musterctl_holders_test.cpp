// musterctl holders, the program: who has files in use, what would end it, and the exit status that
// a script acts on.
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <regex>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <sys/mount.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/child.h"
#include "support/file_holding.h"
#include "support/host_abilities.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "system/programs.h"

namespace muster::test {
namespace {

class MusterctlHolders : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(path());
    std::ofstream(path() + "/file") << "content";
  }
  [[nodiscard]] std::string path() const { return (directory_ / "cache").native(); }
  [[nodiscard]] std::string file() const { return path() + "/file"; }
  // Where no broker is.
  [[nodiscard]] ProcessOptions options() const {
    return {{{"MUSTER_SOCKET_DIR", (directory_ / "none").native()}}, directory_.path()};
  }
  [[nodiscard]] Finished holders(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {program("musterctl"), "holders"});
    return run_program(std::move(arguments), options());
  }
  Child& holder(const std::function<void()>& how) {
    std::string problem;
    auto child = start_holder(how, problem);
    if (child == nullptr) throw std::runtime_error(problem);
    children_.push_back(std::move(child));
    return *children_.back();
  }

  TempDir directory_;
  std::vector<std::unique_ptr<Child>> children_;
};

TEST_F(MusterctlHolders, NamesWhoHoldsAndEndsWithSix) {
  const Child& child = holder([this] { must_open(file(), O_RDONLY); });
  const std::string pid = std::to_string(child.pid());
  const Finished text = holders({path()});
  EXPECT_EQ(text.status, 6);
  // Other rows, of what is in flight elsewhere just now, may make columns wider.
  EXPECT_TRUE(std::regex_search(text.out, std::regex('\n' + pid + " .* 1 descriptor +" + file())))
      << text.out;
  EXPECT_NE(text.out.find("Held: 1 holder has files below " + path() +
                          " in use (0 of 1 file proven free; 1 is open, as " + file() + ").\n"),
            std::string::npos)
      << text.out;
  const Finished json = holders({"--json", path()});
  EXPECT_EQ(json.status, 6);
  EXPECT_TRUE(json.out.starts_with("{\"verdict\":\"held\",\"scans\":[{\"path\":\"" + path() + "\""))
      << json.out;
  EXPECT_NE(json.out.find("{\"pid\":" + pid + ","), std::string::npos) << json.out;
  EXPECT_NE(json.out.find("\"held\":[{\"kind\":\"DESCRIPTOR\",\"count\":\"1\"}],\"example\":\"" +
                          file() + "\""),
            std::string::npos)
      << json.out;
}

TEST_F(MusterctlHolders, FollowsLinksAndRelativeNamesAndTakesSeveralPaths) {
  std::filesystem::create_directory_symlink(path(), directory_ / "link");
  std::filesystem::create_directory(directory_ / "free");
  const Child& child = holder([this] { must_open(file(), O_RDONLY); });
  const Finished link = holders({"link"});
  EXPECT_EQ(link.status, 6);
  EXPECT_NE(link.out.find(file()), std::string::npos) << link.out;
  const Finished both = holders({"free", "cache"});
  EXPECT_EQ(both.status, 6);
  EXPECT_NE(both.out.find("below " + (directory_ / "free").native()), std::string::npos)
      << both.out;
  EXPECT_NE(both.out.find('\n' + std::to_string(child.pid()) + "  "), std::string::npos)
      << both.out;
}

TEST_F(MusterctlHolders, AsWrittenFollowsNoLink) {
  std::filesystem::create_directory_symlink(path(), directory_ / "link");
  const Child& child = holder([this] { must_open(file(), O_RDONLY); });
  const Finished whole = holders({"--as-written", path()});
  EXPECT_EQ(whole.status, 6);
  EXPECT_NE(whole.out.find('\n' + std::to_string(child.pid()) + "  "), std::string::npos)
      << whole.out;
  const Finished link = holders({"--as-written", "link"});
  EXPECT_EQ(link.status, 6);
  EXPECT_TRUE(link.out.starts_with("Unknown: there is a symbolic link in ")) << link.out;
}

TEST_F(MusterctlHolders, SeesWhoHasARemovedTree) {
  const Child& child = holder([this] { must_open(file(), O_RDONLY); });
  std::filesystem::remove_all(path());
  const Finished gone = holders({path()});
  EXPECT_EQ(gone.status, 6);
  EXPECT_NE(gone.out.find('\n' + std::to_string(child.pid()) + "  "), std::string::npos)
      << gone.out;
  EXPECT_NE(gone.out.find(file() + " (deleted)"), std::string::npos) << gone.out;
  EXPECT_NE(gone.err.find("does not exist"), std::string::npos) << gone.err;
}

TEST_F(MusterctlHolders, IsNoHolderItself) {
  ProcessOptions inside = options();
  inside.directory = path();
  Process musterctl({program("musterctl"), "holders", "."}, inside);
  const std::string pid = std::to_string(musterctl.pid());
  const Finished text = musterctl.finish();
  // Others' musterctl may well be seen.
  EXPECT_EQ(text.out.find('\n' + pid + ' '), std::string::npos) << text.out;
}

TEST_F(MusterctlHolders, WrongUseIsTwo) {
  EXPECT_EQ(holders({}).status, 2);
  EXPECT_EQ(holders({""}).status, 2);
  EXPECT_EQ(holders({"--wrong", path()}).status, 2);
}

TEST_F(MusterctlHolders, WithoutTheRightsItIsUnknown) {
  if (const auto why = why_not_several_users(); !why.empty()) GTEST_SKIP() << why;
  holder([this] { must_open(file(), O_RDONLY); });  // root's
  std::filesystem::permissions(directory_.path(), std::filesystem::perms::all);
  const Finished text = run_program({"/usr/bin/setpriv", "--reuid=65534", "--clear-groups",
                                     program("musterctl"), "holders", path()},
                                    options());
  EXPECT_EQ(text.status, 6);
  EXPECT_NE(text.out.find("\nUnknown: nobody was found"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("Permission denied"), std::string::npos) << text.out;
}

// Until nobody holds it. Other processes of the host may have descriptors in flight for a moment,
// so one look would not do.
TEST_F(MusterctlHolders, WatchEndsWithZeroWhenNobodyHoldsIt) {
  if (const auto why = why_no_private_mounts(); !why.empty()) GTEST_SKIP() << why;
  holder([this] { must_open(file(), O_RDONLY); });
  ProcessOptions private_mounts = options();
  // In a container even root may be kept from looking at its first process.
  private_mounts.before_exec = [] {
    return ::unshare(CLONE_NEWNS) == 0 &&
           ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("none", "/proc/1", "tmpfs", 0, nullptr) == 0;
  };
  Process watch({program("musterctl"), "holders", "--watch", path()}, private_mounts);
  EXPECT_TRUE(watch.wait_for("Held:").starts_with("Held: 1 holder has"));
  children_.clear();
  const Finished finished = watch.finish();
  EXPECT_EQ(finished.status, 0) << finished.out << finished.err;
  EXPECT_TRUE(finished.out.ends_with("Clear: nobody has a file below " + path() +
                                     " in use (1 of 1 file proven free).\n"))
      << finished.out;
}

TEST_F(MusterctlHolders, CtrlCEndsAWatch) {
  holder([this] { must_open(file(), O_RDONLY); });
  Process watch({program("musterctl"), "holders", "--watch", path()}, options());
  watch.wait_for("Held:");
  EXPECT_EQ(watch.end(SIGINT).status, 128 + SIGINT);
}

TEST(MusterctlHoldersOfABackend, SayAsWhatItIsRegistered) {
  Programs programs;
  const std::filesystem::path held = programs.dir() / "held";
  std::filesystem::create_directory(held);
  ProcessOptions inside = programs.options();
  inside.directory = held;
  Process backend({program("muster-fake-backend"), "--service", "cache"}, inside);
  backend.wait_for("registered");
  const Finished text = programs.ctl({"holders", held.native()});
  EXPECT_EQ(text.status, 6);
  EXPECT_NE(text.out.find("cache 1.0.0"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("musterctl release-handles " + held.native() + '\n'), std::string::npos)
      << text.out;
}

}  // namespace
}  // namespace muster::test
