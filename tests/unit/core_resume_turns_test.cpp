// Quiesces of many backends that end in turns: each as it stood when they began to end.
#include <string>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/backend_list.h"
#include "core/broker.h"
#include "support/keeping_shell.h"

namespace muster::core {
namespace {

using ::testing::ElementsAre;

class CoreResumeTurnsTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kBackends = 20;

  void SetUp() override {
    for (std::uint32_t i = 1; i <= kBackends; ++i) {
      const ConnectionId id{i, 1};
      ASSERT_TRUE(broker.connection_opened(id, {{static_cast<pid_t>(i), 1}, 0, 0}, now));
      Registration registration;
      registration.key = {Instance::shared(), "s" + std::to_string(i), "1.0.0", ""};
      broker.registration(id, 1, std::move(registration), now);
    }
  }
  BroadcastId quiesce() {
    BroadcastRequest request;
    request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
    return std::get<Started>(broker.start_broadcast(std::move(request), now)).id;
  }
  void all_ack(BroadcastId id) {
    for (std::uint32_t i = 1; i <= kBackends; ++i) broker.acked({i, 1}, id, {}, now);
  }
  // As short as a turn may be.
  bool one_turn(ResumeWork& work) {
    return broker.resume_on(work, now, [] { return true; });
  }
  void all_turns(ResumeWork& work) {
    while (one_turn(work)) {
    }
  }
  [[nodiscard]] std::vector<std::string> quiesced() const {
    std::vector<std::string> names;
    for (const BackendInfo& info : broker.backends({})) {
      if (!info.quiesced) continue;
      names.push_back(info.key.service_name + " by " + std::to_string(info.quiesced->broadcast));
    }
    return names;
  }

  Now now{SteadyTime(std::chrono::hours(1)), 1};
  test::KeepingShell shell;
  Broker broker{{}, shell};
};

TEST_F(CoreResumeTurnsTest, EachTurnEndsSomeAndTheLastOneTheRest) {
  all_ack(quiesce());
  ResumeWork work = broker.begin_resume(0, SelectionWork({}));
  std::size_t before = kBackends;
  int turns = 1;
  for (; one_turn(work); ++turns) {
    EXPECT_LT(quiesced().size(), before);
    EXPECT_GT(quiesced().size(), 0U);
    before = quiesced().size();
  }
  EXPECT_GT(turns, 2);
  EXPECT_THAT(quiesced(), ElementsAre());
  EXPECT_EQ(work.done, (Resumed{kBackends, 0, 0, 0}));
}

TEST_F(CoreResumeTurnsTest, WhatHappensBetweenTheTurnsCounts) {
  all_ack(quiesce());
  ResumeWork work = broker.begin_resume(0, SelectionWork({}));
  ASSERT_TRUE(one_turn(work));
  const std::uint32_t after = kBackends - static_cast<std::uint32_t>(quiesced().size());
  ASSERT_LT(after, 10U);
  // One leaves, one dies, one disconnects, one acks another quiesce, and one that resumed does so.
  broker.deregister({11, 1}, 2, now);
  broker.process_exited({12, 1}, now);
  broker.connection_lost({13, 1}, LossCause::kClosed, now);
  const BroadcastId second = quiesce();
  broker.acked({14, 1}, second, {}, now);
  broker.acked({1, 1}, second, {}, now);
  all_turns(work);
  EXPECT_THAT(quiesced(),
              ElementsAre("s1 by " + std::to_string(second), "s14 by " + std::to_string(second)));
  EXPECT_EQ(work.done.away, 1U);
  EXPECT_EQ(work.done.still_quiesced, 1U);
  EXPECT_EQ(work.done.cannot_resume, 0U);
}

TEST_F(CoreResumeTurnsTest, OneOfSeveralEndsByItsOwnIdAlone) {
  const BroadcastId first = quiesce();
  all_ack(first);
  ResumeWork work = broker.begin_resume(first, SelectionWork({}));
  ASSERT_TRUE(one_turn(work));
  const BroadcastId second = quiesce();
  broker.acked({kBackends, 1}, second, {}, now);
  all_turns(work);
  EXPECT_THAT(quiesced(), ElementsAre("s20 by " + std::to_string(second)));
  EXPECT_EQ(work.done, (Resumed{kBackends - 1, 0, 0, 1}));
  EXPECT_EQ(broker.resume(second, {}, now), (Resumed{1, 0, 0, 0}));
  EXPECT_THAT(quiesced(), ElementsAre());
}

}  // namespace
}  // namespace muster::core
