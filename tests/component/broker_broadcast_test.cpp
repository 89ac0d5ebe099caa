// What becomes of a broadcast when its backends stay connected: each row of the design's table of
// cases that needs no second connection, through real sockets.
#include <gmock/gmock.h>

#include "component/broker_fixture.h"
#include "support/allocations.h"

namespace muster::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class BroadcastTest : public BrokerFixture {};

TEST_F(BroadcastTest, ABackendThatAcksInTimeIsAmongTheAcks) {
  auto& backend = join("zccache");
  const auto id = release_handles("/cache");
  EXPECT_EQ(backend.hears(), "operation 1: release-handles /cache");
  backend.acks(id);
  EXPECT_EQ(result(id), "release-handles /cache: acked zccache 1.0.0");
  EXPECT_TRUE(report(id).result.all_live_backends_acked());
}

TEST_F(BroadcastTest, TheOperationCarriesItsBudgetItsDeadlineAndTheTraceContext) {
  auto& backend = join("zccache");
  BroadcastRequest request;
  request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  request.ack_timeout = kNeverFires;
  request.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  request.tracestate = "a=b";
  const auto before = server_->now().unix_ms;
  start_broadcast(request);
  EXPECT_EQ(backend.hears(), "operation 1: quiesce (maintenance)");
  const auto& operation = std::get<OutgoingOperation>(backend.last().message);
  EXPECT_EQ(operation.ack_timeout, kNeverFires);
  EXPECT_EQ(operation.traceparent, request.traceparent);
  EXPECT_EQ(operation.tracestate, request.tracestate);
  const auto budget = static_cast<std::uint64_t>(kNeverFires.count());
  EXPECT_GE(operation.deadline_unix_ms, before + budget);
  EXPECT_LE(operation.deadline_unix_ms, server_->now().unix_ms + budget);
}

