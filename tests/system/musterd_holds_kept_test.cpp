// Holds that outlive their broker, with the real programs: what a broker that is killed or
// restarted, a full disk and a damaged file make of one.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "system/musterd_holds_fixture.h"

namespace muster::test {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

// Until the broadcast is written there as one with a hold.
void wait_for_history(ControlClient& client) {
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (std::chrono::steady_clock::now() < until) {
    const HistoryPage history = client.history({});
    if (!history.broadcasts.empty() && history.broadcasts.front().hold &&
        is_over(history.broadcasts.front().state)) {
      return;
    }
  }
  ADD_FAILURE() << "it does not come into the history";
}

TEST_F(MusterdHoldsTest, AHoldWithATimeGoesOnAfterTheBrokerIsKilled) {
  BroadcastId id = 0;
  {
    Process broker = start_broker();
    TestBackend backend = join("a");
    ControlClient client(sockets());
    id = released(client, backend, held(with_time(1h))).broadcast_id;
    wait_for_history(client);
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
  ControlClient after(sockets());
  EXPECT_THAT(after.holds(), IsEmpty()) << "its end is on disk, too";
  const HistoryPage history = after.history({});
  ASSERT_EQ(history.broadcasts.size(), 1U);
  EXPECT_NE(history.broadcasts.front().hold_ended, std::nullopt)
      << "also where the broker was killed before the history had its end";
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

}  // namespace
}  // namespace muster::test
