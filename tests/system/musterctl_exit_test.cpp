// The exit statuses of musterctl, against the real broker and real backends.
#include <string>

#include <gtest/gtest.h>

#include "support/process.h"
#include "system/musterctl_fixture.h"

namespace muster::test {
namespace {

TEST_F(Musterctl, ExitsWithZeroWhenEveryLiveBackendAcked) {
  backend("zccache");
  EXPECT_EQ(picture(programs.ctl({"release-handles", "/var/cache"})),
            "0\n"
            "release-handles /var/cache: 1 of 1 acked in T (broadcast ID)\n"
            "--- stderr\n"
            "broadcast ID: release-handles /var/cache: asked 1 backend\n"
            "zccache 1.0.0 (pid P, uid U) acked after T\n");
  backend("soldr");
  programs.dead_backend("dead");
  EXPECT_EQ(settled(first_line(programs.ctl({"release-handles", "/var/cache"}).out)),
            "release-handles /var/cache: 2 of 2 acked in T; 1 dead skipped (broadcast ID)");
}

TEST_F(Musterctl, ExitsWithOneAndNamesEachBackendThatDidNotAck) {
  backend("acks");
  programs.backend({"--service", "silent", "--on-quiesce", "silent", "--ack-timeout", "20ms"});
  backend("rejects", {"--on-quiesce", "reject:busy with a build"});
  backend("breaks", {"--on-quiesce", "error:disk\x1b[31m on fire"});
  backend("cannot", {"--on-quiesce", "unsupported:not me"});
  backend("exits", {"--on-quiesce", "exit"});
  programs.dead_backend("dead");
  const Finished finished = programs.ctl({"quiesce"});
  EXPECT_EQ(settled(finished.out),
            "quiesce (maintenance): 1 of 6 acked in T; 1 dead skipped (broadcast ID)\n"
            "  timed out   silent 1.0.0 (pid P, uid U): no answer within 20 ms\n"
            "  rejected    rejects 1.0.0 (pid P, uid U): \"busy with a build\"\n"
            "  failed      breaks 1.0.0 (pid P, uid U): \"disk\\x1b[31m on fire\"\n"
            "  unsupported cannot 1.0.0 (pid P, uid U): it has no handler for this operation: "
            "\"not me\"\n"
            "  failed      exits 1.0.0 (pid P, uid U): process exited\n"
            "  skipped     dead 1.0.0 (pid P, uid U): dead since HH:MM:SS, process exited\n"
            "`musterctl result ID --json` has every detail\n");
  EXPECT_EQ(finished.status, 1);
}

TEST_F(Musterctl, ExitsWithTwoOnABadCommandLineAndAsksNobody) {
  Process& soldr = backend("soldr");
  EXPECT_EQ(programs.ctl({"release-handles"}).status, 2);
  EXPECT_EQ(programs.ctl({"release-handles", ""}).status, 2);
  EXPECT_EQ(programs.ctl({"release-handles", "/" + std::string(5'000, 'x')}).status, 2);
  EXPECT_EQ(programs.ctl({"quiesce", "--timeout", "5"}).status, 2);
  EXPECT_EQ(programs.ctl({"quiesce", "--select", "colour=red"}).status, 2);
  EXPECT_EQ(programs.ctl({"result", "newest"}).status, 2);
  EXPECT_EQ(programs.ctl({}).status, 2);
  EXPECT_EQ(soldr.end().out.find("operation"), std::string::npos);
}

TEST_F(Musterctl, ExitsWithThreeWithoutABrokerAndSaysWhatToDo) {
  programs.broker().end(SIGKILL);
  const std::string path = (programs.dir() / "control.sock").native();
  EXPECT_EQ(
      picture(programs.ctl({"ping"})),
      "3\n--- stderr\nmusterctl: no broker listens at " + path +
          " any more (its socket is left over): start musterd, or name the broker's directory "
          "with --socket-dir\n");
  EXPECT_EQ(programs.ctl({"status", "--socket-dir", "/nonexistent"}).status, 3);
  EXPECT_EQ(programs.ctl({"status", "--socket-dir", "/" + std::string(200, 'x')}).status, 3);
}

TEST_F(Musterctl, ExitsWithThreeWhenTheBrokerDiesAndNamesTheBroadcast) {
  backend("silent", {"--on-quiesce", "silent"});
  Process waiting = programs.start({"quiesce"});
  waiting.wait_for("asked 1 backend");
  programs.broker().end(SIGKILL);
  const Finished finished = waiting.finish();
  EXPECT_EQ(finished.status, 3);
  EXPECT_EQ(finished.out, "");
  EXPECT_NE(settled(finished.err)
                .find("closed the connection while broadcast ID was running; if the broker still "
                      "runs, so does the broadcast: fetch its report with `musterctl result ID`\n"),
            std::string::npos)
      << finished.err;
}

TEST_F(Musterctl, AWatchOfABrokerThatStopsNamesNoBroadcast) {
  backend("acks");
  Process watch = programs.start({"watch"});
  watch.wait_for("watching");
  EXPECT_EQ(programs.ctl({"quiesce", "-q"}).status, 0);
  EXPECT_EQ(programs.broker().end(SIGTERM).status, 0);
  const Finished finished = watch.finish();
  EXPECT_EQ(finished.status, 3);
  EXPECT_TRUE(finished.err.ends_with(
      " closed the connection: it ended, or its log says why it closed the connection\n"))
      << finished.err;
}

TEST_F(Musterctl, ExitsWithFourWhenTheBrokerRefuses) {
  backend("soldr");
  const Finished unknown = programs.ctl({"result", "1"});
  EXPECT_EQ(unknown.status, 4);
  EXPECT_EQ(unknown.out, "");
  EXPECT_EQ(unknown.err.substr(0, 45), "musterctl: the broker refused (not found): th");
  EXPECT_EQ(programs.ctl({"cancel", "1"}).status, 4);
  EXPECT_EQ(programs.ctl({"quiesce", "--key", "once"}).status, 0);
  const Finished conflict = programs.ctl({"release-handles", "/x", "--key", "once", "--json"});
  EXPECT_EQ(conflict.status, 4);
  EXPECT_EQ(conflict.out.substr(0, 43), "{\"error\":{\"code\":\"KEY_CONFLICT\",\"message\":\"");
  EXPECT_EQ(conflict.err, "");
}

TEST_F(Musterctl, ExitsWithFiveWhenThereIsNobodyToAsk) {
  EXPECT_EQ(
      picture(programs.ctl({"quiesce"})),
      "5\nquiesce (maintenance): no backend was asked: there was no live backend (broadcast ID)\n"
      "--- stderr\nbroadcast ID: quiesce (maintenance): asked 0 backends\n");
  EXPECT_EQ(programs.ctl({"quiesce", "--allow-empty"}).status, 0);
  programs.dead_backend("dead");
  EXPECT_EQ(programs.ctl({"quiesce", "-q"}).status, 5);
  backend("soldr");
  EXPECT_EQ(programs.ctl({"quiesce", "-q", "--select", "service=zccache"}).status, 5);
}

}  // namespace
}  // namespace muster::test
