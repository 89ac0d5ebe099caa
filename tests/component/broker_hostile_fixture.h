// A broker with trouble on one connection, and a witness on another that must not notice.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>

#include "component/broker_fixture.h"

namespace muster::test {

class HostileTest : public BrokerFixture {
 protected:
  void SetUp() override {
    BrokerFixture::SetUp();
    witness_ = &join("witness");
  }
  void TearDown() override {
    // Whatever a test did, others are not disturbed.
    const auto id = release_handles("/still/works");
    for (std::string heard;
         heard != "operation " + std::to_string(id) + ": release-handles /still/works";) {
      heard = witness_->hears();
      ASSERT_THAT(heard, ::testing::StartsWith("operation"));
    }
    witness_->acks(id);
    ASSERT_TRUE(run_until([&] { return outcome(id, "witness").outcome == OutcomeKind::kAck; }));
    BrokerFixture::TearDown();
  }

  // What a new connection that sends `bytes` is told until its end.
  std::vector<std::string> answers_to(std::string_view bytes) {
    TestBackend& peer = connect();
    peer.send(bytes);
    return rest_of(peer);
  }
  static std::vector<std::string> rest_of(TestBackend& peer) {
    std::vector<std::string> heard;
    do {
      heard.push_back(peer.hears());
    } while (heard.back() != "end of stream" && heard.back() != "nothing" && heard.size() < 5);
    return heard;
  }

  TestBackend* witness_ = nullptr;
};

}  // namespace muster::test
