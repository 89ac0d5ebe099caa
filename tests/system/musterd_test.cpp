// The real musterd: starting, being refused, stopping, what it leaves behind.
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/host_abilities.h"
#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

mode_t mode_of(const std::filesystem::path& path) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0 ? found.st_mode & 0777U : 0;
}

BroadcastRequest release(std::string path) {
  BroadcastRequest request;
  request.operation = BroadcastOperation::release_handles(std::move(path));
  request.ack_timeout = std::chrono::minutes(5);
  return request;
}

TEST_F(MusterdTest, StopsCleanlyOnSigtermAndOnSigint) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Process broker = start();
    EXPECT_EQ(ping(), broker.pid());
    const Finished finished = broker.end(signal);
    EXPECT_EQ(finished.status, 0) << finished.err;
    EXPECT_NE(finished.err.find("info    stopped\n"), std::string::npos) << finished.err;
    EXPECT_FALSE(std::filesystem::exists(backend_socket()));
    EXPECT_FALSE(std::filesystem::exists(sockets() / "control.sock"));
  }
}

TEST_F(MusterdTest, ItsSocketsAreItsOwnersAloneUnlessTheConfigurationSaysElse) {
  {
    Process broker = start();
    EXPECT_EQ(mode_of(backend_socket()), 0600u);
    EXPECT_EQ(mode_of(sockets() / "control.sock"), 0600u);
  }
  const auto file = write("m.toml", "[sockets]\nbackend_group = " + std::to_string(::getgid()) +
                                        "\ncontrol_mode = \"0640\"\n");
  Process broker = start({"--config", file.native()});
  EXPECT_EQ(mode_of(backend_socket()), 0660u);
  EXPECT_EQ(mode_of(sockets() / "control.sock"), 0640u);
}

TEST_F(MusterdTest, ASecondBrokerOnTheSameDirectoryIsRefused) {
  Process broker = start();
  const Finished second = run();
  EXPECT_EQ(second.status, 1);
  EXPECT_EQ(without_time(second.err),
            "error   another broker (pid " + std::to_string(broker.pid()) + ") already serves " +
                sockets().native() + ": stop it first, or choose another directory");
  EXPECT_EQ(ping(), broker.pid()) << "the first one is not disturbed";
}

TEST_F(MusterdTest, ASecondBrokerWithTheSameStateIsRefusedAndLeavesNoSockets) {
  Process broker = start();
  const Finished second = run_program(
      musterd({"--socket-dir", (dir_ / "t").native(), "--state-dir", sockets().native()}));
  EXPECT_EQ(second.status, 1);
  EXPECT_NE(second.err.find("another broker (pid " + std::to_string(broker.pid()) +
                            ") keeps its state in"),
            std::string::npos)
      << second.err;
  EXPECT_FALSE(std::filesystem::exists(dir_ / "t" / "backend.sock"));
}

TEST_F(MusterdTest, TheSocketsOfAKilledBrokerAreReplaced) {
  start().end(SIGKILL);
  ASSERT_TRUE(std::filesystem::exists(backend_socket()));
  Process broker = start();
  EXPECT_EQ(ping(), broker.pid());
}

TEST_F(MusterdTest, AfterAKillBroadcastsAreToldAsInterruptedAndIdsGoOn) {
  std::optional<Process> broker(start());
  TestBackend backend = join("a");
  const BroadcastId open = ControlClient(sockets()).start_broadcast(release("/cache")).broadcast_id;
  EXPECT_NE(backend.hears().find("operation"), std::string::npos);
  broker->end(SIGKILL);
  broker.emplace(start());

  ControlClient client(sockets());
  try {
    (void)client.report(open);
    ADD_FAILURE() << "there cannot be a report";
  } catch (const ControlFailure& failure) {
    EXPECT_EQ(failure.error().code, ControlError::Code::kInterrupted);
    EXPECT_NE(failure.error().message.find("the broker restarted at"), std::string::npos);
  }
  EXPECT_GT(client.start_broadcast(release("/cache")).broadcast_id, open);
}

TEST_F(MusterdTest, ASocketPathThatIsTooLongIsToldBeforeAnythingIsMade) {
  const auto deep = dir_ / std::string(100, 'd');
  const Finished finished = run_program(musterd({"--socket-dir", deep.native()}));
  EXPECT_EQ(finished.status, 1);
  EXPECT_NE(finished.err.find("is too long for a socket address"), std::string::npos)
      << finished.err;
  EXPECT_FALSE(std::filesystem::exists(deep));
}

