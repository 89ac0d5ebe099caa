// The quiesce of a broker that goes down: it is over with the registration at the next broker.
#include <chrono>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "support/backend_core_fixture.h"

namespace muster::test {
namespace {

using namespace std::chrono_literals;

constexpr char kNextEpoch[] = "the next broker.";

class BackendShutdownTest : public BackendCoreTest {
 protected:
  BackendShutdownTest() { started_and_registered(); }
  void quiesce(BroadcastId id, QuiesceReason reason) {
    OutgoingOperation message;
    message.broadcast_id = id;
    message.operation = BroadcastOperation::quiesce(reason);
    message.ack_timeout = 5s;
    message.deadline_unix_ms = port_.now_unix_ms() + 5000;
    says(id, std::move(message));
  }
  // From the loss of the connection to the registration with `epoch`: what handlers hear then.
  std::string comes_back(std::string epoch) {
    reconnects();
    registered(2, std::move(epoch));
    const std::string all = happened();
    const auto at = all.find("on_active_holds");
    return at == std::string::npos ? all : all.substr(at);
  }
};

TEST_F(BackendShutdownTest, IsOverWithTheRegistrationAtTheNextBroker) {
  for (const char* next : {kNextEpoch, "one more epoch..", ""}) {
    listen();
    handle_with([](Request&) {});
    quiesce(7, QuiesceReason::kBrokerShutdown);
    EXPECT_EQ(happened(), "handler 7; > Ack 7");
    EXPECT_EQ(comes_back(next),
              "on_active_holds; on_state registered 2; on_hold_ended 7 (resumed)");
    EXPECT_EQ(comes_back("once is enough.."), "on_active_holds; on_state registered 2");
  }
}

TEST_F(BackendShutdownTest, GoesOnWhileItIsTheSameBroker) {
  listen();
  handle_with([](Request&) {});
  quiesce(7, QuiesceReason::kBrokerShutdown);
  (void)happened();
  EXPECT_EQ(comes_back(kEpoch), "on_active_holds; on_state registered 2");
  EXPECT_EQ(comes_back(kNextEpoch),
            "on_active_holds; on_state registered 2; on_hold_ended 7 (resumed)");
}

TEST_F(BackendShutdownTest, EndsAlsoWhereTheHandlerWasNotDoneInTime) {
  listen();
  defer_all();
  quiesce(7, QuiesceReason::kBrokerShutdown);
  EXPECT_EQ(happened(), "handler 7");
  reconnects();
  registered(2, kNextEpoch);
  EXPECT_TRUE(happened().ends_with(
      "on_cancel 7; on_active_holds; on_state registered 2; on_hold_ended 7 (resumed)"));
}

TEST_F(BackendShutdownTest, WhoDidNotQuiesceHasNothingToEnd) {
  listen();
  handle_with([](Request& request) { request.reject("busy"); });
  quiesce(7, QuiesceReason::kBrokerShutdown);
  EXPECT_EQ(happened(), "handler 7; > Failure 7 Rejected: busy");
  EXPECT_EQ(comes_back(kNextEpoch), "on_active_holds; on_state registered 2");
}

TEST_F(BackendShutdownTest, AnotherQuiesceGoesOnWithTheNextBroker) {
  listen();
  handle_with([](Request&) {});
  quiesce(7, QuiesceReason::kMaintenance);
  quiesce(8, QuiesceReason::kIdleTimeout);
  operation(9);
  (void)happened();
  EXPECT_EQ(comes_back(kNextEpoch), "on_active_holds; on_state registered 2");
  says(0, HoldEnded{7, HoldEnd::kResumed});
  EXPECT_EQ(happened(), "on_hold_ended 7 (resumed)");
}

// Whoever takes up work again would be listed as quiesced.
TEST_F(BackendShutdownTest, DoesNotEndWhatAnOperatorQuiesced) {
  listen();
  handle_with([](Request&) {});
  quiesce(7, QuiesceReason::kMaintenance);
  quiesce(8, QuiesceReason::kBrokerShutdown);
  (void)happened();
  EXPECT_EQ(comes_back(kNextEpoch), "on_active_holds; on_state registered 2");
  says(0, HoldEnded{7, HoldEnd::kResumed});
  EXPECT_EQ(happened(), "on_hold_ended 7 (resumed)");
  EXPECT_EQ(comes_back("one more epoch.."), "on_active_holds; on_state registered 2");
}

}  // namespace
}  // namespace muster::test
