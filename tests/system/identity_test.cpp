// Who a backend is: the process that connected, as the kernel names it. Real programs.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <regex>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/peer.h"
#include "os/unique_fd.h"
#include "support/child.h"
#include "support/host_abilities.h"
#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

class IdentityTest : public MusterdTest {
 protected:
  // A broker for which nothing is over before it is.
  Process start_patient() {
    return start({"--config", write("patient.toml",
                                    "[broker]\n"
                                    "max_ack_timeout = \"3h\"\n"
                                    "reconnect_grace = \"1h\"\n")
                                  .native()});
  }
  [[nodiscard]] std::vector<std::string> fake(const std::string& service,
                                              std::vector<std::string> more = {}) const {
    std::vector<std::string> all{program("muster-fake-backend"), "--socket-dir", sockets().native(),
                                 "--service", service};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  [[nodiscard]] Finished ctl(std::vector<std::string> more) const {
    std::vector<std::string> all{program("musterctl"), "--socket-dir", sockets().native()};
    all.insert(all.end(), more.begin(), more.end());
    return run_program(std::move(all));
  }
  [[nodiscard]] BackendInfo only_backend() const {
    const auto all = ControlClient(sockets()).backends();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? BackendInfo{} : all.front();
  }
  // A backend "forks" that forks once it has registered. The child, which has the connection as
  // well, says "holds", runs `in_child` and exits; the parent runs `in_parent` and exits.
  template <class InChild, class InParent>
  [[nodiscard]] Child forks_when_registered(InChild in_child, InParent in_parent) const {
    return Child([socket = backend_socket(), in_child, in_parent](Child::Side& side) {
      TestBackend backend(socket);
      backend.registers("forks");
      if (backend.hears() != "registered") return;
      if (::fork() == 0) {
        ::alarm(60);
        side.say("holds");
        in_child(side, backend);
        ::_exit(0);
      }
      in_parent(side);
    });
  }
  // Other users get in.
  void open_directory() const { ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0); }
};

std::uint64_t unix_ms() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