TEST_F(MusterdTest, ADirectoryThatCannotBeWrittenIsTold) {
  const Finished proc = run_program(musterd({"--socket-dir", "/proc/muster"}));
  EXPECT_EQ(proc.status, 1);
  EXPECT_EQ(without_time(proc.err),
            "error   cannot make the directory /proc/muster: the file system of /proc takes no "
            "directories; name another place");
  const Finished below = run_program(musterd({"--socket-dir", (dir_ / "none" / "s").native()}));
  EXPECT_EQ(below.status, 1);
  EXPECT_EQ(without_time(below.err),
            "error   cannot make the directory " + (dir_ / "none" / "s").native() + ": " +
                (dir_ / "none").native() + " does not exist; create that first");
  static_cast<void>(write("s", "in the way"));
  const Finished file = run();
  EXPECT_EQ(file.status, 1);
  EXPECT_EQ(without_time(file.err), "error   " + sockets().native() +
                                        " is not a directory: name a directory for the sockets");
}

TEST_F(MusterdTest, WhatIsNoSocketIsLeftAloneAndNothingIsHalfDone) {
  std::filesystem::create_directory(sockets());
  std::ofstream(sockets() / "control.sock") << "precious";
  const Finished finished = run();
  EXPECT_EQ(finished.status, 1);
  EXPECT_NE(finished.err.find("control.sock is there, but is not a socket"), std::string::npos)
      << finished.err;
  EXPECT_TRUE(std::filesystem::exists(sockets() / "control.sock"));
  EXPECT_FALSE(std::filesystem::exists(backend_socket()));
}

TEST_F(MusterdTest, ABadConfigurationIsToldWithItsPlacesAndNothingStarts) {
  const auto file = write("m.toml", "[broker]\nack_timout = \"1s\"\n[log]\nlevel = 3\n");
  const std::string errors =
      file.native() +
      ":2:1: unknown key \"ack_timout\" in [broker]; did you mean "
      "\"ack_timeout\"?\n" +
      file.native() +
      ":4:9: [log] level takes \"error\", \"warning\", \"info\" or \"debug\", not 3\n";
  for (const std::vector<std::string>& more : {std::vector<std::string>{"--config", file.native()},
                                               {"--config", file.native(), "--check-config"}}) {
    const Finished finished = run(more);
    EXPECT_EQ(finished.status, 2);
    EXPECT_EQ(finished.err, errors);
    EXPECT_EQ(finished.out, "");
  }
  EXPECT_FALSE(std::filesystem::exists(sockets()));
}

TEST_F(MusterdTest, AGoodConfigurationIsToldToBeGood) {
  const auto file = write("m.toml", "[broker]\nack_timeout = \"1s\"\n");
  const Finished finished = run({"--config", file.native(), "--check-config"});
  EXPECT_EQ(finished.status, 0);
  EXPECT_EQ(finished.out, file.native() + ": ok\n");
  EXPECT_EQ(finished.err, "");
  EXPECT_FALSE(std::filesystem::exists(sockets()));
}

TEST_F(MusterdTest, ABrokerOfAUserReadsTheUsersFileAndNeverTheSystems) {
  std::vector<std::string> check{program("musterd"), "--check-config"};
  if (::geteuid() == 0) {
    if (const auto why = why_not_several_users(); !why.empty()) GTEST_SKIP() << why;
    ASSERT_EQ(::chown(dir_.path().c_str(), 65534, 65534), 0);
    check.insert(check.begin(),
                 {"/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"});
  }
  const auto checked = [&](const char* variable) {
    const std::string nowhere = variable == std::string("HOME") ? "XDG_CONFIG_HOME" : "HOME";
    return run_program(check, with_environment({{variable, dir_.path().native()},
                                                {nowhere, ""},
                                                {"MUSTER_SOCKET_DIR", sockets().native()}}));
  };
  const auto of_config_home = (dir_ / "muster" / "musterd.toml").native();
  const auto of_home = (dir_ / ".config" / "muster" / "musterd.toml").native();
  EXPECT_EQ(checked("XDG_CONFIG_HOME").out,
            of_config_home + ": does not exist, using the defaults: ok\n");
  EXPECT_EQ(checked("HOME").out, of_home + ": does not exist, using the defaults: ok\n");

  std::filesystem::create_directories(dir_ / "muster");
  std::filesystem::create_directories(dir_ / ".config" / "muster");
  (void)write("muster/musterd.toml", "[log]\nlevel = \"debug\"\n");
  (void)write(".config/muster/musterd.toml", "[log]\nlevel = 3\n");
  EXPECT_EQ(checked("XDG_CONFIG_HOME").out, of_config_home + ": ok\n");
  const Finished bad = checked("HOME");
  EXPECT_EQ(bad.status, 2);
  EXPECT_TRUE(bad.err.starts_with(of_home + ":2:9: [log] level takes")) << bad.err;
}

TEST_F(MusterdTest, WrongUsageHasItsStatus) {
  const Finished finished = run({"--bogus"});
  EXPECT_EQ(finished.status, 2);
  EXPECT_NE(finished.err.find("Try 'musterd --help'"), std::string::npos) << finished.err;
}

