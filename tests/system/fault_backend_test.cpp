// Backends that die, hang or misbehave: nobody else notices, and the operator is told the truth.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "system/fault_fixture.h"
#include "wire/backend_lane.h"

namespace muster::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST_F(FaultTest, ABackendKilledBeforeItsAnswerHasFailedAtOnce) {
  inflict([](FaultStage& stage) {
    Process& mute = stage.backend("mute", {"--on-release", "silent"});
    const BroadcastId id = stage.release("/cache");
    mute.wait_for("operation");
    stage.at_its_worst();
    mute.end(SIGKILL);
    EXPECT_EQ(stage.result(id), "release-handles /cache: failed mute 1.0.0 (backend error)");
    EXPECT_EQ(stage.operators().report(id).backends.at(0).detail, "process exited");
  });
}

TEST_F(FaultTest, ABackendKilledInTheMiddleOfItsAnswerHasFailedAtOnce) {
  inflict([](FaultStage& stage) {
    Process& half = stage.backend("half", {"--on-release", "half-frame", "--verbose"});
    const BroadcastId id = stage.release("/cache");
    half.wait_for("sent half a frame");
    stage.at_its_worst();
    half.end(SIGKILL);
    EXPECT_EQ(stage.result(id), "release-handles /cache: failed half 1.0.0 (backend error)");
    EXPECT_EQ(stage.operators().report(id).backends.at(0).detail, "process exited");
  });
}

TEST_F(FaultTest, ABackendKilledRightAfterItsAnswerHasAcked) {
  inflict([](FaultStage& stage) {
    Process& quick = stage.backend("quick", {"--verbose"});
    Process& mute = stage.backend("mute", {"--on-release", "silent"});
    const BroadcastId id = stage.release("/cache");
    quick.wait_for(" ack");
    quick.end(SIGKILL);
    mute.wait_for("operation");
    stage.at_its_worst();
    mute.end(SIGKILL);
    EXPECT_EQ(stage.result(id),
              "release-handles /cache: acked quick 1.0.0; failed mute 1.0.0 (backend error)");
  });
}

TEST_F(FaultTest, AForkThatHoldsItsParentsSocketDoesNotKeepItAlive) {
  inflict([](FaultStage& stage) {
    Process& parent = stage.backend("parent", {"--on-release", "fork-hold"});
    Process& mute = stage.backend("mute", {"--on-release", "silent"});
    const BroadcastId id = stage.release("/cache");
    parent.wait_for("forked");
    stage.at_its_worst();
    EXPECT_EQ(parent.finish().status, 0);
    EXPECT_EQ(stage.operators().backends().size(), 2u);
    mute.end(SIGKILL);
    EXPECT_EQ(stage.result(id),
              "release-handles /cache: failed parent 1.0.0 (backend error), mute "
              "1.0.0 (backend error)");
    EXPECT_EQ(stage.operators().report(id).backends.at(0).detail, "process exited");
  });
}

TEST_F(FaultTest, BackendsThatNeverReadLoseTheirConnectionsAndNobodyElseWaits) {
  BrokerSetup setup;
  setup.broker["send_queue"] = "\"64KiB\"";
  inflict(setup, [](FaultStage& stage) {
    // The warm-up has as many: what is pooled for the deadlines of so many targets stays.
    constexpr std::size_t kMany = 200;
    stage.spawn({"--service", "reads", "--quiet"}).wait_for("ready");
    stage
        .spawn({"--service", "deaf", "--on-release", "stop-reading", "--quiet", "--count",
                std::to_string(kMany)})
        .wait_for("ready");
    const Counters before = stage.operators().status().counters;
    for (std::uint64_t asked = 1;; ++asked) {
      const BroadcastId id = stage.release(path_of(4000));
      if (asked == 8) stage.at_its_worst();
      if (stage.operators().status().counters.slow_readers - before.slow_readers < kMany) continue;
      EXPECT_EQ(stage.operators().report(id, true).result.timeouts.size(), 0u);
      EXPECT_EQ(stage.operators().status().counters.acks - before.acks, asked)
          << "whoever reads was asked and answered each time";
      break;
    }
  });
}

TEST_F(FaultTest, ABackendThatSendsByteForByteHoldsNobodyUp) {
  inflict([](FaultStage& stage) {
    stage.backend("quick");
    TestBackend drip = stage.connect();
    const auto drips = [&](const std::string& bytes) {
      for (const char& byte : bytes) {
        ASSERT_TRUE(drip.send({&byte, 1}));
        static_cast<void>(stage.operators().ping());  // the broker has taken that byte
      }
    };
    const std::string registration = wire::encode(1, registration_of("drip"));
    drips(registration.substr(0, registration.size() / 2));
    EXPECT_THAT(stage.result(stage.release("/a")),
                StartsWith("release-handles /a: acked quick 1.0.0"));
    drips(registration.substr(registration.size() / 2));
    EXPECT_EQ(drip.hears(), "registered");

    const BroadcastId id = stage.release("/cache");
    EXPECT_THAT(drip.hears(), HasSubstr("operation"));
    const std::string ack = wire::encode(id, Ack{});
    drips(ack.substr(0, ack.size() - 1));
    stage.at_its_worst();
    EXPECT_EQ(stage.operators().report(id).state, BroadcastState::kRunning);
    drips(ack.substr(ack.size() - 1));
    EXPECT_EQ(stage.result(id), "release-handles /cache: acked quick 1.0.0, drip 1.0.0");
  });
}

TEST_F(FaultTest, ABackendThatSendsByteForByteHasNoMoreTimeToRegisterThanOthers) {
  BrokerSetup setup;
  setup.broker["register_timeout"] = "\"20ms\"";
  inflict(setup, [](FaultStage& stage) {
    Process& drip =
        stage.spawn({"--service", "drip", "--register", "byte-by-byte:1h", "--no-reconnect"});
    drip.wait_for("connected");
    stage.at_its_worst();
    EXPECT_THAT(drip.wait_for("refused"), HasSubstr("too-slow: no Register came within 0.02 s"));
    drip.finish();
  });
}

TEST_F(FaultTest, ConnectionsThatNeverRegisterAreClosed) {
  BrokerSetup setup;
  setup.broker["register_timeout"] = "\"100ms\"";
  inflict(setup, [](FaultStage& stage) {
    const std::size_t many = stage.dose(1000);
    Process& shy = stage.spawn({"--service", "shy", "--register", "never", "--no-reconnect",
                                "--count", std::to_string(many)});
    for (std::size_t i = 0; i < many; ++i) shy.wait_for("connected");
    stage.at_its_worst();
    for (std::size_t i = 0; i < many; ++i) {
      ASSERT_THAT(shy.wait_for("refused"), HasSubstr("too-slow: no Register came within 0.1 s"));
    }
    shy.finish();
    EXPECT_EQ(stage.operators().status().connections, 0u);
  });
}

}  // namespace
}  // namespace muster::test