TEST_F(BroadcastTest, EachBackendGetsTheBudgetThatItDeclaredUnlessTheOperatorSaysOtherwise) {
  auto registration = registration_of("slow");
  registration.ack_timeout = std::chrono::milliseconds(1234);
  auto& slow = join(registration);
  auto& usual = join("usual");
  BroadcastRequest request;
  request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  start_broadcast(request);
  EXPECT_EQ(slow.hears(), "operation 1: quiesce (maintenance)");
  EXPECT_EQ(std::get<OutgoingOperation>(slow.last().message).ack_timeout.count(), 1234);
  EXPECT_EQ(usual.hears(), "operation 1: quiesce (maintenance)");
  EXPECT_EQ(std::get<OutgoingOperation>(usual.last().message).ack_timeout, kNeverFires);
  request.ack_timeout = std::chrono::milliseconds(99'000);
  start_broadcast(request);
  EXPECT_EQ(slow.hears(), "operation 2: quiesce (maintenance)");
  EXPECT_EQ(std::get<OutgoingOperation>(slow.last().message).ack_timeout.count(), 99'000);
}

TEST_F(BroadcastTest, AFailureKeepsItsReasonAndItsDetail) {
  auto& backend = join("zccache");
  const auto id = release_handles("/cache");
  backend.fails(id, BroadcastFailureReason::kRejected, "a build is running");
  EXPECT_EQ(result(id), "release-handles /cache: failed zccache 1.0.0 (rejected)");
  EXPECT_EQ(outcome(id, "zccache").detail, "a build is running");
}

TEST_F(BroadcastTest, ABackendWithoutAHandlerIsAmongTheFailuresAsUnsupported) {
  auto& backend = join("zccache");
  const auto id = release_handles("/cache");
  backend.fails(id, BroadcastFailureReason::kUnsupportedOperation, "no handler");
  EXPECT_EQ(result(id), "release-handles /cache: failed zccache 1.0.0 (unsupported operation)");
}

TEST_F(BroadcastTest, AHandlerThatThrewIsAmongTheFailuresWithItsText) {
  auto& backend = join("zccache");
  const auto id = release_handles("/cache");
  backend.fails(id, BroadcastFailureReason::kBackendError, "std::bad_alloc");
  EXPECT_EQ(result(id), "release-handles /cache: failed zccache 1.0.0 (backend error)");
  EXPECT_EQ(outcome(id, "zccache").detail, "std::bad_alloc");
}

TEST_F(BroadcastTest, ASilentBackendTimesOutAndIsToldThatNobodyWaits) {
  auto& backend = join("soldr");
  const auto id = release_handles("/cache", kFires);
  EXPECT_EQ(result(id), "release-handles /cache: timed out soldr 1.0.0 (1 ms)");
  EXPECT_EQ(backend.hears(), "operation 1: release-handles /cache");
  EXPECT_EQ(backend.hears(), "cancel 1");
}

TEST_F(BroadcastTest, ASilentBackendDelaysNobodyElse) {
  auto& good = join("zccache");
  join("soldr");  // says nothing
  const auto id = release_handles("/cache", kNeverFires);
  good.acks(id);
  ASSERT_TRUE(run_until_told(Event::Kind::kOutcome));
  EXPECT_EQ(to_string(report(id).result), "release-handles /cache: acked zccache 1.0.0");
  EXPECT_TRUE(is_running(id));
}

TEST_F(BroadcastTest, AZeroTimeoutIsRaisedToAMillisecond) {
  join("soldr");
  EXPECT_EQ(result(release_handles("/cache", std::chrono::milliseconds(0))),
            "release-handles /cache: timed out soldr 1.0.0 (1 ms)");
}

TEST_F(BroadcastTest, WorkingMovesTheDeadlineAndItsNoteIsShown) {
  auto& backend = join("zccache");
  const auto id = release_handles("/cache", kPatience);
  backend.works(id, kNeverFires, "flushing");
  ASSERT_TRUE(run_until_told(Event::Kind::kWorking));
  EXPECT_EQ(sink_.events.back().backend_outcome->note, "flushing");
  EXPECT_EQ(outcome(id, "zccache").extensions, 1u);
  EXPECT_GT(core().latest_deadline(), server_->now().steady + kNeverFires - kPatience);
  backend.acks(id);
  EXPECT_EQ(result(id), "release-handles /cache: acked zccache 1.0.0");
}

TEST_F(BroadcastTest, ADeadlineThatWorkingMovedFiresAtItsNewTime) {
  auto& backend = join("zccache");
  const auto id = release_handles("/cache", std::chrono::milliseconds(30));
  backend.works(id, std::chrono::milliseconds(80));
  EXPECT_THAT(result(id), HasSubstr("timed out zccache 1.0.0"));
  EXPECT_GE(outcome(id, "zccache").latency, std::chrono::milliseconds(80));
}

TEST_F(BroadcastTest, WorkingGivesNoMoreThanTheBrokersMaximum) {
  options_.core.max_ack_timeout = std::chrono::milliseconds(50);
  start();
  auto& backend = join("zccache");
  const auto id = release_handles("/cache", std::chrono::milliseconds(20));
  backend.works(id, kNeverFires);
  EXPECT_THAT(result(id), HasSubstr("timed out zccache 1.0.0"));
  EXPECT_EQ(outcome(id, "zccache").extensions, 1u);
  EXPECT_GE(outcome(id, "zccache").latency, std::chrono::milliseconds(50));
}

TEST_F(BroadcastTest, ABackendThatWasDeadWhenItBeganIsSkipped) {
  Child child([&](Child::Side& side) {
    auto backend = join_from(side, socket(), "zccache");
    side.wait_to_be_told();
  });
  ASSERT_EQ(heard_from(child), "registered");
  child.tell();
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendDead));
  EXPECT_EQ(result(release_handles("/cache")),
            "release-handles /cache: skipped dead zccache 1.0.0");
}

TEST_F(BroadcastTest, ABackendThatRegistersAfterItBeganIsNotInTheResult) {
  auto& early = join("early");
  const auto id = release_handles("/cache");
  auto& late = join("late");
  early.acks(id);
  EXPECT_EQ(result(id), "release-handles /cache: acked early 1.0.0");
  settle();
  EXPECT_EQ(late.has_heard(), "nothing");
}

TEST_F(BroadcastTest, AnAckAfterTheDeadlineChangesNothingAndIsReportedWithItsLateness) {
  auto& backend = join("zccache");
  const auto id = release_handles("/cache", kFires);
  ASSERT_EQ(result(id), "release-handles /cache: timed out zccache 1.0.0 (1 ms)");
  backend.acks(id);
  ASSERT_TRUE(run_until_told(Event::Kind::kLateAnswer));
  EXPECT_EQ(result(id), "release-handles /cache: timed out zccache 1.0.0 (1 ms)");
  const auto late = report(id).late_acks;
  ASSERT_EQ(late.size(), 1u);
  EXPECT_EQ(late[0].key, key_of("zccache"));
  EXPECT_GT(late[0].lateness.count(), 0);
  EXPECT_EQ(counters().late_answers, 1u);
}

