// Broadcast ids across kill -9, on a disk that is slow: none is given out twice.
#include <exception>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

class MusterdIdsTest : public MusterdTest {
 protected:
  // As many ids as can be had, by several operators at once. Nobody is registered, so each
  // broadcast ends at once.
  [[nodiscard]] std::vector<BroadcastId> burst(std::size_t operators, std::size_t each) const {
    std::vector<std::vector<BroadcastId>> ids(operators);
    std::vector<std::thread> threads;
    threads.reserve(operators);
    for (auto& of_one : ids) {
      threads.emplace_back([this, &of_one, each] {
        ControlClient client(sockets());
        BroadcastRequest request;
        request.operation = BroadcastOperation::release_handles("/cache");
        for (std::size_t i = 0; i < each; ++i)
          of_one.push_back(client.start_broadcast(request).broadcast_id);
      });
    }
    for (std::thread& thread : threads) thread.join();
    std::vector<BroadcastId> all;
    for (const auto& of_one : ids) all.insert(all.end(), of_one.begin(), of_one.end());
    return all;
  }
  [[nodiscard]] BroadcastId mark_on_disk() const {
    std::ifstream in(sockets() / "broadcast-ids");
    std::string word;
    BroadcastId next = 0;
    while (in >> word && word != "next") {
    }
    in >> next;
    return next;
  }
};

TEST_F(MusterdIdsTest, NoIdIsGivenOutTwiceWhenABurstIsKilledOnASlowDisk) {
  const std::string shim = program("libmuster_host_shim.so");
  std::set<BroadcastId> given;
  for (int kill = 0; kill < 15; ++kill) {
    Process broker(command(), with_environment({{"LD_PRELOAD", shim}, {"MUSTER_FSYNC_MS", "200"}}));
    broker.wait_for("listening");
    const auto ids = burst(3, 600);
    const BroadcastId mark = mark_on_disk();
    broker.end(SIGKILL);
    for (const BroadcastId id : ids) {
      EXPECT_TRUE(given.insert(id).second) << id << " was given out by two brokers";
      EXPECT_LT(id, mark) << "not covered on disk when it was given out";
    }
    if (HasFailure()) return;
  }
}

TEST_F(MusterdIdsTest, ABrokerThatWasKilledExpectsWhoWasRegisteredAndKnowsItsOperatorsKeys) {
  BroadcastRequest request;
  request.operation = BroadcastOperation::release_handles("/cache");
  request.operation_key = "nightly";
  BroadcastId before = 0;
  {
    Process broker = start();
    TestBackend a = join("a");
    before = ControlClient(sockets()).start_broadcast(request).broadcast_id;
    // What the worker wrote before is on disk when what came later is.
    while (std::filesystem::file_size(sockets() / "roster") < 100 ||
           std::filesystem::file_size(sockets() / "operation-keys") < 50) {
      std::this_thread::yield();
    }
    broker.end(SIGKILL);
  }
  const Process broker = start();
  ControlClient client(sockets());
  const auto known = client.backends();
  ASSERT_EQ(known.size(), 1U) << "its process, this test, lives";
  EXPECT_EQ(known.front().key.service_name, "a");
  EXPECT_EQ(known.front().pid, ::getpid());
  request.operation_key = "another";
  const auto asked = client.start_broadcast(request);
  EXPECT_EQ(asked.targets, 1U);
  EXPECT_GT(asked.broadcast_id, before);
  request.operation_key = "nightly";
  try {
    EXPECT_EQ(client.start_broadcast(request).broadcast_id, before) << "nothing is sent twice";
  } catch (const std::exception& error) {
    // Its report went with the broker that was killed; that is said.
    EXPECT_NE(std::string(error.what()).find("so nothing is sent"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace muster::test
