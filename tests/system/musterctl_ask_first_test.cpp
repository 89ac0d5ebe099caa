// musterctl --ask-first, the programs: nobody releases anything unless everybody would.
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "support/temp_dir.h"
#include "system/musterctl_fixture.h"
#include "system/musterctl_hold_fixture.h"

namespace muster::test {
namespace {

class MusterctlAskFirst : public Musterctl {
 protected:
  std::string asked_of(Process& one) {
    one.end();
    return operations(one);
  }
};

TEST_F(MusterctlAskFirst, EverybodyIsAskedAndThenReleases) {
  Process& first = backend("alpha");
  Process& second = backend("beta");
  const Finished finished = programs.ctl({"release-handles", "--ask-first", "/usr"});
  EXPECT_EQ(finished.status, 0);
  EXPECT_EQ(settled(finished.out), "release-handles /usr: 2 of 2 acked in T (broadcast ID)\n");
  EXPECT_TRUE(settled(finished.err)
                  .starts_with("asked first: 2 backends would\n"
                               "broadcast ID: release-handles /usr: asked 2 backends\n"))
      << finished.err;
  for (Process* one : {&first, &second}) {
    EXPECT_EQ(asked_of(*one),
              "operation ID preflight of release-handles /usr\n"
              "operation ID release-handles /usr\n");
  }
}

TEST_F(MusterctlAskFirst, OneThatObjectsKeepsAllFromReleasing) {
  Process& willing = backend("alpha");
  Process& unwilling = backend("beta", {"--on-preflight", "reject:a build runs"});
  const Finished finished = programs.ctl({"release-handles", "--ask-first", "/usr"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_NE(finished.out.find("\"a build runs\"\n"), std::string::npos) << finished.out;
  EXPECT_TRUE(finished.out.ends_with("Nothing was released: 1 of 2 objects.\n")) << finished.out;
  for (Process* one : {&willing, &unwilling}) {
    EXPECT_EQ(asked_of(*one), "operation ID preflight of release-handles /usr\n");
  }
}

// One of the last wave keeps the first from being asked to release anything.
TEST_F(MusterctlAskFirst, BeforeWavesEverybodyIsAskedAtOnce) {
  Process& first = backend("alpha");
  Process& second = backend("beta");
  const Finished all = programs.ctl({"release-handles", "--ask-first", "--batch", "1", "/usr"});
  EXPECT_EQ(all.status, 0) << all.out << all.err;
  EXPECT_EQ(settled(all.out),
            "wave 1 of 2: 1 of 1 acked in T (broadcast ID)\n"
            "wave 2 of 2: 1 of 1 acked in T (broadcast ID)\n"
            "release-handles /usr: 2 of 2 acked in 2 waves\n");
  Process& last = backend("gamma", {"--on-preflight", "reject:a build runs"});
  const Finished none = programs.ctl({"release-handles", "--ask-first", "--batch", "1", "/usr"});
  EXPECT_EQ(none.status, 1);
  EXPECT_TRUE(none.out.ends_with("Nothing was released: 1 of 3 objects.\n")) << none.out;
  for (Process* one : {&first, &second}) {
    EXPECT_EQ(asked_of(*one),
              "operation ID preflight of release-handles /usr\n"
              "operation ID release-handles /usr\n"
              "operation ID preflight of release-handles /usr\n");
  }
  EXPECT_EQ(asked_of(last), "operation ID preflight of release-handles /usr\n");
}

TEST_F(MusterctlAskFirst, OneThatIsSilentOrGoneOrTooOldDoesSo) {
  const struct {
    const char* behaviour;
    const char* shown;
  } kRows[] = {
      {"silent", "  timed out   "},
      {"unsupported:too old", "  unsupported "},
      {"error:broken", "  failed      "},
      {"crash", "  failed      "},
  };
  for (const auto& row : kRows) {
    Process& one = backend("one", {"--on-preflight", row.behaviour});
    std::vector<std::string> command{"quiesce", "--ask-first"};
    if (row.behaviour == std::string("silent"))
      command.insert(command.end(), {"--timeout", "300ms"});
    const Finished finished = programs.ctl(command);
    EXPECT_EQ(finished.status, 1) << row.behaviour << finished.err;
    EXPECT_NE(finished.out.find(row.shown), std::string::npos) << finished.out;
    EXPECT_NE(finished.out.find("No backend was quiesced: "), std::string::npos) << finished.out;
    EXPECT_EQ(programs.ctl({"backends", "--json"}).out.find("MAINTENANCE"), std::string::npos)
        << row.behaviour;
    one.end();
  }
}

TEST_F(MusterctlAskFirst, WhoWouldQuiesceIsQuiescedByTheRealRoundAlone) {
  Process& willing = backend("alpha");
  EXPECT_EQ(programs.ctl({"quiesce", "--ask-first", "-q"}).status, 0);
  EXPECT_NE(programs.ctl({"backends"}).out.find("quiesced"), std::string::npos);
  EXPECT_EQ(asked_of(willing),
            "operation ID preflight of quiesce (maintenance)\n"
            "operation ID quiesce maintenance\n");
}

// "last" is the newest: a script that looks at it must not take it for the release.
TEST_F(MusterctlAskFirst, ItsReportIsNoYesAndHistorySaysWhatItWas) {
  backend("alpha");
  backend("beta", {"--on-preflight", "reject:no"});
  EXPECT_EQ(programs.ctl({"release-handles", "--ask-first", "-q", "/usr"}).status, 1);
  const Finished last = programs.ctl({"result", "last"});
  EXPECT_EQ(last.status, 1);
  EXPECT_NE(last.out.find("preflight of release-handles /usr: 1 of 2 would"), std::string::npos)
      << last.out;
  EXPECT_EQ(programs.ctl({"retry", "last"}).status, 2);
  const Finished all = programs.ctl({"history"});
  EXPECT_NE(all.out.find("preflight of release-handles /usr"), std::string::npos) << all.out;
  EXPECT_NE(all.out.find("1 of 2 would, 1 failed"), std::string::npos) << all.out;
  EXPECT_NE(programs.ctl({"history", "--json"}).out.find("\"path\":\"L3Vzcg==\""),
            std::string::npos)
      << "/usr, as bytes";
}

TEST_F(MusterctlAskFirst, NobodyRegisteredIsFiveAsEver) {
  EXPECT_EQ(programs.ctl({"release-handles", "--ask-first", "/usr"}).status, 5);
  EXPECT_EQ(programs.ctl({"release-handles", "--ask-first", "--allow-empty", "/usr"}).status, 0);
}

using MusterctlAskFirstHolding = MusterctlHold;

TEST_F(MusterctlAskFirstHolding, WithQuiescedRunsTheCommandOnlyIfEverybodyWould) {
  backend("alpha");
  Finished finished = ctl({"with-quiesced", "--ask-first", "--", "/bin/echo", "ran"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(finished.out, "ran\n");
  backend("beta", {"--on-preflight", "reject:no"});
  finished = ctl({"with-quiesced", "--ask-first", "--", "/bin/echo", "ran"});
  EXPECT_EQ(finished.status, 1) << finished.err;
  EXPECT_EQ(finished.out, "");
  EXPECT_NE(finished.err.find("No backend was quiesced: 1 of 2 objects.\n"), std::string::npos)
      << finished.err;
}

TEST_F(MusterctlAskFirstHolding, WithReleasedReleasesNoPathIfOneObjects) {
  Process& willing = keeper("alpha");
  EXPECT_EQ(with_released("touch ran", {"--ask-first"}).status, 0);
  EXPECT_TRUE(was_made("ran"));
  willing.wait_for("hold-ended");
  keeper("beta", {"--on-preflight", "reject:no"});
  const Finished finished = with_released("touch again", {"--ask-first"});
  EXPECT_EQ(finished.status, 1) << finished.err;
  EXPECT_FALSE(was_made("again"));
  EXPECT_NE(finished.err.find("Nothing was released: 1 of 2 objects.\n"), std::string::npos)
      << finished.err;
  EXPECT_EQ(holds_of(willing), "started, ended completed") << "the hold of the first alone";
}

}  // namespace
}  // namespace muster::test
