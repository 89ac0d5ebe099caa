// Verified releases and holds with the real programs: what ends a hold, what a broker that is
// killed, a client that is killed, a helper that is killed and a full disk make of one.
#include <array>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/listener.h"
#include "support/child.h"
#include "support/file_holding.h"
#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

class MusterdHoldsTest : public MusterdTest {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(cache());
    std::ofstream(cache() / "file") << "content";
  }
  [[nodiscard]] std::filesystem::path cache() const { return dir_ / "cache"; }
  // A broker that asks the muster-scan of the test, or looks with its own rights.
  [[nodiscard]] Process start_broker(const std::string& more = {},
                                     std::vector<std::pair<std::string, std::string>> env = {}) {
    const auto config = write("m.toml", "[broker]\nrestart_grace = \"" + grace_ + "\"\n" +
                                            "hold_scan_interval = \"1s\"\n[control]\nscan = \"" +
                                            (dir_ / "scan.sock").native() + "\"\n" + more);
    return start({"--config", config.native(), "--state-dir", (dir_ / "state").native()},
                 std::move(env));
  }
  [[nodiscard]] BroadcastRequest release() const {
    BroadcastRequest request;
    request.operation = BroadcastOperation::release_handles(cache().native());
    return request;
  }
  [[nodiscard]] BroadcastRequest held(HoldRequest hold) const {
    BroadcastRequest request = release();
    request.hold = hold;
    return request;
  }
  [[nodiscard]] BroadcastRequest verified(std::optional<HoldRequest> hold = std::nullopt) const {
    BroadcastRequest request = release();
    request.verify = true;
    request.hold = hold;
    return request;
  }
  static HoldRequest with_lease() { return {true, std::nullopt}; }
  static HoldRequest with_time(std::chrono::milliseconds time) { return {false, time}; }

  // Acks the release that it hears.
  static BroadcastId ack(TestBackend& backend) {
    const std::string heard = backend.hears();
    EXPECT_THAT(heard, HasSubstr("release-handles"));
    const auto id = std::get<OutgoingOperation>(backend.last().message).broadcast_id;
    backend.acks(id);
    return id;
  }
  // What the client's broadcast says when the backend acked it.
  static BroadcastReport released(ControlClient& client, TestBackend& backend,
                                  const BroadcastRequest& request) {
    std::thread acks([&] { (void)ack(backend); });
    const auto report = client.broadcast(request);
    acks.join();
    EXPECT_TRUE(report);
    return report.value_or(BroadcastReport(BroadcastOperation::unknown()));
  }
  static std::string how_it_ended(TestBackend& backend, HoldId id) {
    EXPECT_EQ(backend.hears(), "hold " + std::to_string(id) + " ended");
    return std::string(to_string(std::get<HoldEnded>(backend.last().message).why));
  }
  // The holds that it is told when it registers.
  [[nodiscard]] std::vector<HoldId> told_at_registration(const std::string& service) const {
    TestBackend backend(backend_socket());
    backend.registers(service);
    EXPECT_EQ(backend.hears(), "registered");
    std::vector<HoldId> ids;
    for (const ActiveHold& hold : std::get<Registered>(backend.last().message).active_holds) {
      EXPECT_EQ(hold.path_prefix, cache().native());
      ids.push_back(hold.id);
    }
    return ids;
  }
  // A process that has the file open. Its parent has exited: it is none of the test's, and so none
  // of its operators'.
  class Somebody {
   public:
    explicit Somebody(const std::filesystem::path& file) {
      const Finished parent = run_program(
          {"/bin/sh", "-c", "exec 3<\"$0\"; sleep 1000 >/dev/null 2>&1 & echo $!", file.native()});
      pid_ = std::stoi(parent.out);
    }
    ~Somebody() { ::kill(pid_, SIGKILL); }
    Somebody(const Somebody&) = delete;
    Somebody& operator=(const Somebody&) = delete;
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

   private:
    pid_t pid_ = 0;
  };
  // As the service manager starts it: nobody else keeps its socket open.
  [[nodiscard]] Process start_muster_scan() const {
    auto listener = os::listen_unix(dir_ / "scan.sock", 0600);
    EXPECT_EQ(listener.problem, "");
    const int flags = ::fcntl(listener.socket.get(), F_GETFL);
    ::fcntl(listener.socket.get(), F_SETFL, flags & ~O_NONBLOCK);
    ProcessOptions options;
    options.before_exec = [fd = listener.socket.get()] {
      return ::dup2(fd, 3) == 3 && ::fcntl(3, F_SETFD, 0) == 0;
    };
    return Process(
        {"/bin/sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\"", program("muster-scan")},
        options);
  }

  // In order, and without waiting for backends that are not asked to play on.
  static void stop(Process& broker) {
    broker.signal(SIGTERM);
    broker.wait_for("stopping");
    EXPECT_EQ(broker.end(SIGTERM).status, 0);
  }

  std::string grace_ = "1h";
};

