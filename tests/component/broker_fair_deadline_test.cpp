// An answer that lay in its socket before its deadline counts, however many did and whatever kept
// the broker from reading them.
#include <string>

#include "component/broker_fixture.h"

namespace muster::test {
namespace {

class FairDeadlineTest : public BrokerFixture {};

void wait_until_passed(std::chrono::steady_clock::time_point when) {
  while (std::chrono::steady_clock::now() <= when) {
  }
}

TEST_F(FairDeadlineTest, EverybodyWhoAnsweredWhileTheBrokerStoodStillIsAmongTheAcks) {
  constexpr std::size_t kMany = 1'300;  // more than two batches
  for (std::size_t i = 0; i < kMany; ++i) join("s" + std::to_string(i));
  const auto started = std::chrono::steady_clock::now();
  const auto id = release_handles("/cache", kFires);
  for (TestBackend& backend : backends_) backend.acks(id);
  wait_until_passed(started + 2 * kFires);
  ASSERT_TRUE(run_until([&] { return !is_running(id); }));
  EXPECT_EQ(report(id).result.acks.size(), kMany);
}

TEST_F(FairDeadlineTest, AnAnswerBehindMuchElseCountsToo) {
  TestBackend& backend = join("talkative");
  for (int i = 0; i < 600; ++i) join("s" + std::to_string(i));
  std::string much;  // more than one read takes
  while (much.size() < 150'000) much += wire::encode(0, Activity{});
  const auto started = std::chrono::steady_clock::now();
  const auto id = release_handles("/cache", kFires);
  backend.send(much + wire::encode(id, Ack{}));
  wait_until_passed(started + 2 * kFires);
  ASSERT_TRUE(run_until([&] { return !is_running(id); }));
  EXPECT_EQ(outcome(id, "talkative").outcome, OutcomeKind::kAck);
}

}  // namespace
}  // namespace muster::test