bool has_program(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

TEST_F(IdentityTest, ABackendIsShownWithItsProcessItsUserAndItsProgram) {
  Process broker = start();
  const std::uint64_t before = unix_ms();
  Process backend(fake("zccache"));
  backend.wait_for("registered");
  const BackendInfo info = only_backend();
  EXPECT_EQ(info.pid, backend.pid());
  EXPECT_EQ(info.uid, ::geteuid());
  EXPECT_EQ(info.gid, ::getegid());
  EXPECT_EQ(info.incarnation, 1U);
  EXPECT_EQ(info.exe, std::filesystem::canonical(program("muster-fake-backend")).native());
  EXPECT_EQ(info.exe_problem, "");
  // The kernel counts in hundredths of a second, and rounds down.
  EXPECT_GE(info.process_started_unix_ms + 20, before);
  EXPECT_LE(info.process_started_unix_ms, unix_ms());

  const Finished json = ctl({"backends", "--json"});
  EXPECT_NE(json.out.find("\"exe\":\"" + info.exe + '"'), std::string::npos) << json.out;
  EXPECT_NE(json.out.find("\"incarnation\":\"1\""), std::string::npos) << json.out;
  EXPECT_NE(ctl({"backends"}).out.find(info.exe), std::string::npos);

  backend.end(SIGKILL);
  broker.wait_for("backend dead");
  EXPECT_EQ(only_backend().exe, info.exe) << "known of one that is gone, too";
}

TEST_F(IdentityTest, AProgramThatMayNotBeReadIsSaidToBeSo) {
  if (const auto why = why_not_several_users(); !why.empty()) GTEST_SKIP() << why;
  std::filesystem::create_directory(sockets());
  open_directory();
  ASSERT_EQ(::chown(sockets().c_str(), 65534, 65534), 0);
  auto unprivileged = command();
  unprivileged.insert(unprivileged.begin(),
                      {"/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"});
  Process broker(unprivileged);
  broker.wait_for("listening");
  Process backend(fake("zccache"));  // root's
  backend.wait_for("registered");
  const BackendInfo info = only_backend();
  EXPECT_EQ(info.pid, backend.pid());
  EXPECT_EQ(info.exe, "");
  EXPECT_EQ(info.exe_problem, "Permission denied");
  EXPECT_NE(info.process_started_unix_ms, 0U);
  EXPECT_NE(ctl({"backends"}).out.find("(Permission denied)"), std::string::npos);
}

TEST_F(IdentityTest, AProcessThatExitsFailsAtOnceAndIsNotDeadWhileItsChildHasTheSocket) {
  Process broker = start_patient();
  Child parent = forks_when_registered(
      [](Child::Side& side, TestBackend& backend) {
        side.say(backend.hears());
        side.say(backend.hears());  // it has the socket, until the broker closes it
      },
      [](Child::Side& side) { side.wait_to_be_told(); });
  const pid_t pid = parent.pid();
  ASSERT_EQ(parent.hear(), "holds");
  ControlClient client(sockets());
  BroadcastRequest request;
  request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  request.ack_timeout = std::chrono::hours(1);
  const BroadcastId id = client.start_broadcast(request).broadcast_id;
  EXPECT_EQ(parent.hear(), "operation " + std::to_string(id) + ": quiesce (maintenance)");
  parent.tell();

  const BroadcastReport report = client.report(id, true);
  EXPECT_EQ(report.backends.at(0).detail,
            "process " + std::to_string(pid) +
                " has exited, but another process (a child?) still has its connection");
  EXPECT_EQ(report.backends.at(0).said_by, SaidBy::kKernel);
  EXPECT_EQ(only_backend().state, BackendState::kLost);
  EXPECT_EQ(ctl({"quiesce"}).status, 1);
  EXPECT_EQ(ctl({"forget", "forks"}).status, 0);
  EXPECT_EQ(parent.hear(), "end of stream");
}

// Nothing leads to the child, which has the files of its parent.
TEST_F(IdentityTest, ACrashForgetsNobodyWhoseChildHasTheConnection) {
  const auto start_hasty = [&] {
    return start({"--config", write("m.toml", "[broker]\nrestart_grace = \"1ms\"\n").native()});
  };
  std::optional<Process> broker(start_hasty());
  Child parent = forks_when_registered(
      [](Child::Side& side, TestBackend&) { side.wait_to_be_told(); }, [](Child::Side&) {});
  ASSERT_EQ(parent.hear(), "holds");
  broker->wait_for("backend lost");
  EXPECT_EQ(ctl({"release-handles", "/cache"}).status, 1);
  for (int crash = 0; crash < 2; ++crash) {
    broker->end(SIGKILL);
    broker.reset();
    broker.emplace(start_hasty());
    broker->wait_for("backend lost");
    EXPECT_EQ(ctl({"release-handles", "/cache"}).status, 1) << "crash " << crash;
  }
  EXPECT_EQ(ctl({"forget", "forks"}).status, 0);
  EXPECT_EQ(ctl({"release-handles", "/cache"}).status, 5) << "nobody else is there";
  parent.tell();
}

TEST_F(IdentityTest, AnExitAndALostConnectionAreToldApart) {
  // The grace must be longer than what lies between the end of a connection and that of its
  // process.
  Process broker =
      start({"--config", write("m.toml", "[broker]\nreconnect_grace = \"1s\"\n").native()});
  const auto socket = backend_socket();
  const auto live = [&](Child::Side& side, bool closes) {
    TestBackend backend(socket);
    backend.registers(closes ? "closes" : "exits");
    side.say(backend.hears());
    side.say(backend.hears());
    side.wait_to_be_told();
    if (!closes) return;
    backend.closes();
    side.wait_to_be_told();
  };
  Child closes([&](Child::Side& side) { live(side, true); });
  Child exits([&](Child::Side& side) { live(side, false); });
  ASSERT_EQ(closes.hear(), "registered");
  ASSERT_EQ(exits.hear(), "registered");
  ControlClient client(sockets());
  BroadcastRequest request;
  request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  request.ack_timeout = std::chrono::minutes(5);
  const BroadcastId id = client.start_broadcast(request).broadcast_id;
  (void)closes.hear();
  (void)exits.hear();
  closes.tell();
  exits.tell();
  const BroadcastReport report = client.report(id, true);
  std::string told;
  for (const auto& backend : report.backends) {
    told += backend.key.service_name + ": " + backend.detail + '\n';
  }
  const std::string lives =
      "closes: disconnected; process " + std::to_string(closes.pid()) + " is still running\n";
  EXPECT_TRUE(told == lives + "exits: process exited\n" ||
              told == "exits: process exited\n" + lives)
      << told;
  for (const auto& info : client.backends()) {
    EXPECT_EQ(info.gone_because,
              info.key.service_name == "closes" ? "connection closed" : "process exited");
  }
}

TEST_F(IdentityTest, AStoppedBackendCostsItsOwnTimeoutAlone) {
  Process broker = start_patient();
  Process awake(fake("awake", {"--ack-timeout", "1h"}));
  awake.wait_for("registered");
  Process stopped(fake("stopped", {"--ack-timeout", "50ms"}));
  stopped.wait_for("registered");
  stopped.signal(SIGSTOP);
  int status = 0;
  ASSERT_EQ(::waitpid(stopped.pid(), &status, WUNTRACED), stopped.pid());

  ControlClient client(sockets());
  BroadcastRequest request;
  request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  const auto report = client.broadcast(request);
  ASSERT_TRUE(report);
  EXPECT_EQ(to_string(report->result),
            "quiesce (maintenance): acked awake 1.0.0; timed out stopped 1.0.0 (50 ms)");
  stopped.signal(SIGCONT);
  stopped.wait_for("operation " + std::to_string(report->broadcast_id));
  for (const auto& info : client.backends()) EXPECT_EQ(info.state, BackendState::kLive);
}

// The broker is in a pid namespace of its own, and its backends outside.
class NamespaceTest : public IdentityTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0 || !has_program("/usr/bin/unshare")) {
      GTEST_SKIP() << "needs root and unshare, to run the broker in a pid namespace of its own";
    }
    auto probe = kApart;
    probe.emplace_back("/bin/true");
    if (run_program(probe).status != 0) GTEST_SKIP() << "unshare --pid is not allowed here";
    if (!has_peer_pidfd()) GTEST_SKIP() << "this kernel has no SO_PEERPIDFD with inodes";
    broker_.emplace(inside());
    broker_->wait_for("listening");
  }
  [[nodiscard]] std::vector<std::string> inside() const {
    auto all = command({"--config", write("m.toml",
                                          "[broker]\n"
                                          "reconnect_grace = \"0ms\"\n"
                                          "restart_grace = \"1ms\"\n")
                                        .native()});
    all.insert(all.begin(), kApart.begin(), kApart.end());
    return all;
  }
  void crash_and_start_again() {
    broker_->end(SIGKILL);
    broker_.emplace(inside());
    broker_->wait_for("listening");
  }
  static bool has_peer_pidfd() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return false;
    const os::UniqueFd one(ends[0]);
    const os::UniqueFd other(ends[1]);
    std::error_code error;
    const os::UniqueFd pidfd = os::pidfd_of_peer(one.get(), error);
    return pidfd && os::pidfd_inode(pidfd.get()).has_value();
  }
  [[nodiscard]] std::string result_of_a_release() const {
    BroadcastRequest request;
    request.operation = BroadcastOperation::release_handles("/cache");
    const auto report = ControlClient(sockets()).broadcast(request);
    EXPECT_TRUE(report);
    if (!report) return "none";
    details_.clear();
    for (const BackendOutcome& one : report->backends) details_.push_back(one.detail);
    return to_string(report->result);
  }
  void wait_until_lost() const {
    while (only_backend().state != BackendState::kLost && !HasFailure()) {
    }
  }

  static inline const std::vector<std::string> kApart{"/usr/bin/unshare", "--pid", "--fork",
                                                      "--kill-child"};
  std::optional<Process> broker_;
  mutable std::vector<std::string> details_;  // of the last release
};

