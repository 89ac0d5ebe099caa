// The model of a broadcast: what the seed of this project did, and the policy and results around
// it.
#include <chrono>

#include <gtest/gtest.h>

#include "muster/lifecycle_broadcast_model.h"

namespace muster {
namespace {

using std::chrono::milliseconds;

BackendKey key(const std::string& service, const std::string& version = "1.0.0") {
  return {Instance::shared(), service, version, ""};
}

const auto kRelease = BroadcastOperation::release_handles("/var/cache/x");

TEST(BroadcastPolicyTest, FiveSecondsUnlessSomebodySaysOtherwise) {
  EXPECT_EQ(kDefaultBroadcastAckTimeout, std::chrono::seconds(5));
  EXPECT_EQ(BroadcastPolicy().ack_timeout, std::chrono::seconds(5));
  EXPECT_EQ(BroadcastPolicy(milliseconds(20)).ack_timeout, milliseconds(20));
}

TEST(BroadcastPolicyTest, AZeroTimeoutIsRaisedToAMillisecond) {
  EXPECT_EQ(BroadcastPolicy(milliseconds(0)).ack_timeout, milliseconds(1));
  EXPECT_EQ(BroadcastPolicy(milliseconds(-5)).ack_timeout, milliseconds(1));
  EXPECT_EQ(BroadcastPolicy(milliseconds(1)).ack_timeout, milliseconds(1));
}

TEST(BroadcastOperationTest, IsOneOfTwo) {
  ASSERT_NE(kRelease.as_release_handles(), nullptr);
  EXPECT_EQ(kRelease.as_release_handles()->path_prefix, "/var/cache/x");
  EXPECT_EQ(kRelease.as_quiesce(), nullptr);
  const auto quiesce = BroadcastOperation::quiesce(QuiesceReason::kIdleTimeout);
  ASSERT_NE(quiesce.as_quiesce(), nullptr);
  EXPECT_EQ(quiesce.as_quiesce()->reason, QuiesceReason::kIdleTimeout);
  EXPECT_EQ(quiesce.as_release_handles(), nullptr);
  EXPECT_NE(quiesce, kRelease);
  EXPECT_NE(quiesce, BroadcastOperation::quiesce(QuiesceReason::kMaintenance));
  EXPECT_EQ(kRelease, BroadcastOperation::release_handles("/var/cache/x"));
}

TEST(LifecycleBroadcastModelTest, ReleaseHandlesReachesEveryLiveBackend) {
  LifecycleBroadcastModel model;
  model.register_backend(BroadcastBackend::live(key("a")));
  model.register_backend(BroadcastBackend::live(key("b")));
  const auto result = model.release_handles_under_path("/var/cache/x");
  EXPECT_EQ(result.operation, kRelease);
  EXPECT_EQ(to_string(result), "release-handles /var/cache/x: acked a 1.0.0, b 1.0.0");
  EXPECT_EQ(result.sent_count(), 2u);
  EXPECT_TRUE(result.all_live_backends_acked());
  ASSERT_EQ(model.backend(key("a"))->received_operations().size(), 1u);
  EXPECT_EQ(model.backend(key("a"))->received_operations()[0], kRelease);
}

TEST(LifecycleBroadcastModelTest, ADeadBackendIsSkippedAndGetsNothing) {
  LifecycleBroadcastModel model;
  model.register_backend(BroadcastBackend::dead(key("dead")));
  model.register_backend(BroadcastBackend::live(key("live")));
  const auto result = model.quiesce(QuiesceReason::kMaintenance);
  EXPECT_EQ(to_string(result), "quiesce (maintenance): acked live 1.0.0; skipped dead dead 1.0.0");
  EXPECT_EQ(result.sent_count(), 1u);
  EXPECT_TRUE(result.all_live_backends_acked());
  EXPECT_TRUE(model.backend(key("dead"))->received_operations().empty());
}

TEST(LifecycleBroadcastModelTest, ATimeoutCarriesThePolicysTimeout) {
  LifecycleBroadcastModel model(BroadcastPolicy(milliseconds(250)));
  model.register_backend(
      BroadcastBackend::live(key("a")).with_response(BroadcastBackendResponse::timeout()));
  const auto result = model.quiesce(QuiesceReason::kBrokerShutdown);
  ASSERT_EQ(result.timeouts.size(), 1u);
  EXPECT_EQ(result.timeouts[0], (BroadcastTimeout{key("a"), milliseconds(250)}));
  EXPECT_FALSE(result.all_live_backends_acked());
  EXPECT_EQ(model.backend(key("a"))->received_operations().size(), 1u) << "it got it, and is late";
}

TEST(LifecycleBroadcastModelTest, EachFailureHasItsReason) {
  LifecycleBroadcastModel model;
  for (const auto& [service, reason] :
       {std::pair("a", BroadcastFailureReason::kUnsupportedOperation),
        std::pair("b", BroadcastFailureReason::kRejected),
        std::pair("c", BroadcastFailureReason::kBackendError)}) {
    model.register_backend(BroadcastBackend::live(key(service))
                               .with_response(BroadcastBackendResponse::failure(reason)));
  }
  const auto result = model.broadcast(kRelease);
  EXPECT_EQ(to_string(result),
            "release-handles /var/cache/x: failed a 1.0.0 (unsupported operation), b 1.0.0 "
            "(rejected), c 1.0.0 (backend error)");
  EXPECT_EQ(result.sent_count(), 3u);
  EXPECT_FALSE(result.all_live_backends_acked());
}

TEST(LifecycleBroadcastModelTest, RegisteringAKeyAgainReplacesInPlaceAndReturnsWhatWasThere) {
  LifecycleBroadcastModel model;
  EXPECT_EQ(model.register_backend(BroadcastBackend::live(key("a"))), std::nullopt);
  EXPECT_EQ(model.register_backend(BroadcastBackend::live(key("b"))), std::nullopt);
  (void)model.broadcast(kRelease);
  const auto before = model.register_backend(
      BroadcastBackend::live(key("a")).with_response(BroadcastBackendResponse::timeout()));
  ASSERT_TRUE(before);
  EXPECT_TRUE(before->response().is_ack());
  EXPECT_EQ(before->received_operations().size(), 1u);
  EXPECT_TRUE(model.backend(key("a"))->received_operations().empty()) << "a new endpoint";
  ASSERT_EQ(model.backends().size(), 2u);
  EXPECT_EQ(model.backends()[0].key(), key("a"));
  EXPECT_EQ(model.backends()[1].key(), key("b"));
}

TEST(LifecycleBroadcastModelTest, KeysDifferInEveryPart) {
  LifecycleBroadcastModel model;
  auto replica = key("a");
  replica.replica = "two";
  auto instance = key("a");
  instance.instance = Instance::private_to("b");
  for (const auto& one : {key("a"), key("a", "1.0.1"), replica, instance}) {
    EXPECT_EQ(model.register_backend(BroadcastBackend::live(one)), std::nullopt) << one.to_string();
  }
  EXPECT_EQ(model.backends().size(), 4u);
}

TEST(LifecycleBroadcastModelTest, ABackendCanDieAndLiveAgain) {
  LifecycleBroadcastModel model;
  model.register_backend(BroadcastBackend::live(key("a")));
  model.backend(key("a"))->set_live(false);
  EXPECT_FALSE(model.backend(key("a"))->is_live());
  EXPECT_EQ(model.broadcast(kRelease).skipped_dead.size(), 1u);
  model.backend(key("a"))->set_live(true);
  EXPECT_EQ(model.broadcast(kRelease).acks.size(), 1u);
  EXPECT_EQ(model.backend(key("a"))->received_operations().size(), 1u);
}

TEST(LifecycleBroadcastModelTest, ListsAreInRegistrationOrder) {
  LifecycleBroadcastModel model;
  for (const auto* service : {"c", "a", "d", "b"}) {
    auto backend = *service < 'c' ? BroadcastBackend::dead(key(service))
                                  : BroadcastBackend::live(key(service));
    model.register_backend(std::move(backend));
  }
  EXPECT_EQ(to_string(model.broadcast(kRelease)),
            "release-handles /var/cache/x: acked c 1.0.0, d 1.0.0; skipped dead a 1.0.0, b 1.0.0");
}

TEST(LifecycleBroadcastModelTest, NobodyIsAskedAndEverybodyAcked) {
  LifecycleBroadcastModel model;
  const auto result = model.broadcast(kRelease);
  EXPECT_EQ(result.sent_count(), 0u);
  EXPECT_TRUE(result.all_live_backends_acked());
  EXPECT_EQ(to_string(result), "release-handles /var/cache/x: nobody");
  EXPECT_EQ(model.backend(key("a")), nullptr);
}

TEST(BroadcastBackendResponseTest, IsOneOfThree) {
  EXPECT_TRUE(BroadcastBackendResponse::ack().is_ack());
  EXPECT_FALSE(BroadcastBackendResponse::ack().is_timeout());
  EXPECT_EQ(BroadcastBackendResponse::ack().failure_reason(), std::nullopt);
  EXPECT_TRUE(BroadcastBackendResponse::timeout().is_timeout());
  const auto failure = BroadcastBackendResponse::failure(BroadcastFailureReason::kRejected);
  EXPECT_EQ(failure.failure_reason(), BroadcastFailureReason::kRejected);
  EXPECT_FALSE(failure.is_ack() || failure.is_timeout());
  EXPECT_NE(failure, BroadcastBackendResponse::failure(BroadcastFailureReason::kBackendError));
}

}  // namespace
}  // namespace muster