TEST_F(BroadcastTest, ASecondAckIsIgnoredAndCounted) {
  auto& twice = join("twice");
  auto& other = join("other");
  const auto id = release_handles("/cache");
  twice.acks(id);
  twice.acks(id);
  ASSERT_TRUE(run_until_told(Event::Kind::kDuplicateAnswer));
  EXPECT_TRUE(is_running(id));
  other.acks(id);
  EXPECT_EQ(result(id), "release-handles /cache: acked twice 1.0.0, other 1.0.0");
  EXPECT_EQ(counters().duplicate_answers, 1u);
}

TEST_F(BroadcastTest, AnAnswerToABroadcastThatNobodyKnowsIsCountedAndHarmless) {
  auto& backend = join("zccache");
  backend.acks(4711);
  ASSERT_TRUE(run_until_told(Event::Kind::kUnmatchedAnswer));
  EXPECT_EQ(backend.has_heard(), "nothing");
  EXPECT_EQ(counters().unmatched_answers, 1u);
}

TEST_F(BroadcastTest, AnOperatorWhoIsGoneFindsTheReportByItsId) {
  auto& backend = join("zccache");
  const auto id = release_handles("/cache");
  EXPECT_EQ(to_string(report(id).result), "release-handles /cache: nobody");
  backend.acks(id);
  ASSERT_TRUE(run_until_told(Event::Kind::kBroadcastFinished));
  EXPECT_EQ(to_string(report(id).result), "release-handles /cache: acked zccache 1.0.0");
  EXPECT_EQ(report(0).broadcast_id, id);
}

TEST_F(BroadcastTest, ACancelledBroadcastEndsAtOnceAndItsOpenTargetsAreTold) {
  auto& done = join("done");
  auto& open = join("open");
  const auto id = release_handles("/cache");
  done.acks(id);
  ASSERT_TRUE(run_until_told(Event::Kind::kOutcome));
  const auto cancelled = core().cancel_broadcast(id, server_->now());
  EXPECT_EQ(std::get<std::uint32_t>(cancelled), 1u);
  EXPECT_EQ(result(id), "release-handles /cache: acked done 1.0.0; failed open 1.0.0 (rejected)");
  EXPECT_EQ(outcome(id, "open").detail, "cancelled");
  EXPECT_EQ(report(id).state, BroadcastState::kCancelled);
  EXPECT_EQ(open.hears(), "operation 1: release-handles /cache");
  EXPECT_EQ(open.hears(), "cancel 1");
  EXPECT_EQ(done.hears(), "operation 1: release-handles /cache");
  EXPECT_EQ(done.has_heard(), "nothing");
}

TEST_F(BroadcastTest, OverlappingBroadcastsReachEachBackendInTheOrderOfTheirAcceptance) {
  auto& a = join("a");
  auto& b = join("b");
  for (int i = 1; i <= 20; ++i) release_handles("/cache/" + std::to_string(i));
  for (auto* backend : {&a, &b}) {
    for (int i = 1; i <= 20; ++i) {
      EXPECT_EQ(backend->hears(),
                "operation " + std::to_string(i) + ": release-handles /cache/" + std::to_string(i));
    }
  }
  // Answered the other way round: each has its own result.
  for (BroadcastId id = 20; id >= 1; --id) {
    a.acks(id);
    b.fails(id, BroadcastFailureReason::kRejected, "no");
    EXPECT_EQ(result(id), "release-handles /cache/" + std::to_string(id) +
                              ": acked a 1.0.0; failed b 1.0.0 (rejected)");
  }
}

TEST_F(BroadcastTest, ASecondRequestWithTheSameOperationKeyJoinsTheFirst) {
  auto& backend = join("zccache");
  BroadcastRequest request;
  request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  request.operation_key = "upgrade-42";
  const auto id = start_broadcast(request);
  EXPECT_EQ(start_broadcast(request), id);
  EXPECT_EQ(backend.hears(), "operation 1: quiesce (maintenance)");
  backend.acks(id);
  EXPECT_EQ(result(id), "quiesce (maintenance): acked zccache 1.0.0");
  // Finished: the report is still found, and nothing is sent.
  EXPECT_EQ(start_broadcast(request), id);
  settle();
  EXPECT_EQ(backend.has_heard(), "nothing");
  EXPECT_EQ(counters().operations_sent, 1u);
}

TEST_F(BroadcastTest, WithoutABackendTheResultIsEmptyAndThereAtOnce) {
  const auto id = release_handles("/cache");
  EXPECT_EQ(report(id).state, BroadcastState::kFinished);
  EXPECT_EQ(to_string(report(id).result), "release-handles /cache: nobody");
  EXPECT_EQ(report(id).result.sent_count(), 0u);
}

