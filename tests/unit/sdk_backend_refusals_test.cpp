// What a backend tells the broker of the refusals of its own connections.
#include <chrono>
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "support/backend_core_fixture.h"

namespace muster::test {
namespace {

// What it says in its next Register of the refusals before. A Refused that answers a Register has
// its id, which is not 0.
class BackendCoreRefusalsTest : public BackendCoreTest {
 protected:
  std::string register_after(RefusalCode code, std::uint64_t id) {
    says(id, Refusal{code, "because", std::chrono::milliseconds(1)});
    (void)happened();
    fires(BackendPort::Timer::kRetry);
    return happened();
  }
  static std::string refused_before(int count) {
    const std::string said = count == 0 ? "" : " refused before " + std::to_string(count);
    return "connect; > Register zccache 1.0.0" + said;
  }
};

TEST_F(BackendCoreRefusalsTest, AreCountedWhereTheBrokerDoesNotKnowTheKey) {
  start();
  EXPECT_EQ(happened(), refused_before(0)) << "it says that there was none";
  EXPECT_EQ(register_after(RefusalCode::kQuota, 0), refused_before(1));
  EXPECT_EQ(register_after(RefusalCode::kTooSlow, 0), refused_before(2));
  EXPECT_EQ(register_after(RefusalCode::kProtocol, 0), refused_before(3));
  EXPECT_EQ(register_after(RefusalCode::kProtocol, 7), refused_before(4));
  EXPECT_EQ(register_after(RefusalCode::kInvalid, 7), refused_before(5));
  EXPECT_EQ(register_after(RefusalCode::kDenied, 0), refused_before(5)) << "it may not connect";
  connection_ends();
  fires(BackendPort::Timer::kRetry);
  EXPECT_EQ(happened(), refused_before(5)) << "nobody refused it";
}

TEST_F(BackendCoreRefusalsTest, BeginAnewWhenTheBrokerKnowsTheKeyOrIsGone) {
  start();
  (void)happened();
  for (const RefusalCode code : {RefusalCode::kQuota, RefusalCode::kDenied}) {
    EXPECT_EQ(register_after(RefusalCode::kQuota, 0), refused_before(1));
    EXPECT_EQ(register_after(code, 7), refused_before(0)) << to_string(code);
  }
  EXPECT_EQ(register_after(RefusalCode::kQuota, 0), refused_before(1));
  EXPECT_EQ(register_after(RefusalCode::kShuttingDown, 0), refused_before(0));
  EXPECT_EQ(register_after(RefusalCode::kQuota, 0), refused_before(1));
  registered();
  // What ends a connection that is registered is none of them.
  for (const RefusalCode code : {RefusalCode::kProtocol, RefusalCode::kQuota}) {
    EXPECT_EQ(register_after(code, 0), refused_before(0)) << to_string(code);
    registered();
  }
}

}  // namespace
}  // namespace muster::test
