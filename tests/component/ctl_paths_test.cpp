// The path that musterctl release-handles asks for.
#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "component/ctl_commands_fixture.h"

namespace muster::ctl {
namespace {

TEST_F(Commands, ARelativePathIsTakenFromHere) {
  play(answer_all);
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(broker->dir());
  said({"release-handles", "--detach", "a/../b"});
  said({"release-handles", "--detach", "."});
  said({"release-handles", "--detach", "--", "-x"});
  std::filesystem::current_path(here);
  const std::string dir = std::filesystem::canonical(broker->dir()).native();
  EXPECT_EQ(broker->requests(), "broadcast release-handles " + dir + "/b detach\n" +
                                    "broadcast release-handles " + dir + " detach\n" +
                                    "broadcast release-handles " + dir + "/-x detach\n");
}

// ~/work -> /data/work: backends that were started there say ~/work, and so does the shell.
TEST_F(Commands, ARelativePathHasTheSpellingOfTheShellAsItsAlias) {
  play(answer_all);
  const auto here = std::filesystem::current_path();
  const char* const pwd = std::getenv("PWD");
  const std::string before = pwd == nullptr ? "" : pwd;
  const std::string dir = std::filesystem::canonical(broker->dir()).native();
  std::filesystem::create_directories(dir + "/deep/x");
  std::filesystem::create_directory_symlink("deep", dir + "/link");
  std::filesystem::current_path(dir + "/link");
  ::setenv("PWD", (dir + "/link").c_str(), 1);
  said({"release-handles", "--detach", "x"});
  ::setenv("PWD", dir.c_str(), 1);  // it is not there
  said({"release-handles", "--detach", "x"});
  ::setenv("PWD", (dir + "/link/../deep").c_str(), 1);  // no shell says it so
  said({"release-handles", "--detach", "x"});
  ::setenv("PWD", before.c_str(), 1);
  std::filesystem::current_path(here);
  const std::string asked = "broadcast release-handles " + dir + "/deep/x";
  EXPECT_EQ(broker->requests(), asked + " alias=" + dir + "/link/x detach\n" + asked + " detach\n" +
                                    asked + " detach\n");
}

TEST_F(Commands, APathIsAskedForWithoutItsLinksAndAsItWasWritten) {
  play(answer_all);
  const std::string dir = std::filesystem::canonical(broker->dir()).native();
  std::filesystem::create_directories(dir + "/real/deep");
  std::filesystem::create_directory_symlink("real/deep", dir + "/link");
  EXPECT_EQ(said({"release-handles", "--detach", dir + "/link"}), "0 | 17\n | ");
  EXPECT_EQ(said({"release-handles", "--detach", dir + "/real//deep/."}), "0 | 17\n | ");
  // As text this is dir, which nobody meant: no alias.
  EXPECT_EQ(said({"release-handles", "--detach", dir + "/link/.."}), "0 | 17\n | ");
  EXPECT_EQ(broker->requests(), "broadcast release-handles " + dir + "/real/deep alias=" + dir +
                                    "/link detach\n" + "broadcast release-handles " + dir +
                                    "/real/deep detach\n" + "broadcast release-handles " + dir +
                                    "/real detach\n");
}

TEST_F(Commands, AnOddPathIsAskedForAllTheSameWithAWarning) {
  play(answer_all);
  const std::string dir = std::filesystem::canonical(broker->dir()).native();
  const std::string gone = dir + "/gone";
  const std::string sentence = gone + " does not exist: going on with the path as it is written";
  EXPECT_EQ(said({"release-handles", "--detach", gone}),
            "0 | 17\n | musterctl: warning: " + sentence + "\n");
  EXPECT_EQ(said({"release-handles", "--detach", "--json", gone}),
            "0 | "
            "{\"broadcast_id\":\"17\",\"targets\":2,\"skipped_dead\":0,\"joined\":false,\"backends_"
            "unknown\":false,"
            "\"warnings\":[\"" +
                sentence + "\"]}\n | ");
  // --quiet leaves out the answer, not what it is worth.
  const std::string warned = "1 |  | musterctl: warning: " + sentence + "\n";
  EXPECT_EQ(said({"release-handles", "--quiet", gone}), warned);
  EXPECT_EQ(said({"release-handles", "--quiet", "--json", gone}), warned);
  const std::string dry = said({"release-handles", "--dry-run", "--json", gone});
  EXPECT_TRUE(dry.ends_with(",\"warnings\":[\"" + sentence + "\"]}\n | ")) << dry;
  const std::string report = said({"release-handles", "--json", gone});
  EXPECT_TRUE(report.ends_with(",\"warnings\":[\"" + sentence + "\"]}\n | ")) << report;
  console.err_is_lost = true;
  EXPECT_EQ(said({"release-handles", "--detach", gone}).substr(0, 5), "74 | ");
  EXPECT_EQ(said({"release-handles", "--quiet", gone}).substr(0, 5), "74 | ");
}

TEST_F(Commands, APathThatCannotBeResolvedIsAnErrorAndNoBackendIsAsked) {
  play(answer_all);
  const std::string dir = std::filesystem::canonical(broker->dir()).native();
  std::filesystem::create_symlink("loop", dir + "/loop");
  const std::string sentence =
      dir + "/loop/x cannot be resolved: " + dir +
      "/loop: Too many levels of symbolic links: repair the link, or name the path that is meant, "
      "or ask for it as it is written with --as-written";
  const std::string path = dir + "/loop//x";
  for (const std::string more : {"-q", "-v", "--detach", "--dry-run", "--key=k"}) {
    EXPECT_EQ(said({"release-handles", more, path}), "2 |  | musterctl: " + sentence + "\n");
  }
  EXPECT_EQ(said({"release-handles", "--json", path}),
            "2 | {\"error\":{\"code\":\"USAGE\",\"message\":\"" + sentence + "\"}}\n | ");
  EXPECT_EQ(broker->requests(), "");
  EXPECT_EQ(said({"release-handles", "-q", "--as-written", path}), "1 |  | ");
  EXPECT_EQ(broker->requests(), "broadcast release-handles " + dir + "/loop/x events\n");
}

}  // namespace
}  // namespace muster::ctl