TEST_F(NamespaceTest, APeerOfAnotherPidNamespaceIsKnownByItsPidfd) {
  Process backend(fake("outside"));
  backend.wait_for("registered");
  const BackendInfo info = only_backend();
  EXPECT_EQ(info.pid, 0);
  EXPECT_EQ(info.uid, 0U);
  EXPECT_EQ(info.exe_problem, "it is in another pid namespace");
  const Finished table = ctl({"backends"});
  EXPECT_TRUE(
      std::regex_search(table.out, std::regex("outside 1.0.0 +live +pid not visible +root")))
      << table.out;
  EXPECT_EQ(result_of_a_release(), "release-handles /cache: acked outside 1.0.0");
  backend.end(SIGKILL);
  broker_->wait_for("backend dead");
  EXPECT_EQ(only_backend().gone_because, "process exited");
}

TEST_F(NamespaceTest, TwoProcessesWithOneKeyAreBothAsked) {
  Process first(fake("outside", {"--on-release", "reject:busy"}));
  first.wait_for("registered");
  Process second(fake("outside"));
  second.wait_for("registered");
  const auto all = ControlClient(sockets()).backends();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].key.replica.rfind("~i", 0), 0U) << all[1].key.to_string();
  const std::string name = all[1].key.to_string();
  EXPECT_EQ(result_of_a_release(),
            "release-handles /cache: acked " + name + "; failed outside 1.0.0 (rejected)");
  EXPECT_EQ(ctl({"release-handles", "/cache"}).status, 1);
}

