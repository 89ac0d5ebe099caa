// Which backends a broadcast is repeated for.
#include <string>

#include <gtest/gtest.h>

#include "musterctl/retry.h"
#include "support/view_values.h"

namespace muster::ctl {
namespace {

using test::finished;
using test::outcome_of;

BackendKey key_named(const std::string& service, const std::string& version, Instance instance,
                     const std::string& replica) {
  BackendKey key;
  key.service_name = service;
  key.service_version = version;
  key.instance = std::move(instance);
  key.replica = replica;
  return key;
}

TEST(Retry, SelectsTheBackendAndNoOther) {
  const BackendKey key = key_named("zcc", "1.4.2", Instance::shared(), "");
  const Selection selection = selection_of_key(key);
  ASSERT_EQ(selection.size(), 1U);
  EXPECT_EQ(selection[0].to_string(), "service=zcc,version=1.4.2,instance=shared,replica=");
  EXPECT_TRUE(selects(selection, key, {}));
  const BackendKey others[] = {
      key_named("zccache", "1.4.2", Instance::shared(), ""),
      key_named("zcc", "1.4.20", Instance::shared(), ""),
      key_named("zcc", "1.4.2", Instance::private_to("soldr"), ""),
      key_named("zcc", "1.4.2", Instance::explicitly("shared"), ""),
      key_named("zcc", "1.4.2", Instance::shared(), "r2"),
  };
  for (const BackendKey& other : others) {
    EXPECT_FALSE(selects(selection, other, {})) << other.to_string();
  }
  const BackendKey full = key_named("a", "2.0.0-rc.1+b.5", Instance::private_to("b"), "r:1.x_y-z");
  EXPECT_TRUE(selects(selection_of_key(full), full, {}));
  EXPECT_FALSE(selects(selection_of_key(full), key, {}));
}

// Names that a newer broker may allow.
TEST(Retry, TakesNoNameForAPattern) {
  const BackendKey key = key_named("a*", "1.?", Instance::explicitly("[ab]"), "x\\y");
  EXPECT_TRUE(selects(selection_of_key(key), key, {}));
  EXPECT_FALSE(selects(selection_of_key(key),
                       key_named("ab", "1.?", Instance::explicitly("[ab]"), "x\\y"), {}));
  EXPECT_FALSE(selects(selection_of_key(key),
                       key_named("a*", "1.2", Instance::explicitly("[ab]"), "x\\y"), {}));
  EXPECT_FALSE(selects(selection_of_key(key),
                       key_named("a*", "1.?", Instance::explicitly("a"), "x\\y"), {}));
}

// A process that shared its key with another had a replica "~PID". When that one is gone it may
// have the key itself.
TEST(Retry, AsksAProcessWhoseKeyHasLostItsMark) {
  const Selection selection =
      selection_of_key(key_named("db", "1.0.0", Instance::shared(), "a~31697"));
  const auto asks = [&](const char* replica) {
    return selects(selection, key_named("db", "1.0.0", Instance::shared(), replica), {});
  };
  EXPECT_TRUE(asks("a~31697"));
  EXPECT_TRUE(asks("a"));
  EXPECT_TRUE(asks("a~99"));
  EXPECT_FALSE(asks("b"));
  EXPECT_FALSE(asks("ab"));
}

TEST(Retry, LeavesOutWhoAckedOrWasDead) {
  const BroadcastReport report = finished(
      BroadcastOperation::release_handles("/x"),
      {outcome_of("acked", 1, OutcomeKind::kAck), outcome_of("slow", 2, OutcomeKind::kTimeout),
       outcome_of("dead", 3, OutcomeKind::kSkippedDead),
       test::failure_of("no", 4, BroadcastFailureReason::kRejected, ""),
       outcome_of("newer", 5, kUnknownOutcome)});
  std::string services;
  for (const Selector& selector : selection_of_not_acked(report)) {
    services += selector.terms()[0].glob + ' ';
  }
  EXPECT_EQ(services, "slow no newer ");
  EXPECT_TRUE(selection_of_not_acked(
                  finished(report.result.operation, {outcome_of("a", 1, OutcomeKind::kAck)}))
                  .empty());
}

}  // namespace
}  // namespace muster::ctl
