// What is sent to more backends than a turn of the loop serves: everybody gets everything, in its
// order, whatever happens meanwhile.
#include <string>
#include <vector>

#include "broker/operation_sends.h"
#include "component/broker_fixture.h"

namespace muster::test {
namespace {

class PacedSendsTest : public BrokerFixture {
 protected:
  static constexpr std::size_t kBackends = broker::PacedSends::kFew + 50;

  std::vector<TestBackend*> join_all() {
    std::vector<TestBackend*> all;
    for (std::size_t i = 0; i < kBackends; ++i) all.push_back(&join("b" + std::to_string(i)));
    return all;
  }
};

TEST_F(PacedSendsTest, EveryBackendIsAskedInTheOrderOfTheBroadcasts) {
  const auto all = join_all();
  const auto first = release_handles("/one");
  release_handles("/two");
  (void)core().cancel_broadcast(first, server_->now());
  for (TestBackend* backend : all) {
    EXPECT_EQ(backend->hears(), "operation 1: release-handles /one");
    EXPECT_EQ(backend->hears(), "operation 2: release-handles /two");
    EXPECT_EQ(backend->hears(), "cancel 1");
  }
}

// A turn that sends to many is as long as it takes to send to a few.
TEST_F(PacedSendsTest, ABroadcastToManyLeavesInSlices) {
  constexpr std::size_t kSlice = broker::PacedSends::kSlice;
  const auto all = join_all();
  release_handles("/cache");
  std::size_t waiting = server_->waiting_sends();
  EXPECT_GE(waiting, kBackends - kSlice);
  while (waiting != 0) {
    ASSERT_TRUE(run_one());
    const std::size_t sent = waiting - server_->waiting_sends();
    EXPECT_LE(sent, kSlice);
    waiting -= sent;
  }
  for (TestBackend* backend : all) {
    EXPECT_EQ(backend->hears(), "operation 1: release-handles /cache");
  }
}

TEST_F(PacedSendsTest, ABroadcastToFewLeavesAtOnce) {
  // What the last of them was told may count in the same turn.
  for (std::size_t i = 1; i < broker::PacedSends::kFew; ++i) join("b" + std::to_string(i));
  release_handles("/cache");
  EXPECT_EQ(server_->waiting_sends(), 0U);
}

TEST_F(PacedSendsTest, OneThatBreaksTheProtocolMeanwhileHearsWhatWasSentBefore) {
  const auto all = join_all();
  TestBackend& last = *all.back();
  last.send("GET / HTTP/1.1\r\n\r\n");
  release_handles("/cache");
  EXPECT_EQ(last.hears(), "operation 1: release-handles /cache");
  EXPECT_EQ(last.hears().substr(0, 18), "refused (protocol)");
  EXPECT_EQ(last.hears(), "end of stream");
  EXPECT_EQ(all.front()->hears(), "operation 1: release-handles /cache");
}

// What waits for a later turn is not part of the state.
TEST_F(PacedSendsTest, EverythingIsSentBeforeTheStateIsSaved) {
  const auto all = join_all();
  release_handles("/cache");
  EXPECT_GE(server_->waiting_sends(), 50U);
  (void)core().save();
  EXPECT_EQ(server_->waiting_sends(), 0U);
  for (TestBackend* backend : all) {
    EXPECT_EQ(backend->hears(), "operation 1: release-handles /cache");
  }
}

TEST_F(PacedSendsTest, ABrokerThatStopsTellsEverybodyBefore) {
  const auto all = join_all();
  server_->shut_down([this] { drained_ = true; });
  server_->shut_down({});
  while (!drained_ && run_one()) {
  }
  for (TestBackend* backend : all) {
    EXPECT_EQ(backend->hears(), "operation 1: quiesce (broker-shutdown)");
    EXPECT_EQ(backend->hears(), "cancel 1");
    EXPECT_EQ(backend->hears(), "end of stream");
  }
}

}  // namespace
}  // namespace muster::test
