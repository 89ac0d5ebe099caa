// The real musterd under a service manager that the test plays: notifications, passed sockets.
#include <fcntl.h>
#include <string>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "os/listener.h"
#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

class MusterdServiceTest : public MusterdTest {
 protected:
  [[nodiscard]] ProcessOptions notified() const {
    return with_environment({{"NOTIFY_SOCKET", (dir_ / "notify").native()}});
  }

  NotifySocket manager_{dir_ / "notify"};
};

TEST_F(MusterdServiceTest, SaysWhenItIsReadyAndWhenItStops) {
  Process broker(command(), notified());
  EXPECT_EQ(manager_.wait_for("READY=1"), "READY=1; STATUS=Listening in " + sockets().native());
  EXPECT_EQ(ping(), broker.pid()) << "ready is ready";
  broker.signal(SIGTERM);
  EXPECT_EQ(manager_.wait_for("STOPPING=1").substr(0, 10), "STOPPING=1");
  EXPECT_EQ(broker.finish().status, 0);
}

TEST_F(MusterdServiceTest, AsksForTheTimeThatItsBackendsMayTake) {
  Process broker(command(), notified());
  manager_.wait_for("READY=1");
  TestBackend a = [&] {
    TestBackend backend(backend_socket());
    Registration registration = registration_of("a");
    registration.ack_timeout = std::chrono::minutes(4);
    backend.registers(registration);
    EXPECT_EQ(backend.hears(), "registered");
    return backend;
  }();
  broker.signal(SIGTERM);
  const std::string extend = manager_.wait_for("EXTEND_TIMEOUT_USEC=");
  const auto usec = std::stoull(extend.substr(extend.find('=') + 1));
  EXPECT_GT(usec, 239'000'000u);
  EXPECT_LT(usec, 250'000'000u);
  EXPECT_NE(a.hears().find("quiesce (broker-shutdown)"), std::string::npos);
  EXPECT_EQ(manager_.wait_for("EXTEND_TIMEOUT_USEC=").substr(0, 20), "EXTEND_TIMEOUT_USEC=")
      << "again and again";
  a.acks(std::get<OutgoingOperation>(a.last().message).broadcast_id);
  EXPECT_EQ(broker.finish().status, 0);
}

// A service manager that hangs: sd_notify() itself would wait for it.
TEST_F(MusterdServiceTest, ServesAndEndsWhileNobodyReadsWhatItSays) {
  const std::string flood = "X_FLOOD=1";
  const std::size_t sent = manager_.fill(flood);
  ASSERT_GT(sent, 0U);
  ProcessOptions watched = notified();
  watched.environment.emplace_back("WATCHDOG_USEC", "20000");
  Process broker(command(), watched);
  broker.wait_for("listening");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ping(), broker.pid());
  broker.signal(SIGHUP);
  broker.wait_for("configuration reloaded");
  EXPECT_EQ(ping(), broker.pid());
  // What is a state is said as soon as somebody reads, in order.
  EXPECT_EQ(manager_.wait_for("READY=1").substr(0, 7), "READY=1");
  EXPECT_EQ(manager_.wait_for("RELOADING=1").substr(0, 11), "RELOADING=1");
  EXPECT_EQ(manager_.wait_for("READY=1").substr(0, 7), "READY=1");
  manager_.fill(flood);
  EXPECT_EQ(broker.end(SIGTERM).status, 0);
}

TEST_F(MusterdServiceTest, FeedsTheWatchdogFromItsLoop) {
  ProcessOptions watched = notified();
  watched.environment.emplace_back("WATCHDOG_USEC", "20000");
  Process broker(command(), watched);
  manager_.wait_for("READY=1");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(manager_.wait_for("WATCHDOG=1"), "WATCHDOG=1");
  EXPECT_EQ(broker.end().status, 0);
}

TEST_F(MusterdServiceTest, FeedsTheWatchdogWhileItStops) {
  ProcessOptions watched = notified();
  watched.environment.emplace_back("WATCHDOG_USEC", "20000");
  Process broker(command(), watched);
  manager_.wait_for("READY=1");
  TestBackend a = join("a");
  broker.signal(SIGTERM);
  manager_.wait_for("STOPPING=1");
  EXPECT_NE(a.hears().find("quiesce (broker-shutdown)"), std::string::npos);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(manager_.wait_for("WATCHDOG=1"), "WATCHDOG=1");
  a.acks(std::get<OutgoingOperation>(a.last().message).broadcast_id);
  EXPECT_EQ(broker.finish().status, 0);
}

TEST_F(MusterdServiceTest, SighupTakesTheLogLevelAndNothingElse) {
  const auto file = write("m.toml", "[log]\nlevel = \"info\"\n");
  Process broker(command({"--config", file.native()}), notified());
  manager_.wait_for("READY=1");
  static_cast<void>(write("m.toml", "[log]\nlevel = \"debug\"\n"));
  broker.signal(SIGHUP);
  const std::string reloading = manager_.wait_for("RELOADING=1");
  EXPECT_EQ(reloading.substr(0, 28), "RELOADING=1; MONOTONIC_USEC=");
  manager_.wait_for("READY=1");
  broker.wait_for("configuration reloaded");
  EXPECT_EQ(ping(), broker.pid());
  broker.wait_for("debug   operator connected");

  static_cast<void>(write("m.toml", "[log]\nlevel = \"error\"\nformat = 7\n"));
  broker.signal(SIGHUP);
  broker.wait_for("m.toml:3:10: [log] format takes");
  broker.wait_for("configuration rejected");
  EXPECT_EQ(ping(), broker.pid());
  broker.wait_for("debug   operator connected");
  EXPECT_EQ(broker.end().status, 0);
}

