// Broadcasts in waves, with real programs: who is asked when, when it stops, and who comes, leaves
// or dies meanwhile.
#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "system/musterctl_fixture.h"
#include "system/musterctl_hold_fixture.h"

namespace muster::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class MusterctlWaves : public Musterctl {
 protected:
  // That of wave `count` is out: its backends were asked, or will be, whatever happens from now on.
  void wait_for_broadcasts(int count) {
    for (int i = 0; i < count; ++i) programs.broker().wait_for("broadcast started");
  }
  // One that answers when it is told to go on.
  Process& held_up(const std::string& service, std::vector<std::string> more = {}) {
    Process& started = backend(service, std::move(more));
    started.signal(SIGSTOP);
    return started;
  }
  static bool was_asked(Process& backend) {
    backend.end();
    return operations(backend) == "operation ID release-handles /usr\n";
  }
};

TEST_F(MusterctlWaves, AskSoManyAtATimeInTheOrderOfRegistration) {
  for (const char* name : {"c", "a", "b", "e", "d"}) backend(name);
  const Finished finished = programs.ctl({"release-handles", "--batch", "2", "/usr"});
  EXPECT_EQ(picture(finished),
            "0\n"
            "wave 1 of 3: 2 of 2 acked in T (broadcast ID)\n"
            "wave 2 of 3: 2 of 2 acked in T (broadcast ID)\n"
            "wave 3 of 3: 1 of 1 acked in T (broadcast ID)\n"
            "release-handles /usr: 5 of 5 acked in 3 waves\n"
            "--- stderr\n");
  EXPECT_THAT(programs.ctl({"result", "-v"}).out, HasSubstr("acked       d 1.0.0"));
  EXPECT_EQ(programs.ctl({"release-handles", "-q", "--batch", "34%", "/usr"}).status, 0);
  EXPECT_EQ(first_line(settled(programs.ctl({"quiesce", "--batch", "50%"}).out)),
            "wave 1 of 2: 3 of 3 acked in T (broadcast ID)");
}

TEST_F(MusterctlWaves, StopAtTheFirstFailureAndNameTheRest) {
  Process& first = backend("first");
  backend("no", {"--on-release", "reject:busy"});
  Process& third = backend("third");
  Process& fourth = backend("fourth");
  const Finished finished = programs.ctl({"release-handles", "--batch", "1", "/usr"});
  EXPECT_EQ(picture(finished),
            "1\n"
            "wave 1 of 4: 1 of 1 acked in T (broadcast ID)\n"
            "wave 2 of 4: 0 of 1 acked in T (broadcast ID)\n"
            "  rejected    no 1.0.0 (pid P, uid U): \"busy\"\n"
            "  not asked   third 1.0.0 (pid P, uid U)\n"
            "  not asked   fourth 1.0.0 (pid P, uid U)\n"
            "release-handles /usr: stopped after wave 2 of 4: 1 failure is more than "
            "--max-failures 0: 1 of 2 acked; 2 backends were not asked\n"
            "--- stderr\n");
  EXPECT_TRUE(was_asked(first));
  EXPECT_FALSE(was_asked(third));
  EXPECT_FALSE(was_asked(fourth));
}

TEST_F(MusterctlWaves, TolerateSoManyFailuresAndAreNoYesForIt) {
  backend("no", {"--on-release", "reject:busy"});
  backend("b");
  backend("nono", {"--on-release", "reject:busy"});
  backend("d");
  const auto status_and_waves = [&](const std::string& most) {
    const Finished finished =
        programs.ctl({"release-handles", "--batch", "1", "--max-failures", most, "/usr"});
    return std::to_string(finished.status) +
           finished.out.substr(finished.out.rfind("release-handles"));
  };
  const std::string stopped = "1release-handles /usr: stopped after wave ";
  EXPECT_THAT(status_and_waves("0"), HasSubstr(stopped + "1 of 4"));
  EXPECT_THAT(status_and_waves("1"), HasSubstr(stopped + "3 of 4"));
  EXPECT_THAT(status_and_waves("49%"), HasSubstr(stopped + "3 of 4"));
  EXPECT_EQ(status_and_waves("2"), "1release-handles /usr: 2 of 4 acked in 4 waves\n");
  EXPECT_EQ(status_and_waves("50%"), "1release-handles /usr: 2 of 4 acked in 4 waves\n");
}

