// musterctl against the real broker and real backends: what an operator and a script get.
#include <filesystem>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/host_abilities.h"
#include "support/process.h"
#include "system/musterctl_fixture.h"

namespace muster::test {
namespace {

TEST_F(Musterctl, PrintsTheReportAsOneJsonObject) {
  backend("acks", {"--label", "tier=hot"});
  programs.backend({"--service", "silent", "--on-release", "silent", "--ack-timeout", "20ms"});
  backend("rejects", {"--on-release", "reject:no"});
  programs.dead_backend("dead");
  const auto key = [](const std::string& service) {
    return "{\"instance\":\"shared\",\"service_name\":\"" + service +
           "\",\"service_version\":\"1.0.0\",\"replica\":\"\"}";
  };
  const auto backend_of = [&](const std::string& service, const std::string& incarnation,
                              const std::string& what, const std::string& budget,
                              const std::string& said_by, const std::string& cause) {
    return "{\"key\":" + key(service) + ",\"incarnation\":\"" + incarnation +
           "\",\"pid\":P,\"uid\":U," + what + ",\"ack_timeout_ms\":" + budget +
           ",\"latency_ms\":T,\"note\":\"\",\"extensions\":0,\"redeliveries\":0,\"said_by\":\"" +
           said_by + "\",\"cause\":\"" + cause + "\"}";
  };
  const Finished finished = programs.ctl({"release-handles", "--json", "/var/cache"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_EQ(finished.err, "");
  EXPECT_EQ(
      settled(finished.out),
      "{\"broadcast_id\":\"ID\",\"state\":\"FINISHED\",\"result\":{\"operation\":{"
      "\"release_handles\":{\"path_prefix\":\"/var/"
      "cache\",\"path_prefix_bytes\":\"\",\"alias\":\"\",\"alias_bytes\":\"\"}},"
      "\"acks\":[{\"key\":" +
          key("acks") + "}],\"timeouts\":[{\"key\":" + key("silent") +
          ",\"timeout_ms\":20}],\"failures\":[{\"key\":" + key("rejects") +
          ",\"reason\":\"REJECTED\"}],\"skipped_dead\":[" + key("dead") + "]},\"backends\":[" +
          backend_of("acks", "1", "\"outcome\":\"ACK\",\"reason\":\"UNSPECIFIED\",\"detail\":\"\"",
                     "300000", "BACKEND", "ANSWER") +
          "," +
          backend_of("silent", "2",
                     "\"outcome\":\"TIMEOUT\",\"reason\":\"UNSPECIFIED\",\"detail\":\"\"", "20",
                     "BROKER", "ACK_TIMEOUT") +
          "," +
          backend_of("rejects", "3",
                     "\"outcome\":\"FAILURE\",\"reason\":\"REJECTED\",\"detail\":\"no\"", "300000",
                     "BACKEND", "ANSWER") +
          "," +
          backend_of("dead", "4",
                     "\"outcome\":\"SKIPPED_DEAD\",\"reason\":\"UNSPECIFIED\",\"detail\":\"process "
                     "exited\"",
                     "0", "KERNEL", "PROCESS_EXITED") +
          "],\"late_acks\":[],\"late_failures\":[],\"started_unix_ms\":\"ID\",\"duration_ms\":T,"
          "\"operation_key\":\"\",\"asked_by\":{\"uid\":U,\"pid\":P,\"command\":\"musterctl\"},"
          "\"id_not_durable\":false,\"backends_unknown\":false,\"verify\":false,"
          "\"interrupted\":false}\n");
}

TEST_F(Musterctl, MakesARelativePathAbsoluteAndTakesAnyBytes) {
  Process& soldr = backend("soldr");
  EXPECT_EQ(programs.ctl({"release-handles", "-q", "a/.././c"}).status, 0);
  EXPECT_EQ(programs.ctl({"release-handles", "-q", "."}).status, 0);
  const Finished odd = programs.ctl({"release-handles", "/x/\xff\x1b[2J"});
  EXPECT_EQ(settled(first_line(odd.out)),
            "release-handles /x/\\xff\\x1b[2J: 1 of 1 acked in T (broadcast ID)");
  soldr.end();
  const std::string dir = std::filesystem::canonical(programs.dir()).native();
  EXPECT_EQ(operations(soldr), "operation ID release-handles " + dir +
                                   "/c\n"
                                   "operation ID release-handles " +
                                   dir +
                                   "\n"
                                   "operation ID release-handles /x/\\xff\\x1b[2J\n");
}

TEST_F(Musterctl, ADryRunTellsTheLostFromThoseThatItWouldAsk) {
  Process& holder = backend("holder", {"--on-release", "drop"});
  backend("good");
  backend("other");
  EXPECT_EQ(programs.ctl({"release-handles", "-q", "/x"}).status, 1);  // its grace is over now
  const Finished dry = programs.ctl({"release-handles", "/x", "--dry-run"});
  EXPECT_EQ(dry.status, 1);
  EXPECT_EQ(dry.out,
            "release-handles /x: would ask 2 backends; 1 would fail at once\n"
            "  ask   good 1.0.0\n"
            "  ask   other 1.0.0\n"
            "  fail  holder 1.0.0 (disconnected; process " +
                std::to_string(holder.pid()) + " is still running)\n");
  const Finished alone =
      programs.ctl({"quiesce", "--dry-run", "--select", "service=holder", "--json"});
  EXPECT_EQ(alone.status, 1) << "it is not that nobody would be asked";
  EXPECT_NE(alone.out.find("\"would_ask\":[],\"skipped_dead\":[],\"would_fail\":[{\"key\":"),
            std::string::npos)
      << alone.out;
  EXPECT_EQ(programs.ctl({"quiesce", "--dry-run", "--select", "service=good"}).status, 0);
}

TEST_F(Musterctl, SelectsByServiceReplicaAndLabel) {
  Process& hot = backend("zccache", {"--label", "tier=hot", "--replica", "r1"});
  Process& cold = backend("zccache", {"--label", "tier=cold", "--replica", "r2"});
  Process& other = backend("soldr", {"--version", "2.1.0"});
  const auto asked = [&](std::vector<std::string> selects) {
    selects.insert(selects.begin(), {"quiesce", "--dry-run"});
    return settled(programs.ctl(std::move(selects)).out);
  };
  EXPECT_EQ(asked({"--select", "service=zcc*,label.tier=hot"}),
            "quiesce (maintenance): would ask 1 backend\n  ask   zccache 1.0.0 #r1\n");
  EXPECT_EQ(asked({"--select", "replica=r2", "--select", "version=2.*"}),
            "quiesce (maintenance): would ask 2 backends\n"
            "  ask   zccache 1.0.0 #r2\n"
            "  ask   soldr 2.1.0\n");
  EXPECT_EQ(programs.ctl({"quiesce", "--select", "label.tier=cold"}).status, 0);
  for (Process* each : {&hot, &cold, &other}) each->end();
  // The dry runs asked nobody.
  EXPECT_EQ(operations(hot) + "/" + operations(cold) + "/" + operations(other),
            "/operation ID quiesce maintenance\n/");
}

TEST_F(Musterctl, JoinsABroadcastThatHasTheSameKey) {
  Process& soldr = backend("soldr");
  const Finished first = programs.ctl({"quiesce", "--key", "night-42", "--detach"});
  const Finished second = programs.ctl({"quiesce", "--key", "night-42", "--detach"});
  EXPECT_EQ(first.out, second.out);
  EXPECT_EQ(programs.ctl({"quiesce", "--key", "night-42"}).status, 0);
  soldr.end();
  EXPECT_EQ(operations(soldr), "operation ID quiesce maintenance\n");
}

TEST_F(Musterctl, DetachesAndFetchesTheResultLater) {
  backend("silent", {"--on-quiesce", "silent"});
  const Finished started = programs.ctl({"quiesce", "--detach"});
  EXPECT_EQ(started.status, 0);
  EXPECT_TRUE(std::regex_match(started.out, std::regex("[0-9]+\n"))) << started.out;
  const std::string id = first_line(started.out);

  const Finished running = programs.ctl({"result", id});
  EXPECT_EQ(running.status, 1);
  EXPECT_NE(running.out.find("quiesce (maintenance): still running after "), std::string::npos)
      << running.out;
  EXPECT_NE(running.out.find("0 of 1 acked, 1 open"), std::string::npos) << running.out;

  Process waiting = programs.start({"result", id, "--wait"});
  EXPECT_EQ(settled(programs.ctl({"cancel", id}).out),
            "broadcast ID cancelled, 1 backend had not answered\n");
  const Finished finished = waiting.finish();
  EXPECT_EQ(finished.status, 1);
  EXPECT_EQ(settled(finished.out),
            "quiesce (maintenance): cancelled after T: 0 of 1 acked (broadcast ID)\n"
            "  asked by U, pid P, musterctl\n"
            "  cancelled   silent 1.0.0 (pid P, uid U): before it answered\n"
            "`musterctl result ID --json` has every detail\n");
  EXPECT_EQ(settled(programs.ctl({"cancel", id}).out), "broadcast ID had finished already\n");
  EXPECT_EQ(programs.ctl({"result", "last"}).out, programs.ctl({"result"}).out);
}

TEST_F(Musterctl, TellsABackendThatNobodyWaitsAnyMore) {
  Process& silent = backend("silent", {"--on-quiesce", "silent"});
  const std::string id = first_line(programs.ctl({"quiesce", "--detach"}).out);
  silent.wait_for("operation");
  EXPECT_EQ(programs.ctl({"cancel", id}).status, 0);
  EXPECT_EQ(silent.wait_for("cancelled"), "cancelled " + id);
}

TEST_F(Musterctl, StopsWaitingOnCtrlCAndTheBroadcastGoesOn) {
  backend("silent", {"--on-quiesce", "silent"});
  Process waiting = programs.start({"quiesce"});
  waiting.wait_for("asked 1 backend");
  const Finished stopped = waiting.end(SIGINT);
  EXPECT_EQ(stopped.status, 130);
  EXPECT_EQ(settled(stopped.err),
            "broadcast ID: quiesce (maintenance): asked 1 backend\n"
            "musterctl: no longer waiting; broadcast ID goes on (0 of 1 outcomes are in): "
            "`musterctl result ID --wait` fetches its report, `musterctl cancel ID` stops it\n");
  EXPECT_NE(programs.ctl({"result"}).out.find("still running"), std::string::npos);
}

TEST_F(Musterctl, ShowsALiveLineOnATerminalAndClearsIt) {
  if (const auto why = test::why_no_terminal(); !why.empty()) GTEST_SKIP() << why;
  backend("acks");
  backend("silent", {"--on-quiesce", "silent"});
  auto options = programs.options();
  options.terminal_columns = 70;
  options.environment.emplace_back("TERM", "xterm");
  options.environment.emplace_back("NO_COLOR", "");
  Process waiting(programs.command({"quiesce"}), options);
  waiting.wait_until_shown("waiting for silent 1.0.0");
  waiting.type("\x03");
  const Finished stopped = waiting.finish();
  EXPECT_EQ(stopped.status, 130);
  EXPECT_NE(stopped.out.find("\r1 of 2 acked, 1 open, "), std::string::npos) << stopped.out;
  EXPECT_NE(stopped.out.find("\r\x1b[Kmusterctl: no longer waiting"), std::string::npos)
      << stopped.out;
  for (std::size_t at = 0; (at = stopped.out.find("\r1 of 2", at)) != std::string::npos; ++at) {
    EXPECT_LE(stopped.out.find("\x1b[K", at) - at - 1, 69u) << stopped.out;
  }
}

TEST_F(Musterctl, WatchesWhatHappens) {
  Process watch = programs.start({"watch"});
  Process json = programs.start({"watch", "--json"});
  watch.wait_for("watching");
  Process& soldr = backend("soldr", {"--on-quiesce", "work:20ms:1"});
  EXPECT_NE(watch.wait_for("registered").find("  soldr 1.0.0 (pid "), std::string::npos);
  EXPECT_EQ(programs.ctl({"quiesce", "-q"}).status, 0);
  soldr.end();
  watch.wait_for(" left");
  const Finished ended = watch.end(SIGINT);
  EXPECT_EQ(ended.status, 130);
  const std::string text =
      std::regex_replace(settled(ended.out), std::regex("(^|\n)[ 0-9:A-Z]+\\.[0-9]{3}  "), "$1");
  EXPECT_EQ(text,
            "soldr 1.0.0 (pid P, uid U) registered\n"
            "broadcast ID: quiesce (maintenance): asked 1 backend; asked by U, pid P, musterctl\n"
            "broadcast ID: soldr 1.0.0 (pid P, uid U) asks for more time: 0 % \"step 1 of 1\"\n"
            "broadcast ID: soldr 1.0.0 (pid P, uid U) acked after T\n"
            "broadcast ID: finished: 1 of 1 acked; asked by U, pid P, musterctl\n"
            "soldr 1.0.0 (pid P, uid U) left\n");
  json.wait_for("BACKEND_DEREGISTERED");
  const Finished objects = json.end(SIGINT);
  EXPECT_EQ(objects.err, "");
  std::istringstream lines(objects.out);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_TRUE(line.starts_with("{\"kind\":\"") && line.ends_with("}")) << line;
  }
}

TEST_F(Musterctl, WatchEndsWhenTheBrokerDoes) {
  Process watch = programs.start({"watch"});
  watch.wait_for("watching");
  EXPECT_EQ(programs.broker().end().status, 0);
  const Finished ended = watch.finish();
  EXPECT_EQ(ended.status, 3);
  EXPECT_NE(ended.out.find("the broker is shutting down"), std::string::npos) << ended.out;
}

TEST_F(Musterctl, ShowsBackendsAndStatus) {
  backend("zccache", {"--label", "tier=hot", "--instance", "private:soldr"});
  programs.dead_backend("dead");
  const Finished table = programs.ctl({"backends"});
  EXPECT_EQ(table.status, 0);
  EXPECT_TRUE(std::regex_match(
      table.out,
      std::regex("BACKEND +STATE +PID +USER +SINCE +INC +OPEN +EXE +LABELS\n"
                 "zccache 1\\.0\\.0 \\[private:soldr\\]  live +[0-9]+ .* 0 "
                 "+/.*/muster-fake-backend +tier=hot\n"
                 "dead 1\\.0\\.0 +dead, process exited  [0-9]+ .* 0 +/.*/muster-fake-backend\n"
                 "1 live, 1 dead\n")))
      << table.out;
  EXPECT_EQ(programs.ctl({"backends", "--select", "service=none"}).out, "no backend is selected\n");
  const Finished status = programs.ctl({"status"});
  EXPECT_EQ(status.status, 0);
  EXPECT_NE(status.out.find("sockets      " + programs.dir().native() + "\n"), std::string::npos)
      << status.out;
  EXPECT_NE(status.out.find("backends     1 live, 0 reconnecting, 0 lost, 1 dead"),
            std::string::npos)
      << status.out;
  const Finished pong = programs.ctl({"ping", "--json"});
  EXPECT_EQ(pong.status, 0);
  EXPECT_NE(pong.out.find("\"pid\":" + std::to_string(programs.broker().pid()) + ","),
            std::string::npos)
      << pong.out;
}

TEST_F(Musterctl, SaysWhenItsOutputIsLost) {
  const Finished full = test::run_program(
      {"/bin/sh", "-c", "\"$0\" ping > /dev/full", test::program("musterctl")}, programs.options());
  EXPECT_EQ(picture(full),
            "74\n--- stderr\nmusterctl: its output could not be written and is not complete\n");
}

TEST_F(Musterctl, IsCompletedByBash) {
  const std::string file =
      std::string(MUSTER_TEST_DATA_DIR) + "/../config/musterctl.bash-completion";
  const auto complete = [&](const std::string& words) {
    const std::string script = "source " + file + "; COMP_WORDS=(musterctl " + words +
                               "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _musterctl; echo "
                               "\"${COMPREPLY[*]}\"";
    return picture(test::run_program({"/bin/bash", "-c", script}, programs.options()));
  };
  EXPECT_EQ(complete("re"), "0\nrelease-handles result retry resume\n--- stderr\n");
  EXPECT_EQ(complete("cancel --"), "0\n--quiet --help --socket-dir --json\n--- stderr\n");
  EXPECT_EQ(complete("--socket-dir /x pi"), "0\nping\n--- stderr\n");
  EXPECT_EQ(complete("result ''"), "0\nlast\n--- stderr\n");
  EXPECT_EQ(complete("quiesce --timeout 5"), "0\n500ms 5m\n--- stderr\n");
}

}  // namespace
}  // namespace muster::test
