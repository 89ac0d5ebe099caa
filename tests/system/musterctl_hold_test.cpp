// musterctl with holds and verification, the programs: release-handles --verify and --hold, hold,
// retry, umount.
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <regex>
#include <string>
#include <unistd.h>
#include <vector>

#include "system/musterctl_hold_fixture.h"

namespace muster::test {
namespace {

std::string line_of(const std::string& text) { return text.substr(0, text.find('\n')); }

TEST_F(MusterctlHold, AVerifiedReleaseEndsWithTheAnswer) {
  keeper("cache");
  // It opens the file again at once: only a hold keeps it away.
  backend("other");
  const Finished first =
      ctl({"release-handles", "--verify", "--wait", "40s", "--hold", "--ttl", "1h", path()});
  EXPECT_EQ(first.status, 0) << first.out;
  EXPECT_TRUE(std::regex_search(
      first.out,
      std::regex("\nhold [0-9]+ goes on since [0-9:]+, until [-0-9: ]+\nReleased: 2 of 2 acked, "
                 "nobody holds a file below " +
                 path() + " \\(1 of 1 file proven(; [0-9]+ scans in [0-9.]+ s)?\\)\\.\n$")))
      << first.out;
  stranger();
  const Finished held = ctl({"release-handles", "--verify", path()});
  EXPECT_EQ(held.status, 6);
  EXPECT_TRUE(held.out.ends_with("Not released: 2 of 2 acked, but 1 holder has files below " +
                                 path() + " in use (0 of 1 file proven; 1 is open, as " + file() +
                                 ").\n"))
      << held.out;
  const Finished again = ctl({"result"});
  EXPECT_EQ(again.status, 6);
  EXPECT_TRUE(again.out.ends_with(held.out.substr(held.out.find("\nPID ")))) << again.out;
}

TEST_F(MusterctlHold, ADryRunShowsWhoHoldsNowAndReleasesNothing) {
  Process& backend = keeper("cache");
  const Finished held = ctl({"release-handles", "--verify", "--dry-run", path()});
  EXPECT_EQ(held.status, 6) << held.err;
  EXPECT_TRUE(std::regex_search(
      held.out, std::regex("^release-handles " + path() +
                           ": would ask 1 backend\n  ask   cache "
                           "1.0.0\n(.*\n)+[0-9]+ .* cache 1.0.0 .*\nHeld: 1 holder has files ")))
      << held.out;
  backend.end();
  EXPECT_EQ(backend.out().find("operation "), std::string::npos);
  EXPECT_EQ(ctl({"release-handles", "--verify", "--dry-run", path()}).status, 5);
  EXPECT_EQ(ctl({"release-handles", "--verify", "--dry-run", "--allow-empty", path()}).status, 0);
}

TEST_F(MusterctlHold, WaitsUntilWhoReleasesLateIsDone) {
  Child& child = stranger();
  Process musterctl(
      command({"release-handles", "--verify", "--wait", "5m", "--allow-empty", path()}), inside());
  musterctl.wait_for("asking the kernel");
  child.kill();
  const Finished finished = musterctl.finish();
  EXPECT_EQ(finished.status, 0) << finished.out;
}

TEST_F(MusterctlHold, DetachedIsVerifiedAllTheSame) {
  keeper("cache");
  stranger();
  const Finished detached = ctl({"release-handles", "--verify", "--detach", path()});
  EXPECT_EQ(detached.status, 0) << detached.err;
  EXPECT_EQ(ctl({"result", "--wait", "-q", line_of(detached.out)}).status, 6);
}

TEST_F(MusterctlHold, HoldsUntilItIsToldToEnd) {
  Process& backend = keeper("cache");
  Process musterctl(command({"release-handles", "--hold", path()}), inside());
  musterctl.wait_for("holding; Ctrl-C ends it");
  backend.wait_for("hold-started");
  EXPECT_EQ(holds_of(backend), "started");
  EXPECT_EQ(musterctl.end(SIGINT).status, 0);
  backend.wait_for("hold-ended");
  EXPECT_EQ(holds_of(backend), "started, ended completed");
}

TEST_F(MusterctlHold, SaysWhoTookFilesWhileItHeld) {
  keeper("cache");
  Process musterctl(command({"release-handles", "--hold", "--verify", path()}), inside());
  musterctl.wait_for("holding; Ctrl-C ends it");
  stranger();
  const Finished finished = musterctl.end(SIGTERM);
  EXPECT_EQ(finished.status, 6) << finished.err;
  EXPECT_NE(finished.err.find("Violated: during hold "), std::string::npos) << finished.err;
}

TEST_F(MusterctlHold, EndsWithItsOperator) {
  Process& backend = keeper("cache");
  Process musterctl(command({"release-handles", "--hold", path()}), inside());
  musterctl.wait_for("holding; Ctrl-C ends it");
  musterctl.end(SIGKILL);
  backend.wait_for("hold-ended");
  EXPECT_EQ(holds_of(backend), "started, ended abandoned");
}

TEST_F(MusterctlHold, AHoldWhoseIdCannotBePrintedIsEnded) {
  Process& backend = keeper("cache");
  ProcessOptions full = inside();
  full.before_exec = [before = full.before_exec] {
    return (!before || before()) &&
           ::dup2(::open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO) == STDOUT_FILENO;
  };
  EXPECT_EQ(run_program(command({"hold", "start", path(), "--ttl", "1h"}), full).status, 74);
  backend.wait_for("hold-ended");
  EXPECT_NE(ctl({"hold", "list"}).out.find("no hold goes on"), std::string::npos);
}

// Nobody knows of it then, and it would last for an hour.
TEST_F(MusterctlHold, KilledWhileBackendsAreAskedLeavesNoHoldWithATime) {
  Process& good = keeper("good");
  Process& mute = backend("mute", {"--on-release", "silent", "--ack-timeout", "5m"});
  const std::vector<std::vector<std::string>> commands{
      {"hold", "start", path(), "--ttl", "1h"},
      {"release-handles", "--hold", "--ttl", "1h", path()},
  };
  std::string holds;
  for (const auto& arguments : commands) {
    Process musterctl(command(arguments), inside());
    mute.wait_for("operation ");
    good.wait_for("hold-started");
    EXPECT_EQ(musterctl.end(SIGKILL).status, 128 + SIGKILL);
    good.wait_for("hold-ended");
    holds += (holds.empty() ? "" : ", ") + std::string("started, ended abandoned");
    EXPECT_EQ(holds_of(good), holds);
    EXPECT_NE(ctl({"hold", "list"}).out.find("no hold goes on"), std::string::npos);
  }
}

TEST_F(MusterctlHold, OneWithATimeGoesOnWhenMusterctlHasEnded) {
  Process& backend = keeper("cache");
  const Finished released = ctl({"release-handles", "--hold", "--ttl", "1h", path()});
  EXPECT_EQ(released.status, 0) << released.err;
  EXPECT_NE(released.out.find("goes on since"), std::string::npos) << released.out;
  const Finished list = ctl({"hold", "list"});
  EXPECT_NE(list.out.find("until"), std::string::npos) << list.out;
  EXPECT_EQ(list.out.find("at the latest"), std::string::npos) << list.out;
  backend.wait_for("hold-started");
  EXPECT_EQ(holds_of(backend), "started");
}

TEST_F(MusterctlHold, InPairsOneStartsItAndOneEndsIt) {
  Process& backend = keeper("cache");
  const Finished started = ctl({"hold", "start", path(), "--ttl", "1h", "--verify"});
  ASSERT_EQ(started.status, 0) << started.err;
  const std::string id = line_of(started.out);
  EXPECT_EQ(started.out, id + '\n');
  const Finished list = ctl({"hold", "list"});
  EXPECT_TRUE(std::regex_search(
      list.out, std::regex('\n' + id + " +release-handles " + path() + " +1 +[0-9:]+ +until ")))
      << list.out;
  EXPECT_NE(ctl({"hold", "list", "--json"}).out.find("\"hold_id\":\"" + id + '"'),
            std::string::npos);
  const Finished shown = ctl({"hold", "show", id});
  EXPECT_TRUE(shown.out.starts_with("hold " + id + " goes on since ")) << shown.out;
  const Finished ended = ctl({"hold", "end", id});
  EXPECT_EQ(ended.status, 0) << ended.out;
  EXPECT_TRUE(std::regex_search(ended.out, std::regex("^hold " + id + " ended at .*: completed\n")))
      << ended.out;
  backend.wait_for("hold-ended");
  EXPECT_EQ(holds_of(backend), "started, ended completed");
  EXPECT_EQ(ctl({"hold", "list"}).out, "no hold goes on\n");
  EXPECT_TRUE(ctl({"hold", "show", id}).out.starts_with("hold " + id + " ended at "));
  EXPECT_EQ(ctl({"hold", "end", id}).status, 4);
}

TEST_F(MusterctlHold, AStartThatFailsLeavesNoHold) {
  Process& good = keeper("good");
  backend("no", {"--on-release", "reject"});
  const Finished failed = ctl({"hold", "start", path(), "--ttl", "1h"});
  EXPECT_EQ(failed.status, 1);
  EXPECT_EQ(failed.out, "");
  good.wait_for("hold-ended");
  EXPECT_EQ(ctl({"hold", "list"}).out, "no hold goes on\n");
  const Finished forced = ctl({"hold", "start", path(), "--ttl", "1h", "--force"});
  EXPECT_EQ(forced.status, 1);
  EXPECT_NE(ctl({"hold", "list"}).out.find(line_of(forced.out)), std::string::npos);
}

TEST_F(MusterctlHold, ThatWasViolatedEndsWithSix) {
  keeper("cache");
  const std::string id = line_of(ctl({"hold", "start", path(), "--ttl", "1h", "--verify"}).out);
  stranger();
  const Finished ended = ctl({"hold", "end", id});
  EXPECT_EQ(ended.status, 6);
  EXPECT_NE(ended.out.find("Violated: during hold " + id + " 1 holder took files below " + path()),
            std::string::npos)
      << ended.out;
}

// --- retry

TEST_F(MusterctlHold, RetryAsksOnlyThoseThatDidNotAck) {
  Process& good = backend("good");
  Process& late = backend("late", {"--on-release", "reject", "--on-release", "ack"});
  const Finished first = ctl({"release-handles", path()});
  EXPECT_EQ(first.status, 1);
  std::smatch id;
  ASSERT_TRUE(std::regex_search(first.out, id, std::regex("broadcast ([0-9]+)"))) << first.out;
  const Finished again = ctl({"retry", id[1]});
  EXPECT_EQ(again.status, 0) << again.out;
  EXPECT_TRUE(again.out.starts_with("release-handles " + path() + ": 1 of 1 acked")) << again.out;
  late.wait_for("operation ");
  late.wait_for("operation ");
  good.look();
  EXPECT_EQ(good.out().find("operation "), good.out().rfind("operation ")) << good.out();
  const Finished none = ctl({"retry", std::to_string(std::stoull(id[1]) + 1)});
  EXPECT_EQ(none.status, 2);
  EXPECT_NE(none.err.find("there is none to ask again"), std::string::npos) << none.err;
}

// What a script left running before it became musterctl is no part of what musterctl does.
TEST_F(MusterctlHold, AScriptsOwnJobIsAHolderLikeAnyOther) {
  backend("cache");
  const auto script = [&](const std::string& ask) {
    return run_program({"/bin/sh", "-c",
                        "tail -f /dev/null <" + file() + " >/dev/null 2>&1 & echo job $!; exec " +
                            program("musterctl") + ask},
                       inside());
  };
  const auto end_job = [&](const Finished& finished) {
    std::smatch pid;
    ASSERT_TRUE(std::regex_search(finished.out, pid, std::regex("^job ([0-9]+)\n")));
    ::kill(std::stoi(pid[1]), SIGKILL);
  };
  const Finished verified = script(" release-handles --verify " + path());
  end_job(verified);
  EXPECT_EQ(verified.status, 6) << verified.out;
  EXPECT_TRUE(std::regex_search(verified.out, std::regex(" tail .* 1 descriptor ")))
      << verified.out;
  const Finished with = script(" with-released " + path() + " -- true");
  end_job(with);
  EXPECT_EQ(with.status, 6) << with.err;
  EXPECT_TRUE(std::regex_search(with.err, std::regex(" tail .* 1 descriptor "))) << with.err;
}

// --- umount

class MusterctlUmount : public MusterctlHold {
 protected:
  // In the mounts of the programs.
  void mount_at(const std::string& where) const {
    const Finished mounted = run_program({"/bin/mount", "-t", "tmpfs", "none", where}, inside());
    ASSERT_EQ(mounted.status, 0) << mounted.err;
  }
};

TEST_F(MusterctlUmount, UnmountsWhatEverybodyReleased) {
  mount_at(path());
  Process& backend = keeper("cache");
  const Finished finished = ctl({"umount", path()});
  EXPECT_EQ(finished.status, 0) << finished.out << finished.err;
  EXPECT_EQ(finished.out, "Unmounted: " + path() + ".\n");
  backend.wait_for("hold-ended");
  EXPECT_EQ(ctl({"umount", path()}).status, 2) << "nothing is mounted there any more";
}

TEST_F(MusterctlUmount, NamesWhoKeepsItBusyAndWhatWouldEndThat) {
  mount_at(path());
  Process& backend = keeper("cache");
  ProcessOptions options = inside();
  options.before_exec = [before = options.before_exec, to = path()] {
    return before() && ::chdir(to.c_str()) == 0;
  };
  Process busy({"/bin/sh", "-c", "echo here; kill -STOP $$"}, options);
  busy.wait_for("here");
  const Finished finished = ctl({"umount", "--wait", "1ms", path()});
  EXPECT_EQ(finished.status, 6) << finished.err;
  EXPECT_TRUE(std::regex_search(
      finished.out,
      std::regex('\n' + std::to_string(busy.pid()) + " .* 1 working directory .*or kill [0-9]+\n")))
      << finished.out;
  EXPECT_TRUE(finished.out.ends_with("Not unmounted: " + path() + ": Device or resource busy.\n"))
      << finished.out;
  backend.wait_for("hold-ended");
  busy.end(SIGKILL);
  EXPECT_EQ(ctl({"umount", "-q", path()}).status, 0);
}

// The caller's own processes keep a mount busy like anybody else.
TEST_F(MusterctlUmount, NamesWhatTheCallerItselfHasThere) {
  mount_at(path());
  backend("cache");
  const std::string umount = program("musterctl") + " umount --wait 1ms " + path();
  const auto ask = [&](const std::string& script) {
    return run_program({"/bin/sh", "-c", script}, inside());
  };
  const Finished child = ask(
      "cd " + path() + "; tail -f /dev/null >/dev/null 2>&1 & cd /; echo child $!; exec " + umount);
  std::smatch pid;
  ASSERT_TRUE(std::regex_search(child.out, pid, std::regex("^child ([0-9]+)\n"))) << child.out;
  EXPECT_EQ(child.status, 6) << child.err;
  EXPECT_TRUE(std::regex_search(
      child.out, std::regex('\n' + pid[1].str() + " .* tail .* 1 working directory ")))
      << child.out;
  EXPECT_EQ(child.out.find("Clear"), std::string::npos) << child.out;
  ask("kill -9 " + pid[1].str());

  const Finished shell = ask("cd " + path() + " && " + umount + "; exit $?");
  EXPECT_EQ(shell.status, 6) << shell.err;
  EXPECT_TRUE(std::regex_search(shell.out, std::regex("\n[0-9]+ .* sh .* 1 working directory ")))
      << shell.out;

  const Finished itself = ask("exec 9> " + path() + "/log; exec " + umount);
  EXPECT_EQ(itself.status, 6) << itself.err;
  EXPECT_TRUE(std::regex_search(itself.out, std::regex("\n[0-9]+ .* musterctl .* 1 descriptor ")))
      << itself.out;

  // Its working directory it can leave.
  const Finished left = ask("cd " + path() + " && exec " + umount);
  EXPECT_EQ(left.status, 0) << left.out << left.err;
}

TEST_F(MusterctlUmount, ABusyMountIsNeverClear) {
  mount_at(path());
  ProcessOptions options = inside();
  options.before_exec = [before = options.before_exec, to = path()] {
    return before() && ::chdir(to.c_str()) == 0;
  };
  Process hidden({"/bin/sh", "-c", "echo here; kill -STOP $$"}, options);
  hidden.wait_for("here");
  // Nobody who lives in these mounts sees it any more.
  mount_at("/proc/" + std::to_string(hidden.pid()));
  const Finished finished = ctl({"umount", "--wait", "1ms", path()});
  EXPECT_EQ(finished.status, 6) << finished.out;
  EXPECT_NE(finished.out.find("not seen: the kernel says that it is busy: it is held by something "
                              "that was not seen\nUnknown: "),
            std::string::npos)
      << finished.out;
  EXPECT_EQ(finished.out.find("Clear"), std::string::npos) << finished.out;
  const Finished json = ctl({"umount", "--json", "--wait", "1ms", path()});
  EXPECT_NE(json.out.find("\"verdict\":\"UNKNOWN\""), std::string::npos) << json.out;
  hidden.end(SIGKILL);
  EXPECT_EQ(ctl({"umount", "-q", path()}).status, 0);
}

TEST_F(MusterctlUmount, AsksNobodyWhenSomethingIsMountedBelow) {
  mount_at(path());
  std::filesystem::path below = path() + "/below";
  ASSERT_EQ(run_program({"/bin/mkdir", below}, inside()).status, 0);
  mount_at(below);
  Process& asked = backend("cache");
  const Finished finished = ctl({"umount", path()});
  EXPECT_EQ(finished.status, 2);
  EXPECT_NE(finished.err.find("another file system is mounted below, at " + below.native()),
            std::string::npos)
      << finished.err;
  asked.look();
  EXPECT_EQ(asked.out().find("operation "), std::string::npos);
}

}  // namespace
}  // namespace muster::test
