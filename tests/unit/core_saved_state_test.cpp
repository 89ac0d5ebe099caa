// The core is saved, destroyed and restored in the middle of something: what comes after is as if
// nothing had happened. (The simulator does so at random steps.)
#include <gtest/gtest.h>

#include "simulator/scenario_test.h"

namespace muster::simulator {
namespace {

class CoreSavedStateTest : public ScenarioTest {};

TEST_F(CoreSavedStateTest, AnAckAfterItCountsForTheBroadcastBeforeIt) {
  auto& s = with_two();
  s.release(1);
  s.acks(1, 1);
  s.step(StepKind::kSave);
  s.acks(2, 1);
  EXPECT_EQ(s.report(1), "finished: release-handles /mnt/a: acked alpha 1.0.0, beta 1.0.0");
}

TEST_F(CoreSavedStateTest, ATimeToAnswerGoesOn) {
  auto& s = with_two();
  s.release(1, 1000);
  s.pass_ms(400);
  s.step(StepKind::kSave);
  s.pass_ms(599);
  EXPECT_EQ(s.fire_due(), 0);
  s.pass_ms(1);
  EXPECT_EQ(s.fire_due(), 2);
  EXPECT_EQ(
      s.report(1),
      "finished: release-handles /mnt/a: timed out alpha 1.0.0 (1000 ms), beta 1.0.0 (1000 ms)");
}

TEST_F(CoreSavedStateTest, WhoIsAwayMayComeBack) {
  auto& s = with_two();
  s.release(1);
  s.hangs_up(1);
  s.step(StepKind::kSave);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 reconnecting (connection closed), beta 1.0.0 live");
  s.join(3, 1, kAlpha);
  EXPECT_EQ(s.reads(3), "registered, operation 1");
  s.acks(3, 1);
  s.acks(2, 1);
  EXPECT_EQ(s.backends(), "alpha 1.0.0 live, beta 1.0.0 live");
}

}  // namespace
}  // namespace muster::simulator
