// The broker itself is killed, or has all at once to carry that it may be asked to.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "system/fault_fixture.h"

namespace muster::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST_F(FaultTest, AfterAKillOfTheBrokerBackendsComeBackAndItsBroadcastsAreToldAsInterrupted) {
  inflict([](FaultHost& host) {
    Process& mute = host.backend("mute", {"--on-release", "silent"});
    Process& quick = host.backend("quick", {"--on-release", "silent", "--on-release", "ack"});
    const BroadcastId first = host.release("/a");
    const BroadcastId second = host.release("/b");
    for (Process* backend : {&mute, &quick}) {
      backend->wait_for("operation");
      backend->wait_for("operation");
    }
    host.restart_broker();
    host.at_its_worst();
    for (Process* backend : {&mute, &quick}) backend->wait_for("registered");

    for (const BroadcastId id : {first, second}) {
      const Finished told = host.ctl({"result", std::to_string(id)});
      EXPECT_EQ(told.status, 4);
      EXPECT_THAT(told.err, HasSubstr("the broker restarted at"));
      EXPECT_THAT(told.err, HasSubstr("was not finished or its report is gone"));
    }
    const BroadcastId third = host.release("/c");
    EXPECT_GT(third, second) << "no id is used again";
    mute.wait_for("operation");
    mute.end(SIGKILL);
    EXPECT_EQ(host.operators().report(third, true).result.acks.size(), 1u);
  });
}

TEST_F(FaultTest, FiveHundredBroadcastsInFlightEachEndWithTheirOwnResult) {
  inflict([](FaultHost& host) {
    const std::size_t many = host.dose(500);
    TestBackend first_to_last = host.join("forth");
    TestBackend last_to_first = host.join("back");
    host.spawn({"--service", "quick", "--quiet"}).wait_for("ready");
    std::vector<BroadcastId> ids;
    for (std::size_t i = 0; i < many; ++i) {
      ids.push_back(host.release("/cache/" + std::to_string(i)));
      EXPECT_THAT(first_to_last.hears(), HasSubstr("/cache/" + std::to_string(i)));
      EXPECT_THAT(last_to_first.hears(), HasSubstr("/cache/" + std::to_string(i)));
    }
    EXPECT_EQ(host.operators().status().running_broadcasts.size(), many);
    host.at_its_worst();
    for (const BroadcastId id : ids) first_to_last.acks(id);
    // Asked for before it ends, as only few reports are kept afterwards.
    for (std::size_t i = many; i-- > 0;) {
      last_to_first.acks(ids[i]);
      // The order is that of registration, in which what was forgotten has lost its place.
      EXPECT_THAT(host.result(ids[i]),
                  AllOf(StartsWith("release-handles /cache/" + std::to_string(i) + ": acked "),
                        HasSubstr("forth 1.0.0"), HasSubstr("back 1.0.0"), HasSubstr("quick 1.0.0"),
                        Not(HasSubstr(";"))));
    }
    EXPECT_EQ(host.operators().status().running_broadcasts.size(), 0u);
  });
}

TEST_F(FaultTest, AnOperatorWhoNeverReadsItsWatchLosesEventsAndNothingElse) {
  BrokerSetup setup;
  setup.control["event_queue"] = "\"16KiB\"";
  inflict(setup, [](FaultHost& host) {
    Process watcher = host.start_ctl({"watch"});
    watcher.wait_for("watching");
    host.spawn({"--service", "quick", "--quiet"}).wait_for("ready");
    watcher.wait_for("quick");
    watcher.signal(SIGSTOP);
    const std::size_t many = host.dose(400);
    for (std::size_t i = 0; i < many; ++i) {
      if (i == many / 2) host.at_its_worst();
      const BroadcastId id = host.release(path_of(4000));
      EXPECT_EQ(host.operators().report(id, true).result.acks.size(), 1u);
    }
    watcher.signal(SIGCONT);
    watcher.wait_for("events are missing here: they were not read in time");
    EXPECT_EQ(watcher.end(SIGINT).status, 128 + SIGINT);
  });
}

}  // namespace
}  // namespace muster::test