// Where the first is all but done: it neither hangs nor ends by the signal.
TEST_F(MusterdTest, ASecondSignalRightBehindTheFirstChangesNothing) {
  for (int i = 0; i < 20; ++i) {
    Process broker = start();
    broker.signal(SIGTERM);
    broker.wait_for("stopping");
    EXPECT_EQ(broker.end(SIGTERM).status, 0);
  }
}

TEST_F(MusterdTest, GoingDownQuiescesEveryBackendAndWaitsForIt) {
  Process broker = start();
  TestBackend a = join("a");
  TestBackend b = join("b");
  broker.signal(SIGTERM);
  const std::string operation = a.hears();
  EXPECT_NE(operation.find(": quiesce (broker-shutdown)"), std::string::npos) << operation;
  const BroadcastId id = std::get<OutgoingOperation>(a.last().message).broadcast_id;
  EXPECT_EQ(b.hears(), operation);
  EXPECT_TRUE(ControlClient(sockets()).status().shutting_down) << "operators can still look";
  a.acks(id);
  b.fails(id, BroadcastFailureReason::kRejected, "busy");
  const Finished finished = broker.finish();
  EXPECT_EQ(finished.status, 0);
  EXPECT_NE(finished.err.find("acks=1 timeouts=0 failures=1"), std::string::npos) << finished.err;
  EXPECT_EQ(a.hears(), "end of stream");
}

TEST_F(MusterdTest, ASecondSigtermCancelsWhatIsOpen) {
  Process broker = start();
  TestBackend a = join("a");
  broker.signal(SIGTERM);
  EXPECT_NE(a.hears().find("quiesce (broker-shutdown)"), std::string::npos);
  broker.signal(SIGTERM);
  EXPECT_EQ(a.hears().substr(0, 7), "cancel ");
  const Finished finished = broker.finish();
  EXPECT_EQ(finished.status, 0);
  EXPECT_NE(finished.err.find("second stop signal"), std::string::npos) << finished.err;
}

TEST_F(MusterdTest, TheStateIsKeptWhereItIsToldTo) {
  start({"--state-dir", (dir_ / "a").native()}).end();
  EXPECT_TRUE(std::filesystem::exists(dir_ / "a" / "broadcast-ids"));
  start({}, {{"STATE_DIRECTORY", (dir_ / "b").native()}}).end();
  EXPECT_TRUE(std::filesystem::exists(dir_ / "b" / "broadcast-ids"));
  start().end();
  EXPECT_TRUE(std::filesystem::exists(sockets() / "broadcast-ids"));
}

TEST_F(MusterdTest, WithoutStandardStreamsItServesAllTheSame) {
  NotifySocket manager(dir_ / "notify");
  Process shell({"/bin/sh", "-c",
                 "exec '" + program("musterd") + "' --config /dev/null --socket-dir '" +
                     sockets().native() + "' --log-level debug <&- >&- 2>&-"},
                with_environment({{"NOTIFY_SOCKET", (dir_ / "notify").native()}}));
  manager.wait_for("READY=1");
  TestBackend a = join("a");
  EXPECT_EQ(ping(), shell.pid());
  EXPECT_EQ(a.has_heard(), "nothing") << "no log line goes to a socket";
  a.deregisters(1);
  EXPECT_EQ(a.hears(), "deregistered");
  EXPECT_EQ(shell.end().status, 0);
}

TEST_F(MusterdTest, AStderrThatNobodyReadsHoldsNothingUp) {
  Process broker = start();
  // Lines of 3 KB, fewer than one user may cause at once; a pipe holds 64 KiB. Nobody reads it
  // meanwhile.
  ControlClient client(sockets());
  BroadcastRequest request;
  request.operation = BroadcastOperation::release_handles("/" + std::string(3000, 'x'));
  for (int i = 0; i < 24; ++i) (void)client.broadcast(request);
  broker.wait_for("broadcast started");
  EXPECT_EQ(ping(), broker.pid());
  const Finished finished = broker.end();
  EXPECT_EQ(finished.status, 0);
  EXPECT_NE(finished.err.find("log lines before this one were dropped"), std::string::npos);
}

TEST_F(MusterdTest, LogsAsJsonOneObjectALine) {
  Process broker = start({"--log-format", "json"});
  TestBackend a = join("a");
  const std::string line = broker.wait_for("backend registered");
  EXPECT_EQ(line.substr(0, 11), "{\"time\":\"20");
  EXPECT_NE(line.find("\",\"level\":\"info\",\"message\":\"backend registered\",\"backend\":\"a "
                      "1.0.0\",\"pid\":" +
                      std::to_string(::getpid()) + ",\"uid\":" + std::to_string(::getuid()) + "}"),
            std::string::npos)
      << line;
}

}  // namespace
}  // namespace muster::test
