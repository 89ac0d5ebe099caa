// A broadcast that only asks whether backends would: like any other, but nothing follows from an
// ack.
#include <string>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/operation_keys.h"
#include "support/proof_fixture.h"

namespace muster::core {
namespace {

using std::chrono::milliseconds;
using ::testing::IsEmpty;

const auto kWouldRelease = BroadcastOperation::preflight(ReleaseHandles{"/cache", {}});
const auto kWouldQuiesce = BroadcastOperation::preflight(muster::Quiesce{});

BroadcastRequest request_for(BroadcastOperation operation, std::string key = {}) {
  BroadcastRequest request;
  request.operation = std::move(operation);
  request.operation_key = std::move(key);
  return request;
}

class CorePreflightTest : public ProofFixture {
 protected:
  [[nodiscard]] std::string quiesced() const {
    std::string names;
    for (const BackendInfo& info : broker.backends({})) {
      if (info.quiesced) names += info.key.service_name + ' ';
    }
    return names;
  }
  std::string refusal_of(BroadcastRequest request) {
    const auto started = broker.start_broadcast(std::move(request), now, Operator{5, 50, "rm"});
    const auto* error = std::get_if<ControlError>(&started);
    return error == nullptr ? "started" : error->message;
  }
};

TEST_F(CorePreflightTest, IsSentAndReportedLikeAnyBroadcast) {
  join(kFirst);
  join(kSecond);
  const BroadcastId id = start(request_for(kWouldRelease));
  ASSERT_EQ(shell.operations.size(), 2u);
  EXPECT_EQ(shell.operations[0].operation, kWouldRelease);
  EXPECT_EQ(shell.operations[0].hold_id, std::nullopt);
  broker.acked(kFirst, id, {}, now);
  broker.failed(kSecond, id, {BroadcastFailureReason::kRejected, "a build runs"}, now);
  const BroadcastReport ended = report(id);
  EXPECT_EQ(ended.state, BroadcastState::kFinished);
  EXPECT_EQ(ended.result.operation, kWouldRelease);
  EXPECT_EQ(ended.result.acks.size(), 1u);
  EXPECT_EQ(ended.result.failures.size(), 1u);
  EXPECT_EQ(ended.backends.at(1).detail, "a build runs");
  // Whoever watches must not read that something was released.
  EXPECT_EQ(shell.events.back().kind, Event::Kind::kBroadcastFinished);
  EXPECT_EQ(shell.events.back().operation, "preflight of release-handles /cache");
}

TEST_F(CorePreflightTest, HasDeadlinesAndMoreTimeAndCanBeCancelled) {
  join(kFirst);
  join(kSecond);
  BroadcastRequest request = request_for(kWouldQuiesce);
  request.ack_timeout = milliseconds(100);
  const BroadcastId id = start(request);
  broker.working(kSecond, id, {milliseconds(300), 10, "asking"}, now);
  later(milliseconds(100));
  let_pass();
  EXPECT_EQ(report(id).result.timeouts.size(), 1u);
  EXPECT_EQ(report(id).state, BroadcastState::kRunning) << "the second asked for more time";
  EXPECT_EQ(std::get<std::uint32_t>(broker.cancel_broadcast(id, now)), 1u);
  EXPECT_EQ(report(id).state, BroadcastState::kCancelled);
}

TEST_F(CorePreflightTest, WhoWouldQuiesceIsNotQuiesced) {
  join(kFirst);
  join(kSecond);
  BroadcastRequest request = request_for(kWouldQuiesce);
  request.ack_timeout = milliseconds(100);
  const BroadcastId id = start(request);
  broker.acked(kFirst, id, {}, now);
  EXPECT_EQ(quiesced(), "");
  later(milliseconds(100));
  let_pass();
  broker.acked(kSecond, id, {}, now);  // late
  EXPECT_EQ(report(id).late_acks.size(), 1u);
  EXPECT_EQ(quiesced(), "");
  BrokerStatus status;
  broker.fill_status(status);
  EXPECT_EQ(status.quiesced_backends, 0u);
  for (const ConnectionId one : {kFirst, kSecond}) {
    const BackendKey key{Instance::shared(), "s" + std::to_string(one.slot), "1.0.0", ""};
    EXPECT_TRUE(broker.registered(key)->quiesced.empty()) << "nothing of it is for the roster";
  }
  EXPECT_EQ(broker.resume(0, {}, now), Resumed());
  // The real one does.
  const BroadcastId real = start(request_for(kWouldQuiesce.real()));
  broker.acked(kFirst, real, {}, now);
  EXPECT_EQ(quiesced(), "s1 ");
}

TEST_F(CorePreflightTest, ABackendThatComesBackIsAskedAgainWhetherItWould) {
  join(kFirst);
  const BroadcastId id = start(request_for(kWouldQuiesce));
  shell.operations.clear();
  broker.connection_lost(kFirst, LossCause::kClosed, now);
  constexpr ConnectionId kAgain{3, 1};
  ASSERT_TRUE(broker.connection_opened(kAgain, {{1, 1}, 0, 0}, now));
  Registration registration;
  registration.key = {Instance::shared(), "s1", "1.0.0", ""};
  broker.registration(kAgain, 1, registration, now);
  ASSERT_EQ(shell.operations.size(), 1u);
  EXPECT_EQ(shell.operations[0].operation, kWouldQuiesce);
  EXPECT_THAT(shell.registered.active_holds, IsEmpty());
  broker.acked(kAgain, id, {}, now);
  EXPECT_EQ(report(id).result.acks.size(), 1u);
  EXPECT_EQ(quiesced(), "");
}

TEST_F(CorePreflightTest, BeginsNoHoldAndNoVerification) {
  join(kFirst);
  for (const auto& operation : std::vector{kWouldRelease, kWouldQuiesce}) {
    BroadcastRequest held = request_for(operation);
    held.hold = HoldRequest{true, {}};
    EXPECT_EQ(
        refusal_of(held),
        "a preflight releases nothing, so it cannot be held: ask for that with the operation");
    BroadcastRequest verified = request_for(operation);
    verified.verify = true;
    EXPECT_EQ(refusal_of(verified),
              "a preflight releases nothing, so it cannot be verified: ask for that with the "
              "operation");
  }
  EXPECT_THAT(shell.operations, IsEmpty());
  const BroadcastId id = start(request_for(kWouldRelease));
  broker.acked(kFirst, id, {}, now);
  EXPECT_THAT(broker.holds(), IsEmpty());
  EXPECT_THAT(broker.holds_to_keep(), IsEmpty());
  EXPECT_EQ(report(id).hold, std::nullopt);
  EXPECT_THAT(shell.scans, IsEmpty());
}

// Whoever asks for a release and is given a preflight that was acked would delete what is in use.
TEST_F(CorePreflightTest, NeverJoinsARealRequestByItsKeyNorTheReverse) {
  join(kFirst);
  for (const auto& operation : std::vector{kWouldRelease, kWouldQuiesce}) {
    const std::string asked = "asked " + operation.to_string();
    const std::string done = "done " + operation.to_string();
    const BroadcastId preflight = start(request_for(operation, asked));
    broker.acked(kFirst, preflight, {}, now);
    const BroadcastId real = start(request_for(operation.real(), done));
    broker.acked(kFirst, real, {}, now);
    const auto belongs_to = [](const std::string& key, BroadcastId id, const auto& of) {
      return "the operation key \"" + key + "\" belongs to broadcast " + std::to_string(id) + " (" +
             of.to_string() + "); give each different request a key of its own";
    };
    EXPECT_EQ(refusal_of(request_for(operation.real(), asked)),
              belongs_to(asked, preflight, operation));
    EXPECT_EQ(refusal_of(request_for(operation, done)), belongs_to(done, real, operation.real()));
    const auto again =
        broker.start_broadcast(request_for(operation, asked), now, Operator{5, 50, "rm"});
    EXPECT_EQ(std::get<Started>(again).id, preflight) << "the same joins as ever";
    EXPECT_TRUE(std::get<Started>(again).joined);
  }
}

TEST_F(CorePreflightTest, ItsKeyIsOfAPreflightAfterARestart) {
  UsedKey used;
  used.uid = 5;
  used.key = "nightly";
  used.request = request_text(request_for(kWouldRelease));
  used.broadcast = 3;
  used.used_unix_ms = now.unix_ms;
  broker.restore_keys({used}, now);
  EXPECT_EQ(refusal_of(request_for(kWouldRelease.real(), "nightly")),
            "the operation key \"nightly\" belongs to broadcast 3 (preflight of release-handles "
            "/cache); give each different request a key of its own");
}

TEST_F(CorePreflightTest, GoesOnWhenTheStateIsSavedAndRestored) {
  join(kFirst);
  const BroadcastId id = start(request_for(kWouldQuiesce));
  Broker next{{}, shell};
  next.restore(broker.save());
  next.acked(kFirst, id, {}, now);
  const auto ended = to_value(std::get<BroadcastRows>(next.report(id, now)));
  EXPECT_EQ(ended.result.operation, kWouldQuiesce);
  EXPECT_EQ(ended.result.acks.size(), 1u);
  EXPECT_EQ(next.backends({}).at(0).quiesced, std::nullopt);
}

TEST_F(CorePreflightTest, NobodyToAskIsAnEmptyResult) {
  const BroadcastId id = start(request_for(kWouldRelease));
  EXPECT_EQ(report(id).state, BroadcastState::kFinished);
  EXPECT_THAT(report(id).backends, IsEmpty());
}

}  // namespace
}  // namespace muster::core
