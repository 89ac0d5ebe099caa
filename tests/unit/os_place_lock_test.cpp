// One broker for each place: told from whoever else takes its addresses.
#include <filesystem>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/place_lock.h"
#include "support/child.h"
#include "support/temp_dir.h"

namespace muster::os {
namespace {

using ::testing::HasSubstr;
using Use = PlaceLock::Use;

constexpr uid_t kNobody = 65534;

class PlaceLockTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path place() const { return dir_ / "s"; }

  test::TempDir dir_;
};

TEST_F(PlaceLockTest, HasOneHolderAsLongAsThatLives) {
  auto first = PlaceLock::take(place(), Use::kSockets);
  EXPECT_TRUE(first.lock);
  EXPECT_EQ(first.holder, std::nullopt);
  EXPECT_EQ(first.warning, "");
  const auto second = PlaceLock::take(place(), Use::kSockets);
  EXPECT_FALSE(second.lock);
  EXPECT_EQ(second.holder, ::getpid());
  first.lock = {};
  EXPECT_TRUE(PlaceLock::take(place(), Use::kSockets).lock);
}

TEST_F(PlaceLockTest, IsOfOneDirectoryAndOneUse) {
  const auto first = PlaceLock::take(place(), Use::kSockets);
  EXPECT_TRUE(PlaceLock::take(place(), Use::kState).lock);
  EXPECT_TRUE(PlaceLock::take(dir_ / "t", Use::kSockets).lock);
  EXPECT_TRUE(PlaceLock::take(dir_.path(), Use::kSockets).lock);
}

TEST_F(PlaceLockTest, IsGoneWithAKilledHolder) {
  test::Child broker([&](test::Child::Side& side) {
    const auto taken = PlaceLock::take(place(), Use::kSockets);
    side.say(taken.lock ? "taken" : "not taken");
    side.wait_to_be_told();
  });
  ASSERT_EQ(broker.hear(), "taken");
  EXPECT_EQ(PlaceLock::take(place(), Use::kSockets).holder, broker.pid());
  broker.kill();
  broker.reap();
  EXPECT_TRUE(PlaceLock::take(place(), Use::kSockets).lock);
}

TEST_F(PlaceLockTest, AnybodyMayLookAsOftenAsTheyWant) {
  auto first = PlaceLock::take(place(), Use::kSockets);
  for (int i = 0; i < 10'000; ++i) {
    if (i % 1000 == 0) first.lock.let_go_of_others();
    ASSERT_EQ(PlaceLock::take(place(), Use::kSockets).holder, ::getpid()) << i;
  }
}

// Addresses of this kind belong to nobody: any user can listen there.
TEST_F(PlaceLockTest, AnotherUserWhoTakesTheAddressesKeepsNoBrokerFromStarting) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be two users";
  test::Child other([&](test::Child::Side& side) {
    if (::setresuid(kNobody, kNobody, kNobody) != 0) return;
    auto taken = PlaceLock::take(place(), Use::kSockets);
    side.say(taken.lock ? "taken" : "not taken");
    side.wait_to_be_told();
  });
  ASSERT_EQ(other.hear(), "taken");
  const auto first = PlaceLock::take(place(), Use::kSockets);
  EXPECT_TRUE(first.lock);
  EXPECT_EQ(first.holder, std::nullopt);
  EXPECT_EQ(first.warning, "the process (pid " + std::to_string(other.pid()) +
                               ") of uid 65534 pretends to be a broker of " + place().native() +
                               ": find out why");
  // And it is seen behind the other.
  EXPECT_EQ(PlaceLock::take(place(), Use::kSockets).holder, ::getpid());
}

TEST_F(PlaceLockTest, TheOwnerOfTheDirectoryIsNoOtherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be two users";
  std::filesystem::create_directory(place());
  ASSERT_EQ(::chown(place().c_str(), kNobody, kNobody), 0);
  test::Child broker([&](test::Child::Side& side) {
    if (::setresuid(kNobody, kNobody, kNobody) != 0) return;
    const auto taken = PlaceLock::take(place(), Use::kSockets);
    side.say(taken.lock ? "taken" : "not taken");
    side.wait_to_be_told();
  });
  ASSERT_EQ(broker.hear(), "taken");
  EXPECT_EQ(PlaceLock::take(place(), Use::kSockets).holder, broker.pid());
}

}  // namespace
}  // namespace muster::os