TEST_F(MusterctlWaves, BeginWithACanary) {
  Process& other = backend("other");
  backend("canary", {"--label", "tier=canary", "--on-release", "reject:no", "--on-release", "ack"});
  const std::vector<std::string> command = {"release-handles", "--first", "label.tier=canary",
                                            "/usr"};
  const Finished refused = programs.ctl(command);
  EXPECT_EQ(picture(refused),
            "1\n"
            "wave 1 of 2 (--first): 0 of 1 acked in T (broadcast ID)\n"
            "  rejected    canary 1.0.0 (pid P, uid U): \"no\"\n"
            "  not asked   other 1.0.0 (pid P, uid U)\n"
            "release-handles /usr: stopped after wave 1 of 2: 1 failure is more than "
            "--max-failures 0: 0 of 1 acked; 1 backend was not asked\n"
            "--- stderr\n");
  EXPECT_EQ(picture(programs.ctl(command)),
            "0\n"
            "wave 1 of 2 (--first): 1 of 1 acked in T (broadcast ID)\n"
            "wave 2 of 2: 1 of 1 acked in T (broadcast ID)\n"
            "release-handles /usr: 2 of 2 acked in 2 waves\n"
            "--- stderr\n");
  EXPECT_TRUE(was_asked(other));
}

TEST_F(MusterctlWaves, WithoutACanaryAskNobody) {
  Process& other = backend("other");
  for (const char* more : {"-q", "--allow-empty"}) {
    EXPECT_EQ(picture(programs.ctl({"release-handles", "--first", "service=x", more, "/usr"})),
              "5\n"
              "--- stderr\n"
              "musterctl: --first matches none of the 1 backend that would be asked: no backend "
              "was asked\n");
  }
  EXPECT_FALSE(was_asked(other));
}

TEST_F(MusterctlWaves, OfNobodyHaveTheirOwnStatus) {
  const std::vector<std::string> command = {"release-handles", "--batch", "1", "--first",
                                            "service=x"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), command.begin(), command.end());
    return programs.ctl(std::move(more));
  };
  EXPECT_EQ(picture(with({"/usr"})),
            "5\n"
            "release-handles /usr: no backend was asked: there was no live backend\n"
            "--- stderr\n");
  EXPECT_EQ(with({"--allow-empty", "/usr"}).status, 0);
  programs.dead_backend("soldr");
  EXPECT_EQ(picture(with({"/usr"})),
            "5\n"
            "  skipped     soldr 1.0.0: it was dead\n"
            "release-handles /usr: no backend was asked: there was no live backend\n"
            "--- stderr\n");
}

TEST_F(MusterctlWaves, AskWhoeverRegisteredMeanwhile) {
  Process& slow = held_up("slow");
  backend("b");
  Process ctl = programs.start({"release-handles", "--batch", "1", "/usr"});
  wait_for_broadcasts(1);
  Process& newcomer = backend("newcomer");
  slow.signal(SIGCONT);
  EXPECT_EQ(picture(ctl.finish()),
            "0\n"
            "wave 1 of 2: 1 of 1 acked in T (broadcast ID)\n"
            "wave 2 of 2: 1 of 1 acked in T (broadcast ID)\n"
            "wave 3 of 3: 1 of 1 acked in T (broadcast ID)\n"
            "release-handles /usr: 3 of 3 acked in 3 waves\n"
            "--- stderr\n");
  EXPECT_TRUE(was_asked(newcomer));
}

TEST_F(MusterctlWaves, ANewcomerThatDoesNotAckIsNoYes) {
  Process& slow = held_up("slow");
  Process ctl = programs.start({"release-handles", "--batch", "1", "/usr"});
  wait_for_broadcasts(1);
  backend("newcomer", {"--on-release", "reject:busy"});
  slow.signal(SIGCONT);
  const Finished finished = ctl.finish();
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.out, HasSubstr("  rejected    newcomer 1.0.0"));
}

// Its key acked; that process did not.
TEST_F(MusterctlWaves, AskANewProcessThatHasTheKeyOfOneThatAcked) {
  Process& early = backend("early");
  Process& slow = held_up("slow");
  Process ctl = programs.start({"release-handles", "--batch", "1", "/usr"});
  wait_for_broadcasts(2);
  early.end(SIGKILL);
  programs.broker().wait_for("backend dead");
  Process& later = backend("early");
  slow.signal(SIGCONT);
  const Finished finished = ctl.finish();
  EXPECT_EQ(finished.status, 0) << finished.out;
  EXPECT_THAT(finished.out, HasSubstr("release-handles /usr: 3 of 3 acked in 3 waves\n"));
  EXPECT_TRUE(was_asked(later));
}