// Passes descriptors as systemd does: from 3 on, with names.
class MusterdPassedSocketsTest : public MusterdTest {
 protected:
  // Above what a shell uses; not close-on-exec, so that a child gets it.
  os::UniqueFd inheritable(os::UniqueFd fd) const {
    return os::UniqueFd(::fcntl(fd.get(), F_DUPFD, 50));
  }
  os::UniqueFd listening(const std::string& name) const {
    auto made = os::listen_unix(dir_ / name, 0600);
    EXPECT_EQ(made.problem, "");
    return inheritable(std::move(made.socket));
  }

  std::vector<std::string> with(const std::vector<int>& passed, const std::string& names) const {
    std::string redirections;
    for (std::size_t i = 0; i < passed.size(); ++i) {
      redirections += ' ' + std::to_string(3 + i) + "<&" + std::to_string(passed[i]);
    }
    return {"/bin/bash", "-c",
            "exec env LISTEN_PID=$$ LISTEN_FDS=" + std::to_string(passed.size()) +
                " LISTEN_FDNAMES=" + names + " '" + program("musterd") +
                "' --config /dev/null --state-dir '" + (dir_ / "state").native() + "'" +
                redirections};
  }
  ProcessOptions environment() const {
    return with_environment({{"MUSTER_SOCKET_DIR", sockets().native()}});
  }
  std::string refused(const std::vector<int>& passed, const std::string& names) {
    const Finished finished = run_program(with(passed, names), environment());
    EXPECT_EQ(finished.status, 1);
    return without_time(finished.err);
  }
};

TEST_F(MusterdPassedSocketsTest, TakesThemByNameInAnyOrderAndLeavesThemInPlace) {
  std::filesystem::create_directory(sockets());
  const auto control = listening("s/control.sock");
  const auto backend = listening("s/backend.sock");
  Process broker(with({control.get(), backend.get()}, "control:backend"), environment());
  broker.wait_for("passed=yes");
  EXPECT_EQ(ping(), broker.pid());
  join("a").closes();
  EXPECT_EQ(ControlClient(sockets()).status().socket_dir, sockets().native());
  EXPECT_EQ(broker.end().status, 0);
  EXPECT_TRUE(std::filesystem::exists(backend_socket())) << "they are the service manager's";
  EXPECT_FALSE(std::filesystem::exists(sockets() / "musterd.lock"));
}

TEST_F(MusterdPassedSocketsTest, KeepsASecondBrokerAwayWhenTheDirectoryIsRemoved) {
  std::filesystem::create_directory(sockets());
  const auto control = listening("s/control.sock");
  const auto backend = listening("s/backend.sock");
  Process broker(with({control.get(), backend.get()}, "control:backend"), environment());
  broker.wait_for("passed=yes");
  broker.signal(SIGSTOP);
  std::filesystem::remove_all(sockets());
  const Finished second = run({"--state-dir", (dir_ / "other").native()});
  EXPECT_EQ(second.status, 1);
  EXPECT_EQ(without_time(second.err),
            "error   another broker (pid " + std::to_string(broker.pid()) + ") already serves " +
                sockets().native() + ": stop it first, or choose another directory");
  broker.signal(SIGCONT);
  EXPECT_EQ(broker.finish().status, 3);
}

TEST_F(MusterdPassedSocketsTest, EndsWhenTheProcessThatSharesASocketShutsItDown) {
  for (const char* name : {"backend.sock", "control.sock"}) {
    SCOPED_TRACE(name);
    std::filesystem::remove_all(sockets());
    std::filesystem::create_directory(sockets());
    const auto control = listening("s/control.sock");
    const auto backend = listening("s/backend.sock");
    Process broker(with({control.get(), backend.get()}, "control:backend"), environment());
    broker.wait_for("passed=yes");
    const auto since = std::chrono::steady_clock::now();
    ::shutdown((name[0] == 'b' ? backend : control).get(), SHUT_RDWR);
    const std::string line = broker.wait_for("cannot be made again, exiting");
    EXPECT_LT(std::chrono::steady_clock::now() - since, std::chrono::seconds(kSanitized ? 10 : 2));
    EXPECT_EQ(without_time(line),
              "error   sockets shut down by another process and cannot be made again, exiting "
              "gone=" +
                  (sockets() / name).native() +
                  " why=\"the service manager made them: restart the socket units, too\"");
    EXPECT_EQ(broker.finish().status, 3) << "the service manager is to make them again";
  }
}

TEST_F(MusterdPassedSocketsTest, RefusesWhatItCannotUseWithASentence) {
  const auto control = listening("c");
  const auto backend = listening("b");
  EXPECT_EQ(refused({backend.get(), control.get()}, "backend:musterd.socket"),
            "error   the service manager passed a socket named \"musterd.socket\": name them "
            "\"backend\" and \"control\" (FileDescriptorName=)");
  EXPECT_EQ(refused({backend.get()}, "backend"),
            "error   the service manager passed no socket named \"control\": pass both \"backend\" "
            "and \"control\" (FileDescriptorName=), or none");
  const auto datagram = inheritable(os::UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
  EXPECT_EQ(
      refused({datagram.get(), control.get()}, "backend:control"),
      "error   the socket named \"backend\": the descriptor 3 that was passed is not a stream "
      "socket: pass a ListenStream=");
  const auto file = inheritable(os::UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)));
  EXPECT_NE(refused({file.get(), control.get()}, "backend:control").find("is not a socket"),
            std::string::npos);
}

}  // namespace
}  // namespace muster::test
