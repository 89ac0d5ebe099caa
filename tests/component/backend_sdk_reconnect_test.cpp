// Losing the broker and coming back to it, through real sockets, in both flavours.
#include <fcntl.h>
#include <memory>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>

#include <gtest/gtest.h>

#include "component/backend_sdk_fixture.h"
#include "net/unix_connect.h"

namespace muster::test {
namespace {

using namespace std::chrono_literals;

class BackendSdkReconnectTest : public BackendSdkTest {};
INSTANTIATE_TEST_SUITE_P(Both, BackendSdkReconnectTest,
                         ::testing::Values(Flavour::kOwnThread, Flavour::kCallersLoop), name_of);

TEST_P(BackendSdkReconnectTest, ABrokerThatIsNotThereYetIsWaitedFor) {
  broker_.reset();
  create();
  on_release([](Request&) {});
  backend_->start();
  const std::string state = log_.wait_for("connecting");
  EXPECT_NE(state.find("there is no broker at " + dir_.path().native()), std::string::npos)
      << state;
  broker_ = std::make_unique<ScriptedBroker>(dir_.path());
  ScriptedPeer peer = broker_->accept();
  EXPECT_EQ(peer.welcome(), "Register zccache 1.4.2");
  EXPECT_EQ(log_.wait_for("registered"), "registered 1");
}

TEST_P(BackendSdkReconnectTest, ADirectoryThatDoesNotExistYetIsWaitedFor) {
  broker_.reset();
  BackendOptions wanted = options();
  wanted.socket_dir = dir_ / "later";
  create(wanted);
  backend_->start();
  EXPECT_TRUE(log_.wait_for("connecting").starts_with("connecting: there is no broker at "));
  std::filesystem::create_directory(dir_ / "later");
  broker_ = std::make_unique<ScriptedBroker>(dir_ / "later");
  EXPECT_EQ(broker_->accept().next(), "Register zccache 1.4.2");
}

TEST_P(BackendSdkReconnectTest, RegistersAgainAfterTheConnectionEnded) {
  ScriptedPeer peer = joined([](Request&) {});
  EXPECT_EQ(log_.wait_for("registered"), "registered 1");
  peer.close();
  ScriptedPeer again = broker_->accept();
  EXPECT_EQ(again.welcome(2), "Register zccache 1.4.2");
  EXPECT_EQ(log_.wait_for("connecting"),
            "connecting: the connection to the broker ended: the peer closed the connection");
  EXPECT_EQ(log_.wait_for("registered"), "registered 2");
  again.release(7);
  EXPECT_EQ(again.next(), "Ack 7");
}

TEST_P(BackendSdkReconnectTest, FindsABrokerThatWasRestarted) {
  ScriptedPeer peer = joined([](Request&) {});
  peer.close();
  broker_.reset();
  EXPECT_TRUE(log_.wait_for("connecting: there is no broker").starts_with("connecting"));
  broker_ = std::make_unique<ScriptedBroker>(dir_.path());
  ScriptedPeer again = broker_->accept();
  EXPECT_EQ(again.welcome(), "Register zccache 1.4.2");
}

TEST_P(BackendSdkReconnectTest, AnAnswerThatTheOldConnectionLostIsSentAgain) {
  ScriptedPeer peer = joined([](Request& request) { request.reject("busy"); });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("release"), "release 7 /cache");
  peer.close();  // and never reads the answer
  ScriptedPeer again = broker_->accept();
  (void)again.welcome(2);
  again.release(7);
  EXPECT_EQ(again.next(), "Failure 7 Rejected: busy");
  again.release(8);
  EXPECT_EQ(again.next(), "Failure 8 Rejected: busy");
  EXPECT_EQ(log_.count("release 7"), 1u);
}

TEST_P(BackendSdkReconnectTest, AnAnswerGivenWhileThereWasNoConnectionComesAfterTheRegistration) {
  std::optional<PendingAnswer> owed;
  ScriptedPeer peer = joined([&](Request& request) { owed = request.defer(); });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("handled"), "handled 7");
  broker_.reset();
  peer.close();
  EXPECT_TRUE(log_.wait_for("connecting: there is no broker").starts_with("connecting"));
  owed->working(1s);
  owed->ack();
  broker_ = std::make_unique<ScriptedBroker>(dir_.path());
  ScriptedPeer again = broker_->accept();
  EXPECT_EQ(again.welcome(2), "Register zccache 1.4.2");
  EXPECT_EQ(again.next(), "Ack 7");
  again.release(7);
  again.quiesce(8);
  EXPECT_TRUE(again.next().starts_with("Failure 8")) << "the ack is not sent twice";
  EXPECT_EQ(log_.count("release 7"), 1u);
}