TEST_F(BroadcastTest, ItEndsWhenTheLastOutcomeIsInAndNotLater) {
  auto& a = join("a");
  auto& b = join("b");
  const auto id = release_handles("/cache");
  a.acks(id);
  settle();
  EXPECT_TRUE(is_running(id));
  b.fails(id, BroadcastFailureReason::kBackendError, "no");
  settle();
  EXPECT_FALSE(is_running(id));
  EXPECT_EQ(core::Inspection(core()).open_operations(), 0u);
}

TEST_F(BroadcastTest, ResultsAreInRegistrationOrderWhateverTheOrderOfTheAnswers) {
  auto& a = join("a");
  auto& b = join("b");
  auto& c = join("c");
  const auto id = release_handles("/cache");
  for (auto* backend : {&c, &a, &b}) {
    backend->acks(id);
    settle();
  }
  EXPECT_EQ(result(id), "release-handles /cache: acked a 1.0.0, b 1.0.0, c 1.0.0");
}

TEST_F(BroadcastTest, ASelectionAsksOnlyThoseThatMatch) {
  auto& chosen = join("zccache");
  auto& other = join("soldr");
  BroadcastRequest request;
  request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  request.selection = {Selector::parse("service=zcc*").selector};
  const auto id = start_broadcast(request);
  chosen.acks(id);
  EXPECT_EQ(result(id), "quiesce (maintenance): acked zccache 1.0.0");
  EXPECT_EQ(other.has_heard(), "nothing");
}

// The broker was busy elsewhere: the acks are there, more than it reads in two turns, and so is the
// deadline.
TEST_F(BroadcastTest, AnAckThatReachedItsSocketBeforeItsDeadlineWasSeenCounts) {
  constexpr std::size_t kMany = 1300;
  for (std::size_t i = 0; i < kMany; ++i) join("backend-" + std::to_string(i));
  const auto id = release_handles("/cache", kFires);
  for (auto& backend : backends_) backend.acks(id);
  const auto past = std::chrono::steady_clock::now() + 2 * kFires;
  while (std::chrono::steady_clock::now() < past) {
  }
  ASSERT_TRUE(run_until_told(Event::Kind::kBroadcastFinished));
  EXPECT_EQ(report(id).result.acks.size(), kMany);
}

TEST_F(BroadcastTest, ManySilentBackendsEachTimeOutOnce) {
  constexpr std::size_t kMany = 700;  // more than one batch
  for (std::size_t i = 0; i < kMany; ++i) join("silent-" + std::to_string(i));
  const auto id = release_handles("/cache", kFires);
  ASSERT_TRUE(run_until_told(Event::Kind::kBroadcastFinished));
  EXPECT_EQ(report(id).result.timeouts.size(), kMany);
  EXPECT_EQ(counters().timeouts, kMany);
  EXPECT_EQ(backends_.back().hears(), "operation 1: release-handles /cache");
  EXPECT_EQ(backends_.back().hears(), "cancel 1");
}

TEST_F(BroadcastTest, OnceWarmABroadcastAllocatesNothingForEachBackend) {
  if (!counts_allocations()) GTEST_SKIP() << "allocations are not counted here";
  sink_.every_outcome = false;
  // What warm rounds allocate with so many backends. They do not read: their sockets hold it.
  const auto cost = [&](std::size_t backends) {
    while (backends_.size() < backends) join("backend-" + std::to_string(backends_.size()));
    std::size_t allocated = 0;
    constexpr int kRounds = 20;
    for (int i = 0; i < 2 * kRounds; ++i) {
      if (i == kRounds) allocated = allocations();
      sink_.events.clear();
      const auto id = release_handles("/cache");
      const auto ack = wire::encode(id, Ack{});
      for (auto& backend : backends_) backend.send(ack);
      settle();
    }
    EXPECT_EQ(counters().broadcasts_finished, last_id_);
    return allocations() - allocated;
  };
  const auto few = cost(10);
  const auto many = cost(210);
  // One each would be 4,000 more; growing buffers are a few.
  EXPECT_LE(many, few + 40);
}

TEST_F(BroadcastTest, AnIdleBackendIsQuiescedAloneAndActivityPutsThatOff) {
  auto registration = registration_of("idle");
  registration.idle_timeout = std::chrono::milliseconds(20);
  auto& idle = join(registration);
  auto& other = join("other");
  idle.is_active();
  EXPECT_EQ(idle.hears(), "operation 1: quiesce (idle-timeout)");
  settle();
  EXPECT_EQ(other.has_heard(), "nothing");
  idle.acks(1);
  EXPECT_EQ(result(1), "quiesce (idle-timeout): acked idle 1.0.0");
}

}  // namespace
}  // namespace muster::test
