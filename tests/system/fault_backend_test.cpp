// Backends that die, hang or misbehave: nobody else notices, and the operator is told the truth.
#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "system/fault_fixture.h"
#include "wire/backend_lane.h"

namespace muster::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::StartsWith;

TEST_F(FaultTest, ABackendKilledBeforeItsAnswerHasFailedAtOnce) {
  inflict([](FaultHost& host) {
    Process& mute = host.backend("mute", {"--on-release", "silent"});
    const BroadcastId id = host.release("/cache");
    mute.wait_for("operation");
    host.at_its_worst();
    mute.end(SIGKILL);
    EXPECT_EQ(host.result(id), "release-handles /cache: failed mute 1.0.0 (backend error)");
    EXPECT_EQ(host.operators().report(id).backends.at(0).detail, "process exited");
  });
}

TEST_F(FaultTest, ABackendKilledInTheMiddleOfItsAnswerHasFailedAtOnce) {
  inflict([](FaultHost& host) {
    Process& half = host.backend("half", {"--on-release", "half-frame", "--verbose"});
    const BroadcastId id = host.release("/cache");
    half.wait_for("sent half a frame");
    host.at_its_worst();
    half.end(SIGKILL);
    EXPECT_EQ(host.result(id), "release-handles /cache: failed half 1.0.0 (backend error)");
    EXPECT_EQ(host.operators().report(id).backends.at(0).detail, "process exited");
  });
}

TEST_F(FaultTest, ABackendKilledRightAfterItsAnswerHasAcked) {
  inflict([](FaultHost& host) {
    Process& quick = host.backend("quick", {"--verbose"});
    Process& mute = host.backend("mute", {"--on-release", "silent"});
    const BroadcastId id = host.release("/cache");
    quick.wait_for(" ack");
    quick.end(SIGKILL);
    mute.wait_for("operation");
    host.at_its_worst();
    mute.end(SIGKILL);
    EXPECT_EQ(host.result(id),
              "release-handles /cache: acked quick 1.0.0; failed mute 1.0.0 (backend error)");
  });
}

TEST_F(FaultTest, AProcessWhoseForkHoldsItsSocketHasFailedAtOnceAndIsNotDead) {
  inflict([](FaultHost& host) {
    Process& parent = host.backend("parent", {"--on-release", "fork-hold"});
    Process& mute = host.backend("mute", {"--on-release", "silent"});
    const BroadcastId id = host.release("/cache");
    parent.wait_for("forked");
    host.at_its_worst();
    const std::string why = "process " + std::to_string(parent.pid()) +
                            " has exited, but another process (a child?) still has its connection";
    // What a dead one had registered keeps its place, so their order is not always the same.
    const auto outcomes = [&](BroadcastId of) {
      std::map<std::string, std::string> found;
      for (const BackendOutcome& one : host.operators().report(of, true).backends) {
        found[one.key.service_name] = std::string(to_string(one.outcome)) + ": " + one.detail;
      }
      return found;
    };
    EXPECT_EQ(parent.finish().status, 0);
    EXPECT_EQ(host.operators().backends().size(), 2u);
    mute.end(SIGKILL);
    EXPECT_THAT(outcomes(id), ElementsAre(Pair("mute", "failed: process exited"),
                                          Pair("parent", "failed: " + why)));
    EXPECT_THAT(outcomes(host.release("/cache")),
                ElementsAre(Pair("mute", "skipped dead: process exited"),
                            Pair("parent", "failed: " + why)));
  });
}

TEST_F(FaultTest, BackendsThatNeverReadLoseTheirConnectionsAndNobodyElseWaits) {
  BrokerSetup setup;
  setup.broker["send_queue"] = "\"64KiB\"";
  inflict(setup, [](FaultHost& host) {
    // The warm-up has as many: what is pooled for the deadlines of so many targets stays.
    constexpr std::size_t kMany = 200;
    host.spawn({"--service", "reads", "--quiet"}).wait_for("ready");
    host.spawn({"--service", "deaf", "--on-release", "stop-reading", "--quiet", "--count",
                std::to_string(kMany)})
        .wait_for("ready");
    const Counters before = host.operators().status().counters;
    for (std::uint64_t asked = 1;; ++asked) {
      const BroadcastId id = host.release(path_of(4000));
      if (asked == 8) host.at_its_worst();
      if (host.operators().status().counters.slow_readers - before.slow_readers < kMany) continue;
      EXPECT_EQ(host.operators().report(id, true).result.timeouts.size(), 0u);
      EXPECT_EQ(host.operators().status().counters.acks - before.acks, asked)
          << "whoever reads was asked and answered each time";
      break;
    }
  });
}

TEST_F(FaultTest, ABackendThatSendsByteForByteHoldsNobodyUp) {
  inflict([](FaultHost& host) {
    host.backend("quick");
    TestBackend drip = host.connect();
    const auto drips = [&](const std::string& bytes) {
      for (const char& byte : bytes) {
        ASSERT_TRUE(drip.send({&byte, 1}));
        static_cast<void>(host.operators().ping());  // the broker has taken that byte
      }
    };
    const std::string registration = wire::encode(1, registration_of("drip"));
    drips(registration.substr(0, registration.size() / 2));
    EXPECT_THAT(host.result(host.release("/a")),
                StartsWith("release-handles /a: acked quick 1.0.0"));
    drips(registration.substr(registration.size() / 2));
    EXPECT_EQ(drip.hears(), "registered");

    const BroadcastId id = host.release("/cache");
    EXPECT_THAT(drip.hears(), HasSubstr("operation"));
    const std::string ack = wire::encode(id, Ack{});
    drips(ack.substr(0, ack.size() - 1));
    host.at_its_worst();
    EXPECT_EQ(host.operators().report(id).state, BroadcastState::kRunning);
    drips(ack.substr(ack.size() - 1));
    EXPECT_EQ(host.result(id), "release-handles /cache: acked quick 1.0.0, drip 1.0.0");
  });
}

TEST_F(FaultTest, ABackendThatSendsByteForByteHasNoMoreTimeToRegisterThanOthers) {
  BrokerSetup setup;
  setup.broker["register_timeout"] = "\"20ms\"";
  inflict(setup, [](FaultHost& host) {
    Process& drip =
        host.spawn({"--service", "drip", "--register", "byte-by-byte:1h", "--no-reconnect"});
    drip.wait_for("connected");
    host.at_its_worst();
    EXPECT_THAT(drip.wait_for("refused"), HasSubstr("too-slow: no Register came within 0.02 s"));
    drip.finish();
  });
}

TEST_F(FaultTest, ConnectionsThatNeverRegisterAreClosed) {
  BrokerSetup setup;
  setup.broker["register_timeout"] = "\"100ms\"";
  inflict(setup, [](FaultHost& host) {
    const std::size_t many = host.dose(1000);
    Process& shy = host.spawn({"--service", "shy", "--register", "never", "--no-reconnect",
                               "--count", std::to_string(many)});
    for (std::size_t i = 0; i < many; ++i) shy.wait_for("connected");
    host.at_its_worst();
    for (std::size_t i = 0; i < many; ++i) {
      ASSERT_THAT(shy.wait_for("refused"), HasSubstr("too-slow: no Register came within 0.1 s"));
    }
    shy.finish();
    EXPECT_EQ(host.operators().status().connections, 0u);
  });
}

}  // namespace
}  // namespace muster::test