// An operator of its own process that waits for the release and then for its end.
std::function<void(Child::Side&)> operator_that_holds(const std::filesystem::path& sockets,
                                                      const BroadcastRequest& request) {
  return [sockets, request](Child::Side& test) {
    ControlClient client(sockets);
    const auto report = client.broadcast(request);
    test.say(std::to_string(report ? report->broadcast_id : 0) + '\n');
    test.wait_to_be_told();
  };
}

TEST_F(MusterdHoldsTest, AVerifiedReleaseIsClearHeldOrUnknown) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root sees everything";
  Process broker = start_broker();
  TestBackend backend = join("a");
  ControlClient client(sockets());
  const BroadcastReport clear = released(client, backend, verified());
  ASSERT_TRUE(clear.verification);
  // Other tests of the host may hide something from it, and then it is not clear.
  EXPECT_TRUE(clear.verification->scan.holders.empty());
  EXPECT_EQ(clear.verification->scan.leases.proven, 1U);
  if (clear.verification->scan.unseen.empty()) {
    EXPECT_EQ(clear.verification->scan.verdict, HolderVerdict::kClear);
  }
  const Somebody holder(cache() / "file");
  const BroadcastReport report = released(client, backend, verified());
  ASSERT_TRUE(report.verification);
  EXPECT_EQ(report.verification->scan.verdict, HolderVerdict::kHeld);
  ASSERT_FALSE(report.verification->scan.holders.empty());
  EXPECT_EQ(report.verification->scan.holders.front().pid, holder.pid());
  EXPECT_EQ(report.verification->scan.holders.front().example, (cache() / "file").native());
  stop(broker);
}

TEST_F(MusterdHoldsTest, AMusterScanThatIsKilledLeavesTheVerdictUnknown) {
  Process broker = start_broker();
  Process scan = start_muster_scan();
  TestBackend backend = join("a");
  ControlClient client(sockets());
  const BroadcastReport answered = released(client, backend, verified());
  EXPECT_EQ(answered.verification->scan.problem, "") << "it answers";
  scan.signal(SIGSTOP);
  std::thread acks([&] { (void)ack(backend); });
  const auto report = client.broadcast(verified(), [&](const Event& event) {
    if (event.kind == Event::Kind::kVerifying) (void)scan.end(SIGKILL);
  });
  acks.join();
  ASSERT_TRUE(report && report->verification);
  EXPECT_EQ(report->verification->scan.verdict, HolderVerdict::kUnknown);
  EXPECT_THAT(report->verification->scan.problem, HasSubstr("muster-scan"));
  stop(broker);
}

TEST_F(MusterdHoldsTest, ALeaseEndsWhenItsOperatorIsKilled) {
  Process broker = start_broker();
  TestBackend backend = join("a");
  Child op(operator_that_holds(sockets(), held(with_lease())));
  const BroadcastId id = ack(backend);
  EXPECT_EQ(op.hear(), std::to_string(id));
  EXPECT_THAT(told_at_registration("late"), testing::ElementsAre(id));
  op.kill();
  EXPECT_EQ(how_it_ended(backend, id), "abandoned");
  EXPECT_THAT(told_at_registration("later"), IsEmpty());
  stop(broker);
}

TEST_F(MusterdHoldsTest, ATimeThatPassesEndsAHoldAndWhoCameLateHearsOfIt) {
  Process broker = start_broker();
  TestBackend backend = join("a");
  ControlClient client(sockets());
  const BroadcastReport report = released(client, backend, held(with_time(1s)));
  ASSERT_TRUE(report.hold);
  EXPECT_EQ(report.hold->expires_unix_ms, report.hold->since_unix_ms + 1000);
  TestBackend late = join("late");
  EXPECT_EQ(how_it_ended(backend, report.broadcast_id), "expired");
  EXPECT_EQ(how_it_ended(late, report.broadcast_id), "expired");
  EXPECT_THAT(client.holds(), IsEmpty());
  stop(broker);
}