TEST_F(MusterctlWaves, WhoLeavesBeforeItsWaveIsMissingAndWhoDiesIsNot) {
  Process& slow = held_up("slow");
  Process& leaver = backend("leaver");
  Process& victim = backend("victim");
  Process ctl = programs.start({"release-handles", "--batch", "1", "/usr"});
  wait_for_broadcasts(1);
  leaver.end();
  victim.end(SIGKILL);
  programs.broker().wait_for("backend dead");
  slow.signal(SIGCONT);
  EXPECT_EQ(picture(ctl.finish()),
            "1\n"
            "wave 1 of 3: 1 of 1 acked in T (broadcast ID)\n"
            "wave 2 of 3: no backend was asked; 1 had left (broadcast ID)\n"
            "wave 3 of 3: no backend was asked; 1 dead skipped (broadcast ID)\n"
            "  skipped     victim 1.0.0 (pid P, uid U): it was dead, process exited\n"
            "  not asked   leaver 1.0.0 (pid P, uid U): it had left before its wave, and may still "
            "run\n"
            "release-handles /usr: 1 of 1 acked in 3 waves; 1 backend was not asked\n"
            "--- stderr\n");
}

TEST_F(MusterctlWaves, TheDeadlineIsOfAllWaves) {
  held_up("slow");
  Process& second = backend("second");
  const Finished finished = programs.ctl(
      {"release-handles", "--batch", "1", "--deadline", "2s", "--max-failures", "5", "/usr"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.out, HasSubstr("  timed out   slow 1.0.0"));
  EXPECT_THAT(finished.out, HasSubstr("  not asked   second 1.0.0"));
  EXPECT_THAT(finished.out, HasSubstr("the --deadline has passed"));
  EXPECT_FALSE(was_asked(second));
}

TEST_F(MusterctlWaves, ASignalCancelsTheWaveThatRuns) {
  Process& slow = held_up("slow");
  Process& second = backend("second");
  Process ctl = programs.start({"release-handles", "--batch", "1", "/usr"});
  wait_for_broadcasts(1);
  ctl.signal(SIGINT);
  EXPECT_EQ(picture(ctl.finish()),
            "130\n"
            "wave 1 of 2: 0 of 1 acked in T (broadcast ID)\n"
            "  cancelled   slow 1.0.0 (pid P, uid U): before it answered\n"
            "  not asked   second 1.0.0 (pid P, uid U)\n"
            "release-handles /usr: stopped after wave 1 of 2: signal 2: 0 of 1 acked; 1 backend "
            "was not asked\n"
            "--- stderr\n");
  slow.signal(SIGCONT);
  EXPECT_FALSE(was_asked(second));
}

TEST_F(MusterctlWaves, AnOperatorsCancelStopsThem) {
  Process& slow = held_up("slow");
  backend("second");
  Process ctl = programs.start({"release-handles", "--batch", "1", "--max-failures", "5", "/usr"});
  wait_for_broadcasts(1);
  const std::string status = programs.ctl({"status", "--json"}).out;
  const std::string before = "\"running_broadcasts\":[\"";
  const std::size_t at = status.find(before) + before.size();
  EXPECT_EQ(programs.ctl({"cancel", status.substr(at, status.find('"', at) - at)}).status, 0);
  const Finished finished = ctl.finish();
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.out, HasSubstr("was cancelled: 0 of 1 acked; 1 backend was not asked\n"));
  slow.signal(SIGCONT);
}

TEST_F(MusterctlWaves, WithoutTheBrokerNameWhoWasNotAsked) {
  Process& slow = held_up("slow");
  backend("second");
  Process ctl = programs.start({"release-handles", "--batch", "1", "--max-failures", "5", "/usr"});
  wait_for_broadcasts(1);
  programs.broker().end(SIGKILL);
  const Finished finished = ctl.finish();
  EXPECT_EQ(finished.status, 3) << finished.out;
  EXPECT_THAT(finished.out, HasSubstr("  failed      slow 1.0.0"));
  EXPECT_THAT(finished.out, HasSubstr("it may have been asked; its answer is not known"));
  EXPECT_THAT(finished.out, HasSubstr("  not asked   second 1.0.0"));
  EXPECT_THAT(finished.err, HasSubstr("the broker at "));
  slow.signal(SIGCONT);
  programs.start_broker();
}

