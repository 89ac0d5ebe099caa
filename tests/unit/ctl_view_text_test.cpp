#include <ctime>
#include <string>

#include <gtest/gtest.h>

#include "musterctl/view_text.h"
#include "support/view_values.h"

namespace muster::ctl {
namespace {

using test::key_of;

class ViewText : public testing::Test {
 protected:
  ViewText() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    style.user = [](uid_t uid) { return uid == 1000 ? "alice" : ""; };
    style.now_unix_ms = 1'709'294'540'000;
  }
  static BackendInfo backend(BackendKey key, BackendState state, pid_t pid, uid_t uid) {
    BackendInfo info;
    info.key = std::move(key);
    info.state = state;
    info.pid = pid;
    info.uid = uid;
    info.since_unix_ms = 1'709'294'531'042;
    return info;
  }

  ViewStyle style;
};

TEST_F(ViewText, OfNoBackendIsOneLine) {
  EXPECT_EQ(show_backends({}, style), "no backend\n");
  style.selective = true;
  EXPECT_EQ(show_backends({}, style), "no backend is selected\n") << "there may be others";
}

TEST_F(ViewText, OfBackendsIsAlignedAndSafe) {
  auto live = backend(key_of("zccache", "1.4.2"), BackendState::kLive, 812, 1000);
  live.labels = {{"tier", "hot"}, {"größe", "\x1b[31mXL"}};
  live.open_operations = 2;
  live.incarnation = 12;
  live.exe = "/usr/bin/zcc\\x1b";
  auto away = backend(key_of("soldr", "2.0.1", "r2"), BackendState::kReconnecting, 0, 65534);
  away.exe_problem = "it is in another pid namespace";
  away.key.instance = Instance::private_to("zccache");
  auto dead = backend(key_of("old"), BackendState::kDead, 700, 0);
  dead.gone_because = "process exited";
  dead.since_unix_ms -= 86'400'000;
  EXPECT_EQ(
      show_backends({live, away, dead}, style),
      "BACKEND                            STATE                 PID              USER          "
      "SINCE                INC  OPEN  EXE                               LABELS\n"
      "zccache 1.4.2                      live                  812              alice (1000)  "
      "12:02:11             12   2     /usr/bin/zcc\\x1b                  größe=\"\\x1b[31mXL\" "
      "tier=hot\n"
      "soldr 2.0.1 [private:zccache] #r2  reconnecting          pid not visible  65534         "
      "12:02:11             0    0     (it is in another pid namespace)\n"
      "old 1.0.0                          dead, process exited  700              0             "
      "2024-02-29 12:02:11  0    0     -\n"
      "1 live, 1 reconnecting, 1 dead\n");
}

TEST_F(ViewText, OfABackendNeverHasALabelOrAColumnThatItDoesNotHave) {
  auto live = backend(key_of("a"), BackendState::kLive, 812, 1000);
  live.labels = {{"tier", "hot zone=b"}, {"x", R"(\" zone=b)"}};
  live.exe = "/tmp/a  zone=b";
  const std::string text = show_backends({live}, style);
  EXPECT_NE(text.find(R"("/tmp/a  zone=b"  tier="hot zone=b" x="\\\" zone=b")"), std::string::npos)
      << text;
}

TEST_F(ViewText, OfBackendsSaysWhichAreLostAndWhichAreQuiesced) {
  auto lost = backend(key_of("a"), BackendState::kLost, 700, 0);
  lost.gone_because = "connection closed";
  auto unexplained = backend(key_of("b"), BackendState::kLost, 0, 0);
  auto inherited = backend(key_of("f"), BackendState::kLost, 705, 0);
  inherited.cause = Cause::kInherited;
  inherited.gone_because = to_string(inherited.cause);
  auto refused = backend(key_of("g"), BackendState::kLost, 706, 0);
  refused.cause = Cause::kRefusedKey;
  refused.gone_because = to_string(refused.cause);
  auto unseen = backend(key_of("h"), BackendState::kLost, 0, 0);
  unseen.cause = Cause::kUnseen;
  unseen.gone_because = to_string(unseen.cause);
  auto quiesced = backend(key_of("c"), BackendState::kLive, 702, 0);
  quiesced.quiesced =
      QuiescedState{1'709'294'471'000, 17, QuiesceReason::kMaintenance, Operator{1000, 5, "x"}};
  auto restart = backend(key_of("d"), BackendState::kLive, 703, 0);
  restart.quiesced = QuiescedState{1'709'294'471'000, 18, QuiesceReason::kIdleTimeout, {}};
  restart.can_resume = false;
  const auto newer = backend(key_of("e"), kUnknownBackendState, 704, 0);
  const std::string text = show_backends(
      {lost, unexplained, quiesced, restart, newer, inherited, refused, unseen}, style);
  for (const std::string part :
       {"a 1.0.0  lost, connection closed, process 700 is still running ",
        "b 1.0.0  lost, connection lost, its process may still run ",
        "f 1.0.0  lost, process exited, but another process has its connection ",
        "g 1.0.0  lost, not registered: another user's process has its key, process 706 is still "
        "running ",
        "h 1.0.0  lost, its process cannot be seen: the broker runs in another pid namespace than "
        "when it registered, it may still run ",
        "c 1.0.0  live, quiesced since 12:01:11 by uid alice (1000) (broadcast 17) ",
        "d 1.0.0  live, quiesced since 12:01:11 by the broker (broadcast 18), restart it to "
        "resume ",
        "e 1.0.0  unknown ", "\n2 live, 5 lost, 1 unknown, 2 quiesced\n"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << text;
  }
}

TEST_F(ViewText, OfAStatusTakesItsUptimeFromTheBrokersSteadyClock) {
  BrokerStatus status;
  status.uptime = std::chrono::seconds(90);
  status.started_unix_ms = 1;  // by a clock that was wrong then
  status.problems = {"ids are not on disk: No space left on device\x1b"};
  status.counters.task_failures = 2;
  const std::string text = show_status(status, style);
  EXPECT_NE(text.find(", up 1 min 30 s, since "), std::string::npos) << text;
  EXPECT_NE(text.find("\nproblem      ids are not on disk: No space left on device\\x1b\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("\ntasks        2 failed and were started again\n"), std::string::npos)
      << text;
}

TEST_F(ViewText, OfAStatusSaysWhatTheBrokerDoesAndHasDone) {
  BrokerStatus status;
  status.version = "0.1.0";
  status.pid = 4711;
  status.started_unix_ms = style.now_unix_ms - (3 * 3'600 + 12 * 60) * 1'000;
  status.socket_dir = "/run/muster";
  status.transport = "epoll";
  status.connections = 12;
  status.live_backends = 10;
  status.dead_backends = 2;
  status.reconnecting_backends = 1;
  status.lost_backends = 4;
  status.quiesced_backends = 3;
  status.running_broadcasts = {17, 19};
  status.reports_kept = 100;
  status.counters = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1, 6};
  status.users = {{1000, {12, 32'768}, {10, 16'384}, {0, 67'108'864}, {0, 512}, 2},
                  {7, {0, 32'768}, {0, 16'384}, {0, 67'108'864}, {500, 512}, 0}};
  status.users[1].operators = {3, 32};
  status.users[1].report_bytes = {4'096, 67'108'864};
  status.descriptors = {214, 1024, 80, false};
  EXPECT_EQ(
      show_status(status, style),
      "musterd 0.1.0, pid 4711, up 3 h 12 min, since 08:50:20\n"
      "sockets      /run/muster\n"
      "transport    epoll\n"
      "backends     10 live, 1 reconnecting, 4 lost, 2 dead, 3 quiesced, 12 connections\n"
      "broadcasts   2 running (17, 19), 5 started, 6 finished, 100 reports kept\n"
      "operations   7 sent, 8 sent again after a reconnect, 12 not sent (dead)\n"
      "outcomes     9 acked, 10 timed out, 11 failed\n"
      "late answers 13 late, 14 twice, 15 for unknown broadcasts\n"
      "peers        1 accepted, 2 registered, 3 refused, 4 protocol errors, 1 slow reader, 6 over "
      "a quota\n"
      "descriptors  214 of 1024 in use, 80 reserved for operators\n"
      "user 7       0 of 32768 connections, 0 of 16384 registered, 0 of 67108864 bytes "
      "queued, 500 of 512 broadcasts, 0 dead, 3 of 32 operators, 4096 of 67108864 bytes of "
      "reports\n"
      "user 1000    alice: 12 of 32768 connections, 10 of 16384 registered, 0 of 67108864 "
      "bytes queued, 0 of 512 broadcasts, 2 dead\n")
      << "who is nearest to a quota comes first";
}

TEST_F(ViewText, OfAStatusSaysThatDescriptorsAreUsedUpAndLeavesOutUsersOfAHundred) {
  BrokerStatus status;
  status.descriptors = {944, 1024, 80, true};
  for (uid_t uid = 0; uid < 100; ++uid) status.users.push_back({uid, {1, 2}, {}, {}, {}, 0});
  const std::string text = show_status(status, style);
  EXPECT_NE(
      text.find("944 of 1024 in use, 80 reserved for operators, used up: new backends wait\n"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("user 19 "), std::string::npos) << text;
  EXPECT_EQ(text.find("user 20 "), std::string::npos) << text;
  EXPECT_NE(text.find("users        80 more\n"), std::string::npos) << text;
}

TEST_F(ViewText, OfAStatusSaysThatTheBrokerGoesDown) {
  BrokerStatus status;
  status.version = "0.1.0\x1b";
  status.pid = 4711;
  status.started_unix_ms = style.now_unix_ms + 5'000;  // the clock was set back
  status.shutting_down = true;
  for (BroadcastId id = 1; id <= 30; ++id) status.running_broadcasts.push_back(id);
  const std::string text = show_status(status, style);
  EXPECT_EQ(text.substr(0, text.find('\n')),
            "musterd 0.1.0\\x1b, pid 4711, up 0.0 ms, since 12:02:25, shutting down");
  EXPECT_NE(text.find("30 running (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, "
                      "19, 20, ...), 0 started"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace muster::ctl