TEST_P(BackendSdkReconnectTest, AnOperationThatComesAgainIsHandedOverOnce) {
  std::optional<PendingAnswer> owed;
  ScriptedPeer peer = joined([&](Request& request) { owed = request.defer(); });
  peer.release(7);
  EXPECT_EQ(log_.wait_for("handled"), "handled 7");
  peer.close();
  ScriptedPeer again = broker_->accept();
  (void)again.welcome(2);
  again.release(7);
  again.quiesce(8);
  EXPECT_TRUE(again.next().starts_with("Failure 8"));
  owed->ack();
  EXPECT_EQ(again.next(), "Ack 7");
  EXPECT_EQ(log_.count("release 7"), 1u);
}

TEST_P(BackendSdkReconnectTest, RefusedItSaysWhyAndRegistersWhenTheReasonIsGone) {
  create();
  backend_->start();
  ScriptedPeer peer = broker_->accept();
  (void)peer.next();
  peer.refuse(RefusalCode::kDenied, "uid 7 may not register zccache", 1ms);
  const std::string state = log_.wait_for("refused");
  EXPECT_NE(state.find("uid 7 may not register zccache"), std::string::npos) << state;
  EXPECT_EQ(backend_->state(), ConnectionState::kRefused);
  EXPECT_EQ(peer.next(), "closed");
  EXPECT_EQ(broker_->accept().welcome(3), "Register zccache 1.4.2");
  EXPECT_EQ(log_.wait_for("registered"), "registered 3");
}

TEST_P(BackendSdkReconnectTest, AReplacedBackendReturnsWhenTheOtherIsGone) {
  ScriptedPeer peer = joined([](Request&) {});
  auto newer = std::make_unique<Backend>(options());
  newer->start();
  ScriptedPeer second = broker_->accept();
  (void)second.welcome(2);
  peer.send(wire::encode(0, Refusal{RefusalCode::kReplaced, "by pid 12", 1ms}, false));
  EXPECT_NE(log_.wait_for("refused").find("by pid 12"), std::string::npos);
  newer.reset();
  EXPECT_EQ(second.next(), "Deregister");
  EXPECT_EQ(broker_->accept().next(), "Register zccache 1.4.2");
}

TEST_P(BackendSdkReconnectTest, ABrokerThatLostItsStateHasEachBroadcastRun) {
  ScriptedPeer peer = joined([](Request&) {});
  peer.release(1);
  EXPECT_EQ(peer.next(), "Ack 1");
  for (const char* epoch : {"another epoch 16", "one more epoch 16", ""}) {
    peer.close();
    peer = broker_->accept();
    peer.belongs_to(epoch);
    (void)peer.welcome(1);
    peer.release(1);
    EXPECT_EQ(peer.next(), "Ack 1");
  }
  EXPECT_EQ(log_.count("release 1"), 4u);
}

TEST_P(BackendSdkReconnectTest, RefusedForNowItComesBack) {
  create();
  backend_->start();
  ScriptedPeer peer = broker_->accept();
  (void)peer.next();
  peer.refuse(RefusalCode::kQuota, "too many", 1ms);
  EXPECT_TRUE(log_.wait_for("refused").ends_with("too many"));
  EXPECT_EQ(broker_->accept().welcome(), "Register zccache 1.4.2");
}

TEST_P(BackendSdkReconnectTest, GarbageFromTheBrokerEndsThatConnectionOnly) {
  const std::string too_long("\x01\xff\xff\xff\x7f", 5);
  const std::string no_frame("\x01\x03\x00\x00\x00\xff\xff\xff", 8);
  for (const std::string& garbage : {std::string("HTTP/1.1 400"), too_long, no_frame}) {
    if (!backend_) {
      create();
      backend_->start();
    }
    ScriptedPeer peer = broker_->accept();
    (void)peer.welcome();
    peer.send(garbage);
    const std::string state = log_.wait_for("connecting");
    EXPECT_NE(state.find("does not keep to the protocol"), std::string::npos) << state;
    EXPECT_EQ(peer.next(), "closed");
  }
  EXPECT_EQ(broker_->accept().welcome(), "Register zccache 1.4.2");
}

TEST_P(BackendSdkReconnectTest, AFullBacklogIsTriedAgain) {
  broker_.reset();
  broker_ = std::make_unique<ScriptedBroker>(dir_.path(), 0);
  const std::string path = dir_ / "backend.sock";
  std::vector<net::UnixConnection> crowd;
  do crowd.push_back(net::connect_unix(path));
  while (!crowd.back().error);
  EXPECT_EQ(crowd.back().error, std::errc::resource_unavailable_try_again);
  create();
  backend_->start();
  EXPECT_TRUE(log_.wait_for("connecting").starts_with("connecting: there is no broker"));
  for (std::size_t i = 0; i + 1 < crowd.size(); ++i) (void)broker_->accept();
  EXPECT_EQ(broker_->accept().welcome(), "Register zccache 1.4.2");
}

}  // namespace
}  // namespace muster::test