TEST_F(MusterdHoldsTest, AHoldWithATimeGoesOnAfterTheBrokerIsKilled) {
  BroadcastId id = 0;
  {
    Process broker = start_broker();
    TestBackend backend = join("a");
    ControlClient client(sockets());
    id = released(client, backend, held(with_time(1h))).broadcast_id;
    EXPECT_EQ(broker.end(SIGKILL).status, 128 + SIGKILL);
  }
  Process broker = start_broker();
  EXPECT_THAT(told_at_registration("a"), testing::ElementsAre(id));
  ControlClient client(sockets());
  const std::vector<HoldInfo> holds = client.holds();
  ASSERT_EQ(holds.size(), 1U);
  EXPECT_EQ(holds.front().operation, release().operation);
  EXPECT_FALSE(holds.front().state.owner_away);
  TestBackend late = join("late");
  EXPECT_EQ(client.end_hold(id).state.ended, HoldEnd::kCompleted);
  EXPECT_EQ(how_it_ended(late, id), "completed");
  EXPECT_EQ(broker.end(SIGKILL).status, 128 + SIGKILL);
  Process third = start_broker();
  EXPECT_THAT(ControlClient(sockets()).holds(), IsEmpty()) << "its end is on disk, too";
  stop(third);
}

TEST_F(MusterdHoldsTest, AHoldWhoseTimePassesWhileNoBrokerRunsIsOver) {
  {
    Process broker = start_broker();
    TestBackend backend = join("a");
    ControlClient client(sockets());
    (void)released(client, backend, held(with_time(1ms)));
    (void)backend.hears();
    (void)released(client, backend, held(with_time(1500ms)));
    EXPECT_EQ(broker.end(SIGKILL).status, 128 + SIGKILL);
  }
  Process broker = start_broker();
  TestBackend late = join("late");
  if (!std::get<Registered>(late.last().message).active_holds.empty()) {
    EXPECT_THAT(late.hears(), HasSubstr("ended"));
  }
  EXPECT_THAT(ControlClient(sockets()).holds(), IsEmpty());
  stop(broker);
}

// Killed, and restarted in order.
TEST_F(MusterdHoldsTest, ALeaseIsTakenUpAgainAfterTheBrokerCameBack) {
  for (const int how : {SIGKILL, SIGTERM}) {
    BroadcastId id = 0;
    {
      Process broker = start_broker();
      TestBackend backend = join("a");
      ControlClient client(sockets());
      id = released(client, backend, held(with_lease())).broadcast_id;
      backend.closes();
      (void)broker.end(how);
    }
    Process broker = start_broker();
    ControlClient client(sockets());
    ASSERT_EQ(client.holds().size(), 1U) << how;
    EXPECT_TRUE(client.holds().front().state.owner_away);
    EXPECT_FALSE(client.keep_hold(id).state.owner_away);
    TestBackend late = join("late");
    { ControlClient gone = std::move(client); }
    EXPECT_EQ(how_it_ended(late, id), "abandoned") << "it belongs to that connection now";
    stop(broker);
  }
}

TEST_F(MusterdHoldsTest, ALeaseThatNobodyTakesUpAgainEndsAfterTheGrace) {
  BroadcastId id = 0;
  {
    Process broker = start_broker();
    TestBackend backend = join("a");
    ControlClient client(sockets());
    id = released(client, backend, held(with_lease())).broadcast_id;
    EXPECT_EQ(broker.end(SIGKILL).status, 128 + SIGKILL);
  }
  grace_ = "1s";
  Process broker = start_broker();
  broker.wait_for("hold ended");
  EXPECT_THAT(broker.err(), HasSubstr("detail=abandoned"));
  ControlClient client(sockets());
  EXPECT_THAT(client.holds(), IsEmpty());
  try {
    (void)client.keep_hold(id);
    ADD_FAILURE() << "it has ended";
  } catch (const ControlFailure& failure) {
    EXPECT_EQ(failure.error().code, ControlError::Code::kNotFound);
  }
  stop(broker);
}

TEST_F(MusterdHoldsTest, WhoOpensAFileDuringAHoldIsReportedAtItsEnd) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root sees everything";
  Process broker = start_broker();
  TestBackend backend = join("a");
  ControlClient client(sockets());
  const BroadcastReport report = released(client, backend, verified(with_lease()));
  const Somebody holder(cache() / "file");
  const HoldInfo ended = client.end_hold(report.broadcast_id);
  EXPECT_EQ(ended.state.ended, HoldEnd::kCompleted);
  EXPECT_EQ(ended.state.last_verdict, HolderVerdict::kHeld);
  ASSERT_EQ(ended.state.violations.size(), 1U);
  EXPECT_EQ(ended.state.violations.front().holder.pid, holder.pid());
  EXPECT_EQ(how_it_ended(backend, report.broadcast_id), "completed");
  broker.wait_for("hold violated");
  stop(broker);
}