TEST_F(MusterctlWaves, AreOneJsonDocument) {
  backend("a");
  backend("b", {"--on-release", "reject:busy"});
  backend("c");
  const Finished finished = programs.ctl({"release-handles", "--json", "--batch", "1", "/usr"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_EQ(finished.err, "");
  EXPECT_EQ(finished.out.find('\n'), finished.out.size() - 1);
  EXPECT_THAT(finished.out,
              testing::StartsWith("{\"operation\":\"release-handles /usr\",\"verdict\":\"not all "
                                  "acked\",\"exit_status\":1,\"acked\":1,\"asked\":2,"
                                  "\"planned_waves\":3,\"waves\":[{\"first\":false,\"targets\":1,"
                                  "\"failures\":0,\"reports\":[{"));
  EXPECT_THAT(finished.out, HasSubstr("\"not_asked\":{\"backends\":[{\"key\":{"));
  EXPECT_THAT(finished.out, HasSubstr("\"stopped\":\"1 failure is more than --max-failures 0\""));
}

// More keys than fit in one request.
TEST_F(MusterctlWaves, AWaveMayBeLarge) {
  programs.backend({"--service", "many", "--count", "150"});
  backend("canary");
  const Finished finished = programs.ctl({"release-handles", "--first", "service=canary", "/usr"});
  EXPECT_EQ(finished.status, 0) << finished.out;
  EXPECT_THAT(finished.out, HasSubstr("wave 2 of 2: 150 of 150 acked"));
  EXPECT_THAT(finished.out, HasSubstr("(broadcasts "));
  EXPECT_THAT(finished.out, HasSubstr("release-handles /usr: 151 of 151 acked in 2 waves\n"));
}

// They share a key: the broker tells them apart by their pids.
TEST_F(MusterctlWaves, ProcessesThatShareAKeyAreAskedOnceEach) {
  Process& one = backend("same");
  Process& two = backend("same");
  backend("other");
  const Finished finished = programs.ctl({"release-handles", "--batch", "1", "/usr"});
  EXPECT_EQ(finished.status, 0) << finished.out;
  EXPECT_THAT(settled(finished.out), HasSubstr("wave 1 of 2: 2 of 2 acked"));
  EXPECT_THAT(finished.out, HasSubstr("release-handles /usr: 3 of 3 acked in 2 waves\n"));
  EXPECT_TRUE(was_asked(one));
  EXPECT_TRUE(was_asked(two));
}

TEST_F(MusterctlWaves, AskOnlyWhatIsSelected) {
  backend("a", {"--label", "tier=hot"});
  backend("b", {"--label", "tier=hot"});
  Process& cold = backend("c");
  const Finished finished =
      programs.ctl({"release-handles", "--select", "label.tier=hot", "--batch", "1", "/usr"});
  EXPECT_EQ(finished.status, 0);
  EXPECT_THAT(finished.out, HasSubstr("release-handles /usr: 2 of 2 acked in 2 waves\n"));
  EXPECT_FALSE(was_asked(cold));
}

TEST_F(MusterctlWaves, OnATerminalSayWhichWaveRuns) {
  Process& slow = held_up("slow");
  backend("b");
  ProcessOptions options = programs.options();
  options.terminal_columns = 100;
  Process ctl(programs.command({"release-handles", "--batch", "1", "/usr"}), options);
  ctl.wait_until_shown("wave 1 of 2: 0 of 1 acked, 1 open");
  slow.signal(SIGCONT);
  EXPECT_EQ(ctl.finish().status, 0);
}

// --- verified

class MusterctlVerifiedWaves : public MusterctlHold {
 protected:
  Finished waves(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"release-handles", "--verify", "--batch", "1"});
    more.push_back(path());
    return ctl(std::move(more));
  }
};

TEST_F(MusterctlVerifiedWaves, EndWithTheKernelsAnswer) {
  keeper("cache", {"--reopen-after", "1h"});
  backend("other");
  const Finished clear = waves({"--wait", "40s"});
  EXPECT_EQ(clear.status, 0) << clear.out;
  EXPECT_THAT(clear.out, HasSubstr("wave 2 of 2: 1 of 1 acked"));
  EXPECT_THAT(clear.out, HasSubstr("\nReleased: 2 of 2 acked, nobody holds a file below " + path() +
                                   " (1 of 1 file proven"));
  stranger();
  const Finished held = waves();
  EXPECT_EQ(held.status, 6) << held.out;
  EXPECT_TRUE(held.out.ends_with("Not released: 2 of 2 acked, but 1 holder has files below " +
                                 path() + " in use (0 of 1 file proven; 1 is open, as " + file() +
                                 ").\n"))
      << held.out;
  const Finished json = waves({"--json"});
  EXPECT_EQ(json.status, 6);
  EXPECT_THAT(json.out, HasSubstr("\"verdict\":\"not clear\",\"exit_status\":6"));
  EXPECT_THAT(json.out, HasSubstr("\"verification\":{\"path\":"));
}

TEST_F(MusterctlVerifiedWaves, NameWhoAckedAndStillHolds) {
  keeper("liar", {"--never-close"});
  const Finished finished = waves();
  EXPECT_EQ(finished.status, 6) << finished.out;
  EXPECT_THAT(finished.out, HasSubstr("  still holds liar 1.0.0"));
  EXPECT_THAT(finished.out, HasSubstr(": acked, still holds 1 file\n"));
}

TEST_F(MusterctlVerifiedWaves, ThatWereStoppedAskNoKernel) {
  backend("no", {"--on-release", "reject:busy"});
  backend("other");
  const Finished finished = waves();
  EXPECT_EQ(finished.status, 1) << finished.out;
  EXPECT_TRUE(finished.out.ends_with("1 backend was not asked; the kernel was not asked\n"))
      << finished.out;
}

}  // namespace
}  // namespace muster::test
