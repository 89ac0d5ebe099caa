// Operation keys: how many a user may have, and how much they may be.
#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "core/operation_keys.h"

namespace muster::core {
namespace {

UsedKey used_key(uid_t uid, std::size_t number, std::size_t bytes) {
  UsedKey key;
  key.uid = uid;
  key.key = std::to_string(number);
  key.broadcast = number + 1;
  key.request = std::string(bytes, 'r');
  return key;
}

TEST(CoreOperationKeysTest, AUserHasRoomUntilItsNumberOrItsBytesAreUsed) {
  constexpr uid_t kMany = 1;
  constexpr uid_t kLong = 2;
  OperationKeys keys;
  std::size_t many = 0;
  for (; keys.has_room(kMany); ++many) keys.add(used_key(kMany, many, 10), {});
  EXPECT_EQ(many, OperationKeys::kMaxPerUser);
  std::size_t long_ones = 0;
  for (; keys.has_room(kLong); ++long_ones) {
    keys.add(used_key(kLong, long_ones, OperationKeys::kMaxRequestText), {});
  }
  EXPECT_EQ(long_ones, OperationKeys::kMaxBytesPerUser / OperationKeys::kMaxRequestText + 1);
  EXPECT_TRUE(keys.has_room(3)) << "each user by itself";

  keys.add(used_key(kLong, 0, 7), {});  // there already: nothing changes
  keys.remove(kLong, "0");
  EXPECT_TRUE(keys.has_room(kLong));
  keys.add(used_key(kLong, 0, OperationKeys::kMaxRequestText), {});
  EXPECT_FALSE(keys.has_room(kLong));
  keys.expire(SteadyTime(std::chrono::seconds(1)), [](BroadcastId) { return false; });
  EXPECT_TRUE(keys.has_room(kLong));
  EXPECT_TRUE(keys.has_room(kMany));
  EXPECT_EQ(keys, OperationKeys()) << "all shares are given back";
}

}  // namespace
}  // namespace muster::core
