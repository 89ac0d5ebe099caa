// What the roster on disk has of the backends of a running broker.
#include "musterd/service/roster_keeper.h"

#include <memory>
#include <optional>
#include <sstream>
#include <string>

#include <spdlog/sinks/ostream_sink.h>

#include "component/broker_fixture.h"
#include "musterd/log/log.h"
#include "musterd/runtime/worker.h"
#include "support/allocations.h"
#include "support/key_of.h"

namespace muster::test {
namespace {

class RosterKeeperTest : public BrokerFixture {
 protected:
  void SetUp() override {
    BrokerFixture::SetUp();
    worker_.emplace(context_->get_executor());
    store_.emplace(context_->get_executor(), *worker_, dir_->path(), log_, false);
    keeper_.emplace(context_->get_executor(), *store_);
    keeper_->begin(*server_);
    sink_.on_each = [this](const Event& event) { keeper_->on_event(event); };
    sink_.on_quiesced = [this](const BackendKey& key) { keeper_->on_record_changed(key); };
  }
  void TearDown() override {
    sink_.on_each = nullptr;
    sink_.on_quiesced = nullptr;
    keeper_.reset();
    store_->close();
    EXPECT_TRUE(worker_->close(kPatience));
    store_.reset();
    worker_.reset();
    BrokerFixture::TearDown();
  }

  // Which broadcast the roster says that the only backend is quiesced by; 0: by none.
  BroadcastId quiesced_by() {
    settle();
    const auto all = store_->load(os::current_whereabouts());
    if (all.size() != 1) {
      ADD_FAILURE() << all.size() << " backends";
      return 0;
    }
    const core::Quiesces& quiesced = all.front().quiesced;
    return quiesced.holds() ? quiesced.newest().broadcast : 0;
  }
  BroadcastId quiesce(TestBackend& backend) {
    BroadcastRequest request;
    request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
    const BroadcastId id = start_broadcast(std::move(request));
    EXPECT_EQ(backend.hears(), "operation " + std::to_string(id) + ": quiesce (maintenance)");
    backend.acks(id);
    EXPECT_EQ(result(id), "quiesce (maintenance): acked a 1.0.0");
    return id;
  }

  std::ostringstream text_;
  daemon::Log log_{
      std::make_shared<spdlog::sinks::ostream_sink_mt>(text_), {}, daemon::Log::Reader::kJournal};
  std::optional<daemon::Worker> worker_;
  std::optional<daemon::RosterStore> store_;
  std::optional<daemon::RosterKeeper> keeper_;
};

TEST_F(RosterKeeperTest, HasWhoIsQuiescedUntilItResumes) {
  TestBackend& a = join("a");
  EXPECT_EQ(quiesced_by(), 0U);
  for (int round = 0; round < 2; ++round) {
    const BroadcastId id = quiesce(a);
    EXPECT_EQ(quiesced_by(), id);
  }
  EXPECT_EQ(core().resume(1, {}, server_->now()).still_quiesced, 1U);
  EXPECT_EQ(quiesced_by(), 2U);
  EXPECT_EQ(core().resume(0, {}, server_->now()).resumed, 1U);
  EXPECT_EQ(quiesced_by(), 0U);
}

TEST_F(RosterKeeperTest, AQuiesceThatThereWasNoMemoryToNoteIsNotedLater) {
  if (!counts_allocations()) GTEST_SKIP() << "operator new is the sanitizer's";
  TestBackend& a = join("a");
  const BackendKey key = key_of("a");
  std::size_t failures = 0;
  for (bool failed = true; failed;) {
    ASSERT_EQ(quiesced_by(), 0U);
    const auto noted = std::exchange(sink_.on_quiesced, nullptr);
    const BroadcastId id = quiesce(a);
    {
      const FailingAllocation failing(failures + 1);
      keeper_->on_record_changed(key);
      failed = failing.has_failed();
    }
    if (failed) ++failures;
    keeper_->check();
    EXPECT_EQ(quiesced_by(), id) << "without allocation " << failures;
    sink_.on_quiesced = noted;
    (void)core().resume(0, {}, server_->now());
    EXPECT_EQ(a.hears(), "hold " + std::to_string(id) + " ended");
  }
  EXPECT_GT(failures, 0U);
}

}  // namespace
}  // namespace muster::test