TEST_F(MusterdHoldsTest, AViolationIsFoundWhileTheHoldLasts) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root sees everything";
  Process broker = start_broker();
  TestBackend backend = join("a");
  ControlClient client(sockets());
  (void)released(client, backend, verified(with_lease()));
  const Somebody holder(cache() / "file");
  EXPECT_THAT(broker.wait_for("hold violated"), HasSubstr(std::to_string(holder.pid())));
  stop(broker);
}

TEST_F(MusterdHoldsTest, WhatTheOperatorsOwnCommandOpensIsNoViolation) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root sees everything";
  Process broker = start_broker();
  TestBackend backend = join("a");
  ControlClient client(sockets());
  const BroadcastReport report = released(client, backend, verified(with_lease()));
  Child command([this](Child::Side& test) {
    must_open(cache() / "file", O_RDONLY);
    test.say("open\n");
    test.wait_to_be_told();
  });
  ASSERT_EQ(command.hear(), "open");
  // Looked at while the command has the file open.
  const HoldInfo ended = client.end_hold(report.broadcast_id);
  EXPECT_TRUE(ended.state.violations.empty());
  EXPECT_GE(ended.state.scans, 1U);
  stop(broker);
}

TEST_F(MusterdHoldsTest, AFullDiskIsSaidAndStopsNeitherHoldNorBroadcast) {
  const auto disk_file = dir_ / "disk";
  const auto disk = [&](char how) { std::ofstream(disk_file) << how; };
  Process broker = start_broker({}, {{"LD_PRELOAD", program("libmuster_host_shim.so")},
                                     {"MUSTER_DISK_FILE", disk_file.native()}});
  TestBackend backend = join("a");
  ControlClient client(sockets());
  disk('e');
  const BroadcastReport report = released(client, backend, held(with_lease()));
  EXPECT_TRUE(report.hold && !report.hold->ended);
  broker.wait_for("cannot write holds: a restart of the broker ends them");
  EXPECT_THAT(client.status().problems, Contains(HasSubstr("a restart of the broker ends holds")));
  disk('h');
  const BroadcastReport late = released(client, backend, held(with_lease()));
  EXPECT_TRUE(late.hold) << "a disk that does not answer keeps it for a second";
  disk('f');
  broker.wait_for("holds can be written again");
  EXPECT_EQ(broker.end(SIGKILL).status, 128 + SIGKILL);
  Process next = start_broker();
  EXPECT_EQ(ControlClient(sockets()).holds().size(), 2U);
  stop(next);
}

TEST_F(MusterdHoldsTest, ADamagedFileOfHoldsIsSaidAndKept) {
  BroadcastId id = 0;
  {
    Process broker = start_broker();
    TestBackend backend = join("a");
    ControlClient client(sockets());
    id = released(client, backend, held(with_time(1h))).broadcast_id;
    EXPECT_EQ(broker.end(SIGKILL).status, 128 + SIGKILL);
  }
  const auto file = dir_ / "state" / "holds";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 3);
  Process broker = start_broker();
  EXPECT_THAT(broker.err(), HasSubstr("holds of before this start may be lost"));
  EXPECT_THAT(ControlClient(sockets()).status().problems, Contains(HasSubstr("holds may be lost")));
  EXPECT_TRUE(std::filesystem::exists(dir_ / "state" / "holds.damaged"));
  EXPECT_NE(id, 0U);
  stop(broker);
}

TEST_F(MusterdHoldsTest, PolicyAndQuotaSayWhoMayHold) {
  const std::string gid = std::to_string(::getegid());
  const std::string rules =
      "[quota]\nholds = 1\n[[policy.register]]\nusers = \"*\"\n[[policy.control]]\ngroups = " +
      gid + "\nactions = \"hold\"\neffect = \"deny\"\n";
  const auto refusal = [&](ControlClient& client, const BroadcastRequest& request) {
    try {
      (void)client.start_broadcast(request);
      return std::string("taken");
    } catch (const ControlFailure& failure) {
      return std::string(failure.what());
    }
  };
  {
    Process broker = start_broker(rules);
    ControlClient client(sockets());
    EXPECT_THAT(refusal(client, held(with_time(1h))), HasSubstr("does not let uid"));
    EXPECT_THAT(refusal(client, release()), "taken");
    stop(broker);
  }
  Process broker = start_broker("[quota]\nholds = 1\n");
  ControlClient client(sockets());
  EXPECT_EQ(refusal(client, held(with_time(1h))), "taken");
  EXPECT_THAT(refusal(client, held(with_time(1h))), HasSubstr("its quota is 1; end one first"));
  EXPECT_THAT(refusal(client, held(with_time(25h))), HasSubstr("that this broker allows"));
  stop(broker);
}

}  // namespace
}  // namespace muster::test
