// A backend that is only asked whether it would: who is called, who never is, and what is answered.
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "support/backend_core_fixture.h"

namespace muster::test {
namespace {

const auto kWouldRelease = BroadcastOperation::preflight(ReleaseHandles{"/srv/cache", "/cache"});
const auto kWouldQuiesce = BroadcastOperation::preflight(Quiesce{});

class BackendPreflightTest : public BackendCoreTest {
 protected:
  void asks(BroadcastId id, BroadcastOperation operation) {
    OutgoingOperation message;
    message.broadcast_id = id;
    message.operation = std::move(operation);
    message.ack_timeout = std::chrono::seconds(5);
    message.deadline_unix_ms = port_.now_unix_ms() + 5000;
    says(id, std::move(message));
  }
  // The other handlers say so when they are called.
  void preflight_with(Backend::Handler handler) {
    handlers_.on(OperationKind::kPreflight) = [this,
                                               handler = std::move(handler)](Request& request) {
      port_.note("preflight " + std::to_string(request.broadcast_id()));
      handler(request);
    };
    handle_with([](Request&) {});
  }
  std::string answer_when(Backend::Handler handler) {
    preflight_with(std::move(handler));
    started_and_registered();
    asks(7, kWouldRelease);
    return happened();
  }
};

TEST_F(BackendPreflightTest, ReachesItsOwnHandlerAndNoOther) {
  preflight_with([](Request& request) {
    EXPECT_TRUE(request.is_preflight());
    EXPECT_EQ(request.hold(), std::nullopt);
    if (request.operation().about_quiesce() != nullptr) {
      EXPECT_EQ(request.reason(), QuiesceReason::kMaintenance);
      EXPECT_EQ(request.path_prefix(), "");
      return;
    }
    EXPECT_EQ(request.operation(), kWouldRelease);
    EXPECT_EQ(request.path_prefix(), "/srv/cache");
    EXPECT_EQ(request.path_alias(), "/cache");
    EXPECT_TRUE(request.covers("/srv/cache/x"));
    EXPECT_TRUE(request.covers("/cache/x"));
    EXPECT_FALSE(request.covers("/cached"));
  });
  started_and_registered();
  asks(7, kWouldRelease);
  EXPECT_EQ(happened(), "preflight 7; > Ack 7");
  asks(8, kWouldQuiesce);
  EXPECT_EQ(happened(), "preflight 8; > Ack 8");
  asks(9, kWouldRelease.real());
  EXPECT_EQ(happened(), "handler 9; > Ack 9") << "the real one is as ever";
}

TEST_F(BackendPreflightTest, WithoutAHandlerOfItsOwnItIsAckedAndNobodyIsCalled) {
  handle_with([](Request& request) { EXPECT_FALSE(request.is_preflight()); });
  started_and_registered();
  asks(7, kWouldRelease);
  asks(8, kWouldQuiesce);
  EXPECT_EQ(happened(), "> Ack 7; > Ack 8");
  asks(9, kWouldQuiesce.real());
  EXPECT_EQ(happened(), "handler 9; > Ack 9");
}

// The answer is the one that the operation would get.
TEST_F(BackendPreflightTest, OfAnOperationWithoutAHandlerIsUnsupported) {
  handlers_.on(OperationKind::kQuiesce) = [](Request&) {};
  use_handlers();
  started_and_registered();
  asks(7, kWouldRelease);
  EXPECT_EQ(happened(),
            "> Failure 7 UnsupportedOperation: this backend has no handler for release-handles "
            "/srv/cache");
  asks(8, kWouldQuiesce);
  EXPECT_EQ(happened(), "> Ack 8");
}

TEST_F(BackendPreflightTest, OfAnOperationWithoutAHandlerIsUnsupportedBesideAPreflightHandler) {
  handlers_.on(OperationKind::kPreflight) = [](Request&) { FAIL() << "it cannot do it anyhow"; };
  use_handlers();
  started_and_registered();
  asks(7, kWouldQuiesce);
  EXPECT_EQ(happened(),
            "> Failure 7 UnsupportedOperation: this backend has no handler for quiesce "
            "(maintenance)");
}

TEST_F(BackendPreflightTest, AnObjectionIsARejectionWithItsReason) {
  EXPECT_EQ(answer_when([](Request& request) { request.reject("a build runs"); }),
            "preflight 7; > Failure 7 Rejected: a build runs");
}

TEST_F(BackendPreflightTest, WhatItsHandlerThrowsIsABackendError) {
  EXPECT_EQ(answer_when([](Request&) { throw std::runtime_error("no idea"); }),
            "preflight 7; > Failure 7 BackendError: no idea");
}

TEST_F(BackendPreflightTest, CanBeAnsweredLaterAndAskForTime) {
  preflight_with([this](Request& request) {
    request.working(std::chrono::seconds(2), "asking");
    pending_.push_back(request.defer());
  });
  started_and_registered();
  asks(7, kWouldQuiesce);
  EXPECT_EQ(happened(), "preflight 7; > Working 7 +2000 ms asking");
  pending_.at(0).ack();
  EXPECT_EQ(happened(), "> Ack 7");
}

TEST_F(BackendPreflightTest, LeavesTheBackendAsItWas) {
  preflight_with([this](Request& request) {
    EXPECT_FALSE(core_.is_quiesced()) << "while its handler runs";
    EXPECT_FALSE(core_.is_held("/srv/cache/x"));
    pending_.push_back(request.defer());
  });
  listen();
  started_and_registered();
  asks(7, kWouldQuiesce);
  asks(8, kWouldRelease);
  for (PendingAnswer& answer : pending_) answer.ack();
  EXPECT_EQ(happened(), "preflight 7; preflight 8; > Ack 7; > Ack 8") << "no hold begins";
  EXPECT_FALSE(core_.is_quiesced());
  EXPECT_FALSE(core_.is_held("/srv/cache/x"));
  // No end of anything is told when the next broker comes.
  reconnects();
  registered(2, "fedcba9876543210");
  EXPECT_EQ(happened().find("on_hold_ended"), std::string::npos);
}

TEST_F(BackendPreflightTest, SentAgainAfterAReconnectIsAnsweredFromMemory) {
  preflight_with([](Request& request) { request.reject("a build runs"); });
  started_and_registered();
  asks(7, kWouldRelease);
  (void)happened();
  reconnects();
  registered(2);
  (void)happened();
  asks(7, kWouldRelease);
  EXPECT_EQ(happened(), "> Failure 7 Rejected: a build runs");
}

TEST_F(BackendPreflightTest, AckedWithoutAHandlerAndSentAgainIsAckedFromMemory) {
  handle_with([](Request&) {});
  started_and_registered();
  asks(7, kWouldRelease);
  EXPECT_EQ(happened(), "> Ack 7");
  reconnects();
  registered(2);
  (void)happened();
  asks(7, kWouldRelease);
  EXPECT_EQ(happened(), "> Ack 7");
}

TEST_F(BackendPreflightTest, AfterItsTimeReachesNobody) {
  preflight_with([](Request&) {});
  started_and_registered();
  handlers_are_busy();
  asks(7, kWouldRelease);
  passes(std::chrono::seconds(6));
  handlers_go_on();
  EXPECT_EQ(happened(), "");
}

}  // namespace
}  // namespace muster::test
