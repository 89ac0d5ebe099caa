// What a daemon may say as often as it likes: bounded memory, no lost connection, and the last word
// arrives.
#include <atomic>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "component/backend_sdk_fixture.h"
#include "support/sanitized.h"
#include "wire/backend_lane.h"

namespace muster::test {
namespace {

using namespace std::chrono_literals;

constexpr int kCalls = kSanitized ? 100'000 : 1'000'000;
constexpr std::size_t kMuch = 16 * 1024 * 1024;

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t size = 0;
  std::size_t resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

class BackendSdkBurstTest : public BackendSdkTest {
 protected:
  // Reads until the answer. Returns what came just before it.
  static std::string last_before_ack(ScriptedPeer& peer) {
    std::string last;
    for (std::string next; (next = peer.next()) != "Ack 7";) {
      if (!next.starts_with("Working 7")) return "instead of an ack: " + next;
      last = next;
    }
    return last;
  }
};
INSTANTIATE_TEST_SUITE_P(Both, BackendSdkBurstTest,
                         ::testing::Values(Flavour::kOwnThread, Flavour::kCallersLoop), name_of);

// A turn of the SDK ends after so many frames. What it has received by then and not come to makes
// no socket readable: nobody else wakes it for that.
TEST_P(BackendSdkBurstTest, AnOperationBehindMoreFramesThanATurnTakesIsHandledAtOnce) {
  ScriptedPeer peer = joined([](Request&) {});
  BroadcastId id = 7;
  for (const int before : {0, 254, 255, 256, 257, 300, 511, 512, 513, 700}) {
    std::string burst;  // short enough for one read
    for (int i = 0; i < before; ++i) burst += wire::encode_cancel(wire::kBackendLane, 1);
    OutgoingOperation operation;
    operation.broadcast_id = ++id;
    operation.operation = BroadcastOperation::release_handles("/cache");
    operation.ack_timeout = 1h;
    burst += wire::encode(operation);
    ASSERT_LE(burst.size(), 16u * 1024);
    peer.send(burst);
    EXPECT_EQ(peer.next(), "Ack " + std::to_string(id)) << before;
  }
}

TEST_P(BackendSdkBurstTest, WorkingFromAnotherThreadForABrokerThatDoesNotRead) {
  std::optional<PendingAnswer> owed;
  ScriptedPeer peer = joined([&](Request& request) { owed = request.defer(); });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("handled"), "handled 7");
  const std::size_t before = resident_bytes();
  for (int i = 0; i < kCalls; ++i) owed->working(1s, "still at it");
  if (!kSanitized) {  // those keep what was freed
    EXPECT_LT(resident_bytes(), before + kMuch);
  }
  owed->working(1s, "last");
  owed->ack();
  EXPECT_EQ(last_before_ack(peer), "Working 7 +1000 ms last");
  EXPECT_EQ(log_.count("connecting"), 0u);
}

TEST_P(BackendSdkBurstTest, WorkingFromAHandlerForABrokerThatDoesNotRead) {
  std::size_t grown = 0;
  ScriptedPeer peer = joined([&](Request& request) {
    const std::size_t before = resident_bytes();
    for (int i = 0; i < kCalls; ++i) request.working(1s, "still at it");
    const std::size_t after = resident_bytes();
    grown = after > before ? after - before : 0;
    request.working(1s, "last");
  });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("handled"), "handled 7");
  EXPECT_EQ(last_before_ack(peer), "Working 7 +1000 ms last");
  if (!kSanitized) {
    EXPECT_LT(grown, kMuch);
  }
  EXPECT_EQ(log_.count("connecting"), 0u);
}

// More than the queue takes ends the connection, as a broker's does. What was answered is not run
// again when the broker comes back for it.
TEST_P(BackendSdkBurstTest, AnswersToABrokerThatDoesNotReadCostTheConnectionAndNoAnswer) {
  constexpr BroadcastId kMost = 20'000;
  constexpr BroadcastId kAhead = 500;  // fewer than a backend has in hand
  const std::string detail(kMaxDetailBytes, 'd');
  // The handler may still run when the test has ended.
  const auto handled = std::make_shared<std::atomic<BroadcastId>>(0);
  ScriptedPeer peer = joined([handled, detail](Request& request) {
    request.reject(detail);
    *handled = request.broadcast_id();
  });
  const std::size_t before = resident_bytes();
  BroadcastId asked = 0;
  try {
    while (asked < kMost) {
      if (asked < *handled + kAhead) {
        peer.release(++asked);
      } else if (log_.count("connecting") != 0) {
        break;  // what was in hand then is not handled
      } else {
        std::this_thread::yield();
      }
    }
  } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch): the connection has ended
  }
  EXPECT_TRUE(log_.wait_for("connecting").starts_with("connecting: the connection to the broker"));
  EXPECT_GT(asked, 1'800u) << "2 MiB of answers wait";
  EXPECT_LT(asked, kMost);
  if (!kSanitized) {  // those keep what was freed
    EXPECT_LT(resident_bytes(), before + kMuch);
  }
  peer = broker_->accept();
  EXPECT_EQ(peer.welcome(2), "Register zccache 1.4.2");
  EXPECT_EQ(log_.wait_for("registered"), "registered 2");
  const BroadcastId last = *handled;
  // Requests that were in hand are answered here, too, before it or after it.
  const auto hears_answer = [&](BroadcastId id) {
    const std::string wanted = "Failure " + std::to_string(id) + " Rejected: " + detail;
    std::string heard = peer.next();
    while (heard != wanted && heard.starts_with("Failure ")) heard = peer.next();
    return heard == wanted;
  };
  peer.release(last);
  EXPECT_TRUE(hears_answer(last));
  EXPECT_EQ(log_.count("release " + std::to_string(last) + " "), 1u);
  peer.release(kMost + 1);
  EXPECT_TRUE(hears_answer(kMost + 1));
}

TEST_P(BackendSdkBurstTest, StopAndActivityAsOftenAsOneLikes) {
  BackendOptions wanted = options();
  wanted.idle_timeout = 1min;
  create(wanted);
  backend_->start();
  ScriptedPeer peer = broker_->accept();
  (void)peer.welcome();
  EXPECT_EQ(log_.wait_for("registered"), "registered 1");
  const std::size_t before = resident_bytes();
  for (int i = 0; i < kCalls; ++i) backend_->activity();
  if (!kSanitized) {  // those keep what was freed
    EXPECT_LT(resident_bytes(), before + kMuch);
  }
  std::string next;
  backend_->stop(1ms);
  for (int i = 0; i < 1000; ++i) backend_->stop(0ms);
  do next = peer.next();
  while (next == "Activity");
  EXPECT_EQ(next, "Deregister");
  EXPECT_EQ(peer.next(), "closed");
}

}  // namespace
}  // namespace muster::test