TEST_F(NamespaceTest, OneThatLivesAndLeavesItsConnectionIsNeverSkipped) {
  Process backend(fake("outside", {"--on-release", "drop"}));
  backend.wait_for("registered");
  const std::string failed = "release-handles /cache: failed outside 1.0.0 (backend error)";
  EXPECT_EQ(result_of_a_release(), failed);
  wait_until_lost();
  EXPECT_EQ(result_of_a_release(), failed);
  EXPECT_EQ(details_.at(0), "disconnected; its process, in another pid namespace, may still run");
  EXPECT_NE(ctl({"backends"}).out.find("its process may still run"), std::string::npos);
  backend.end(SIGKILL);
  broker_->wait_for("backend dead");
  EXPECT_EQ(result_of_a_release(), "release-handles /cache: skipped dead outside 1.0.0");
}

// Nothing leads to its process until it is back.
TEST_F(NamespaceTest, OneThatIsNotBackAfterACrashIsLostUntilItIsForgotten) {
  Process backend(fake("outside"));
  backend.wait_for("registered");
  backend.signal(SIGSTOP);
  crash_and_start_again();
  wait_until_lost();
  EXPECT_EQ(result_of_a_release(), "release-handles /cache: failed outside 1.0.0 (backend error)");
  EXPECT_EQ(ctl({"release-handles", "/cache"}).status, 1);
  crash_and_start_again();
  wait_until_lost();
  const auto roster = sockets() / "roster";
  const auto before = std::filesystem::file_size(roster);
  EXPECT_EQ(ctl({"forget", "outside"}).status, 0);
  EXPECT_TRUE(ControlClient(sockets()).backends().empty());
  // It is on disk a moment after the answer.
  const auto latest = std::chrono::steady_clock::now() + Process::kPatience;
  while (std::filesystem::file_size(roster) == before) {
    ASSERT_LT(std::chrono::steady_clock::now(), latest);
  }
  crash_and_start_again();
  EXPECT_TRUE(ControlClient(sockets()).backends().empty());
  backend.signal(SIGCONT);
}

}  // namespace
}  // namespace muster::test
