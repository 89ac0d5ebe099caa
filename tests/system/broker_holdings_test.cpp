// That the look at what a broker holds would see a leak.
#include "support/broker_holdings.h"

#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

TEST_F(MusterdTest, WhatItHoldsForAPeerIsSeenUntilThatPeerIsGone) {
  const Process broker = start();
  const BrokerHoldings holdings(sockets());
  EXPECT_EQ(holdings.leaked(), "");
  {
    const TestBackend backend = join("stays");
    EXPECT_THAT(holdings.leaked(std::chrono::milliseconds(0)),
                testing::ContainsRegex("descriptor [0-9]+: socket:"));
  }
  EXPECT_EQ(holdings.leaked(), "");
}

}  // namespace
}  // namespace muster::test
