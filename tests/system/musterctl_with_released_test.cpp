// musterctl with-released and with-quiesced, the programs: when the command runs, what its exit
// status becomes, and that the hold ends whatever happens.
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <unistd.h>
#include <vector>

#include "system/musterctl_hold_fixture.h"

namespace muster::test {
namespace {

using MusterctlWithReleased = MusterctlHold;

TEST_F(MusterctlWithReleased, RunsTheCommandWhenAllAckedAndNobodyHolds) {
  Process& backend = keeper("cache");
  const Finished finished =
      with_released("echo hold=$MUSTER_HOLD_ID; [ ! -e cache/file ] || rm cache/file; exit 7");
  EXPECT_EQ(finished.status, 7) << finished.err;
  EXPECT_TRUE(std::regex_match(finished.out, std::regex("hold=[0-9]+\n"))) << finished.out;
  EXPECT_NE(finished.err.find("Released: 1 of 1 acked, nobody holds a file below " + path() +
                              " (1 of 1 file proven).\n"),
            std::string::npos)
      << finished.err;
  backend.wait_for("hold-ended");
  EXPECT_EQ(holds_of(backend), "started, ended completed");
}

TEST_F(MusterctlWithReleased, IsSilentWhenToldTo) {
  keeper("cache");
  const Finished finished = with_released("echo out; echo err >&2", {"-q"});
  EXPECT_EQ(finished.status, 0);
  EXPECT_EQ(finished.out, "out\n");
  EXPECT_EQ(finished.err, "err\n");
}

TEST_F(MusterctlWithReleased, DoesNotRunItWhenOneDoesNotAck) {
  Process& good = keeper("good");
  backend("mute", {"--on-release", "silent"});
  const Finished finished = with_released("touch ran", {"--timeout", "300ms"});
  EXPECT_EQ(finished.status, 1) << finished.err;
  EXPECT_FALSE(was_made("ran"));
  EXPECT_EQ(finished.out, "");
  EXPECT_NE(finished.err.find("  timed out   mute 1.0.0 "), std::string::npos) << finished.err;
  EXPECT_NE(finished.err.find("musterctl: \"/bin/sh\" was not run (--force runs it)\n"),
            std::string::npos)
      << finished.err;
  good.wait_for("hold-ended");
  EXPECT_EQ(holds_of(good), "started, ended abandoned");
}

TEST_F(MusterctlWithReleased, DoesNotRunItWhenSomebodyHoldsAndNamesThem) {
  keeper("cache");
  const std::string pid = std::to_string(stranger().pid());
  const Finished finished = with_released("touch ran", {"--wait", "1ms"});
  EXPECT_EQ(finished.status, 6) << finished.err;
  EXPECT_FALSE(was_made("ran"));
  EXPECT_TRUE(std::regex_search(finished.err, std::regex('\n' + pid + " .* 1 descriptor ")))
      << finished.err;
  EXPECT_NE(finished.err.find("Not released: 1 of 1 acked, but 1 holder has files below " + path()),
            std::string::npos)
      << finished.err;
}

TEST_F(MusterctlWithReleased, NamesFirstWhoAckedAndStillHolds) {
  keeper("liar", {"--never-close"});
  const Finished finished = with_released("touch ran", {"--wait", "1ms"});
  EXPECT_EQ(finished.status, 6);
  EXPECT_TRUE(std::regex_search(
      finished.err, std::regex("\n  still holds liar 1\\.0\\.0 \\(pid [0-9]+, uid [0-9]+[^)]*\\): "
                               "acked, still holds 1 file\n")))
      << finished.err;
}

TEST_F(MusterctlWithReleased, ForcedRunsItAllTheSameAndIsNoYes) {
  keeper("cache");
  stranger();
  const Finished zero = with_released("touch ran", {"--force", "--wait", "1ms"});
  EXPECT_TRUE(was_made("ran"));
  EXPECT_EQ(zero.status, 6) << zero.err;
  EXPECT_EQ(with_released("exit 3", {"--force", "--wait", "1ms"}).status, 3);
}

TEST_F(MusterctlWithReleased, WithoutBackendsTheKernelDecides) {
  EXPECT_EQ(with_released("touch ran").status, 0);
  EXPECT_TRUE(was_made("ran"));
  EXPECT_EQ(with_released("touch unproven", {"--no-verify"}).status, 5);
  EXPECT_FALSE(was_made("unproven"));
}

TEST_F(MusterctlWithReleased, TakesAcksAloneWhenToldNotToVerify) {
  keeper("cache");
  stranger();
  EXPECT_EQ(with_released("true", {"--no-verify"}).status, 0);
}

TEST_F(MusterctlWithReleased, HoldsSeveralPathsAtOnce) {
  std::filesystem::create_directory(directory_ / "other");
  Process& backend = keeper("cache");
  const Finished finished = ctl({"with-released", "-q", path(), "other", "--", "/bin/sh", "-c",
                                 "echo $MUSTER_HOLD_ID; musterctl() { :; }; exit 4"});
  EXPECT_EQ(finished.status, 4) << finished.err;
  EXPECT_TRUE(std::regex_match(finished.out, std::regex("[0-9]+,[0-9]+\n"))) << finished.out;
  backend.wait_for("hold-ended");
  backend.wait_for("hold-ended");
  EXPECT_EQ(holds_of(backend), "started, started, ended completed, ended completed");
}

TEST_F(MusterctlWithReleased, SaysWhyACommandCannotBeRun) {
  Process& backend = keeper("cache");
  const Finished missing = ctl({"with-released", "-q", path(), "--", "/no/such/command"});
  EXPECT_EQ(missing.status, 127);
  EXPECT_EQ(missing.err, "musterctl: cannot run \"/no/such/command\": No such file or directory\n");
  const Finished denied = ctl({"with-released", "-q", path(), "--", "/etc/passwd"});
  EXPECT_EQ(denied.status, 126);
  EXPECT_EQ(denied.err, "musterctl: cannot run \"/etc/passwd\": Permission denied\n");
  backend.wait_for("hold-ended");
  backend.wait_for("hold-ended");
  EXPECT_EQ(holds_of(backend), "started, ended completed, started, ended completed");
}

// What the command and its children have open is its own affair.
TEST_F(MusterctlWithReleased, TheCommandsOwnUseIsNoViolation) {
  keeper("cache");
  const Finished finished = with_released("exec 5< cache/file; (cd cache; ls) >/dev/null");
  EXPECT_EQ(finished.status, 0) << finished.err;
}

TEST_F(MusterctlWithReleased, NamesWhoTookFilesInUseMeanwhile) {
  keeper("cache");
  Process musterctl = start_released("wait_here");
  const std::string pid = std::to_string(stranger().pid());
  let_go();
  const Finished finished = musterctl.finish();
  EXPECT_EQ(finished.status, 6) << finished.err;
  EXPECT_TRUE(std::regex_search(
      finished.err, std::regex("musterctl: hold [0-9]+ of " + path() + " is violated: .* \\(pid " +
                               pid + "\\) took files in use\n")))
      << finished.err;
  EXPECT_TRUE(std::regex_search(finished.err, std::regex("\nViolated: during hold [0-9]+ 1 holder "
                                                         "took files below " +
                                                         path() + " in use\\.\n")))
      << finished.err;
}

TEST_F(MusterctlWithReleased, AFailedCommandStaysFailedWhateverBecameOfTheHold) {
  keeper("cache");
  Process musterctl = start_released("wait_here; exit 3");
  stranger();
  let_go();
  EXPECT_EQ(musterctl.finish().status, 3);
}

TEST_F(MusterctlWithReleased, AFailedCommandStaysFailedWhenNobodyCanReadWhy) {
  keeper("cache");
  ProcessOptions full = inside();
  full.before_exec = [before = full.before_exec] {
    return (!before || before()) &&
           ::dup2(::open("/dev/full", O_WRONLY | O_CLOEXEC), STDERR_FILENO) == STDERR_FILENO;
  };
  EXPECT_EQ(run_program(released_command("exit 3", {"--no-verify"}), full).status, 3);
  EXPECT_EQ(run_program(released_command("exit 0", {"--no-verify"}), full).status, 74);
}

TEST_F(MusterctlWithReleased, EndsAHoldWhoseTimeIsOver) {
  Process& backend = keeper("cache");
  Process musterctl = start_released("wait_here", {"--ttl", "100ms", "--no-verify"});
  backend.wait_for("hold-ended");
  let_go();
  const Finished finished = musterctl.finish();
  EXPECT_EQ(holds_of(backend), "started, ended expired");
  EXPECT_EQ(finished.status, 6);
  EXPECT_NE(finished.err.find(" is lost, and nothing keeps the files released: "),
            std::string::npos)
      << finished.err;
}

// The kernel is asked for longer than the hold lasts: the backend may have the file open again.
TEST_F(MusterctlWithReleased, RunsNothingWhenTheHoldEndedBefore) {
  Process& backend = keeper("cache");
  const Finished finished = with_released("echo ran", {"--ttl", "1ms", "--force"});
  backend.wait_for("hold-ended");
  EXPECT_EQ(finished.status, 6) << finished.err;
  EXPECT_EQ(finished.out, "");
  EXPECT_NE(finished.err.find(" ended (expired) before the command could run\n"), std::string::npos)
      << finished.err;
  EXPECT_EQ(holds_of(backend), "started, ended expired");
}

// --- signals

TEST_F(MusterctlWithReleased, PassesOnSignalsThatItGetsAlone) {
  Process& backend = keeper("cache");
  for (const auto& [signal, name] : {std::pair{SIGTERM, "TERM"}, std::pair{SIGHUP, "HUP"},
                                     std::pair{SIGINT, "INT"}, std::pair{SIGUSR1, "USR1"}}) {
    Process musterctl =
        start_released("trap 'kill $!; exit 9' " + std::string(name) + "; wait_here & wait $!");
    EXPECT_EQ(musterctl.end(signal).status, 9) << name;
    backend.wait_for("hold-ended");
    std::filesystem::remove(directory_ / "gate");
  }
  EXPECT_EQ(holds_of(backend),
            "started, ended completed, started, ended completed, started, ended completed, "
            "started, ended completed");
}

TEST_F(MusterctlWithReleased, EndsAsItsCommandThatASignalKilled) {
  keeper("cache");
  EXPECT_EQ(with_released("kill -9 $$").status, 128 + SIGKILL);
  EXPECT_EQ(with_released("kill -SEGV $$").status, 128 + SIGSEGV);
}

TEST_F(MusterctlWithReleased, LeavesTheCommandTheSignalsAsTheyWere) {
  keeper("cache");
  // No signal is blocked or ignored that was not before: without the two of the C library's own.
  const std::string masks = "sed -nE 's/^Sig(Blk|Ign):.*(.{8})$/\\1 \\2/p' /proc/self/status";
  const Finished bare = run_program({"/bin/sh", "-c", masks}, inside());
  EXPECT_EQ(bare.out, "Blk 00000000\nIgn 00000000\n");
  const Finished inside_it = with_released(masks);
  EXPECT_EQ(inside_it.out.substr(0, 13), bare.out.substr(0, 13));
  EXPECT_EQ(std::stoul(inside_it.out.substr(17), nullptr, 16) & 0x7fffffffUL, 0U) << inside_it.out;
}

TEST_F(MusterctlWithReleased, OfCtrlCTheCommandDecides) {
  if (const auto why = why_no_terminal(); !why.empty()) GTEST_SKIP() << why;
  Process& backend = keeper("cache");
  must(::mkfifo((directory_ / "gate").c_str(), 0600), "mkfifo");
  ProcessOptions terminal = inside();
  terminal.terminal_columns = 80;
  Process musterctl(released_command("trap 'echo caught; exit 5' INT; wait_here"), terminal);
  musterctl.wait_until_shown("running");
  musterctl.type("\x03");
  const Finished finished = musterctl.finish();
  EXPECT_EQ(finished.status, 5) << finished.out;
  backend.wait_for("hold-ended");
  EXPECT_EQ(holds_of(backend), "started, ended completed");
}

// --- faults

TEST_F(MusterctlWithReleased, KilledWhileTheCommandRunsLeavesNoHold) {
  Process& backend = keeper("cache");
  Process musterctl = start_released("wait_here");
  musterctl.signal(SIGKILL);
  backend.wait_for("hold-ended");
  EXPECT_EQ(holds_of(backend), "started, ended abandoned");
  let_go();  // the command goes on, and has the streams
  EXPECT_EQ(musterctl.finish().status, 128 + SIGKILL);
}

TEST_F(MusterctlWithReleased, KilledWhileBackendsAreAskedLeavesNoHold) {
  Process& good = keeper("good");
  Process& mute = backend("mute", {"--on-release", "silent", "--ack-timeout", "5m"});
  Process musterctl(released_command("touch ran"), inside());
  mute.wait_for("operation ");
  good.wait_for("hold-started");
  EXPECT_EQ(musterctl.end(SIGKILL).status, 128 + SIGKILL);
  good.wait_for("hold-ended");
  EXPECT_EQ(holds_of(good), "started, ended abandoned");
  EXPECT_FALSE(was_made("ran"));
}

TEST_F(MusterctlWithReleased, KilledWhileTheKernelIsAskedLeavesNoHold) {
  Process& backend = keeper("cache");
  stranger();
  Process musterctl(released_command("touch ran", {"--wait", "5m"}), inside());
  musterctl.wait_for("asking the kernel");
  EXPECT_EQ(musterctl.end(SIGKILL).status, 128 + SIGKILL);
  backend.wait_for("hold-ended");
  EXPECT_EQ(holds_of(backend), "started, ended abandoned");
  EXPECT_FALSE(was_made("ran"));
}

TEST_F(MusterctlWithReleased, CtrlCBeforeTheCommandRunsIsTheEnd) {
  Process& backend = keeper("cache");
  stranger();
  Process musterctl(released_command("touch ran", {"--wait", "5m"}), inside());
  musterctl.wait_for("asking the kernel");
  EXPECT_EQ(musterctl.end(SIGINT).status, 128 + SIGINT);
  backend.wait_for("hold-ended");
  EXPECT_FALSE(was_made("ran"));
}

TEST_F(MusterctlWithReleased, KeepsTheHoldWhenTheBrokerIsKilledAndComesBack) {
  Process& backend = keeper("cache");
  Process musterctl = start_released("wait_here");
  broker().end(SIGKILL);
  musterctl.wait_for("trying to connect again");
  start_broker();
  musterctl.wait_for("connected again; the hold goes on");
  backend.wait_for("registered");
  EXPECT_EQ(holds_of(backend), "started");
  let_go();
  const Finished finished = musterctl.finish();
  EXPECT_EQ(finished.status, 0) << finished.err;
  backend.wait_for("hold-ended");
  EXPECT_EQ(holds_of(backend), "started, ended completed");
}

// The command's own use is none then, either; a job that the caller left running is a holder.
TEST_F(MusterctlWithReleased, AfterARestartOfTheBrokerItStillKnowsWhoseFilesAreTheCommands) {
  keeper("cache");
  must(::mkfifo((directory_ / "start").c_str(), 0600), "mkfifo");
  std::string asked;
  for (const std::string& word : released_command("exec 5<" + file() + "; wait_here")) {
    asked += " '" + word + '\'';
  }
  must(::mkfifo((directory_ / "gate").c_str(), 0600), "mkfifo");
  Process musterctl({"/bin/sh", "-c",
                     "(read _ <start; exec 3<" + file() +
                         "; echo opened; exec tail -f /dev/null >/dev/null 2>&1) & echo job $!; "
                         "exec" +
                         asked},
                    inside());
  const std::string job = musterctl.wait_for("job ");
  musterctl.wait_for("running");
  broker().end(SIGKILL);
  musterctl.wait_for("trying to connect again");
  start_broker();
  musterctl.wait_for("connected again; the hold goes on");
  std::ofstream(directory_ / "start") << "go\n";
  musterctl.wait_for("opened");
  let_go();
  const Finished finished = musterctl.finish();
  ::kill(std::stoi(job.substr(4)), SIGKILL);
  EXPECT_EQ(finished.status, 6) << finished.err;
  EXPECT_NE(finished.err.find(" tail "), std::string::npos) << finished.err;
  EXPECT_EQ(finished.err.find(" sh "), std::string::npos) << finished.err;
}

TEST_F(MusterctlWithReleased, IsNoYesWhenTheBrokerStaysAway) {
  keeper("cache");
  Process musterctl = start_released("wait_here");
  broker().end(SIGKILL);
  musterctl.wait_for("trying to connect again");
  let_go();
  const Finished finished = musterctl.finish();
  EXPECT_EQ(finished.status, 6) << finished.err;
  EXPECT_NE(finished.err.find("the broker did not come back"), std::string::npos) << finished.err;
}

TEST_F(MusterctlWithReleased, WithoutABrokerNothingRuns) {
  broker().end(SIGTERM);
  EXPECT_EQ(with_released("touch ran").status, 3);
  EXPECT_EQ(with_released("touch ran", {"--force"}).status, 3);
  EXPECT_FALSE(was_made("ran"));
}

// --- quiesces

TEST_F(MusterctlWithReleased, QuiescesBackendsUntilTheCommandHasEnded) {
  Process& chosen = backend("db");
  Process& other = backend("web");
  const Finished finished = ctl(
      {"with-quiesced", "-q", "--select", "service=db", "--", program("musterctl"), "backends"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_TRUE(std::regex_search(finished.out, std::regex("\ndb 1\\.0\\.0 +live, quiesced since ")))
      << finished.out;
  EXPECT_TRUE(std::regex_search(finished.out, std::regex("\nweb 1\\.0\\.0 +live +[0-9]")))
      << finished.out;
  chosen.wait_for("hold-ended");
  EXPECT_NE(chosen.out().find(" completed\n"), std::string::npos) << chosen.out();
  EXPECT_EQ(ctl({"resume"}).status, 5) << "nobody is quiesced any more";
  EXPECT_EQ(other.out().find("operation "), std::string::npos) << other.out();
}

TEST_F(MusterctlWithReleased, DoesNotRunItWhenNobodyIsThereToQuiesce) {
  EXPECT_EQ(ctl({"with-quiesced", "--", "touch", "ran"}).status, 5);
  EXPECT_FALSE(was_made("ran"));
  backend("db", {"--on-quiesce", "reject:busy"});
  EXPECT_EQ(ctl({"with-quiesced", "--", "touch", "ran"}).status, 1);
  EXPECT_FALSE(was_made("ran"));
  EXPECT_EQ(ctl({"with-quiesced", "--force", "--", "touch", "ran"}).status, 0);
  EXPECT_TRUE(was_made("ran"));
}

}  // namespace
}  // namespace muster::test
