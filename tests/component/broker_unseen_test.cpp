// Backends of a roster that was written in another pid or time namespace: nothing tells whether
// their processes run. Real sockets and processes.
#include <list>
#include <string>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "component/broker_fixture.h"
#include "support/key_of.h"

namespace muster::test {
namespace {

constexpr const char* kUnseenWhy =
    "its process cannot be seen: the broker runs in another pid namespace than when it registered";

class UnseenTest : public BrokerFixture {
 protected:
  void SetUp() override {
    BrokerFixture::SetUp();
    options_.core.restart_grace = kNeverFires;
    start();
  }
  void TearDown() override {
    children_.clear();
    BrokerFixture::TearDown();
  }

  [[nodiscard]] broker::RosterBackend unseen(const std::string& service,
                                             const std::string& replica = {}) const {
    broker::RosterBackend backend;
    backend.registration.key = key_of(service);
    backend.registration.key.replica = replica;
    backend.uid = ::geteuid();
    backend.gid = ::getegid();
    backend.pid = 1;  // in its own namespace: here it is somebody else
    backend.start_ticks = 1;
    backend.is_unseen = true;
    return backend;
  }
  void expect(broker::RosterBackend backend) {
    EXPECT_EQ(server_->expect(std::move(backend)), broker::Expected::kYes);
  }
  // Another process that registers `service`.
  Child& process(const std::string& service) {
    Child& child = children_.emplace_back([this, service](Child::Side& side) {
      auto backend = join_from(side, socket(), service);
      side.wait_to_be_told();
    });
    EXPECT_EQ(heard_from(child), "registered");
    return child;
  }
  static std::string is(const std::string& state, const std::string& key) {
    return state + ' ' + key + " (" + kUnseenWhy + ')';
  }

  std::list<Child> children_;
};

TEST_F(UnseenTest, OneThatDoesNotComeIsLostUntilItIsForgotten) {
  options_.core.restart_grace = kFires;
  start();
  expect(unseen("cache"));
  EXPECT_EQ(backends(), is("reconnecting", "cache 1.0.0"));
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendLost));
  EXPECT_EQ(backends(), is("lost", "cache 1.0.0"));
  for (int again = 0; again < 2; ++again) {
    const auto id = release_handles("/c");
    EXPECT_EQ(result(id), "release-handles /c: failed cache 1.0.0 (backend error)");
    EXPECT_EQ(outcome(id, "cache").detail, std::string(kUnseenWhy) + "; it may still run");
    EXPECT_EQ(outcome(id, "cache").cause, Cause::kUnseen);
    EXPECT_EQ(outcome(id, "cache").pid, 0);
  }
  const auto problems = [&] {
    BrokerStatus status;
    core().fill_status(status);
    return status.problems;
  };
  EXPECT_THAT(problems(), ::testing::ElementsAre(::testing::HasSubstr("1 backends of an earlier")));
  EXPECT_FALSE(core().forget(key_of("cache"), server_->now()));
  EXPECT_THAT(problems(), ::testing::IsEmpty());
  EXPECT_EQ(backends(), "");
  EXPECT_EQ(result(release_handles("/c")), "release-handles /c: nobody");
}

TEST_F(UnseenTest, TheNextProcessOfItsUserWithItsKeyTakesItsPlaceAndIsAskedWhatIsOpen) {
  auto before = unseen("cache");
  core::Quiesce quiesce;
  quiesce.broadcast = 7;
  before.quiesced.reserve();
  before.quiesced.add(quiesce);
  expect(std::move(before));
  expect(unseen("other"));
  const auto id = release_handles("/c");
  auto& cache = join("cache");
  EXPECT_EQ(cache.hears(), "operation " + std::to_string(id) + ": release-handles /c");
  cache.acks(id);
  EXPECT_EQ(backends(), "live cache 1.0.0, " + is("reconnecting", "other 1.0.0"));
  EXPECT_FALSE(core().backends({}).front().quiesced) << "that is not known of this process";
  EXPECT_TRUE(core().forget_unseen(server_->now()));
  EXPECT_EQ(result(id),
            "release-handles /c: acked cache 1.0.0; failed other 1.0.0 (backend error)");
  EXPECT_FALSE(core().forget_unseen(server_->now())) << "there is none any more";
  EXPECT_EQ(backends(), "live cache 1.0.0");
}

TEST_F(UnseenTest, OneThatIsLostGivesUpItsPlaceToo) {
  options_.core.restart_grace = kFires;
  start();
  expect(unseen("cache"));
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendLost));
  join("cache");
  EXPECT_EQ(backends(), "live cache 1.0.0");
}

// Two processes with one key, and one that was refused: their marks are pids of another namespace.
TEST_F(UnseenTest, EachProcessWithItsKeyTakesThePlaceOfOneOfThem) {
  auto refused = unseen("cache", "~9");
  refused.refused = Cause::kRefusedQuota;
  expect(unseen("cache"));
  expect(unseen("cache", "~7"));
  expect(std::move(refused));
  const auto open = [&] {
    std::size_t count = 0;
    for (const BackendInfo& one : core().backends({})) count += one.cause == Cause::kUnseen ? 1 : 0;
    return count;
  };
  EXPECT_EQ(open(), 3U);
  for (std::size_t left = 3; left > 0; --left) {
    process("cache");
    EXPECT_EQ(open(), left - 1);
  }
  EXPECT_EQ(core().backends({}).size(), 3U);
  process("cache");
  EXPECT_EQ(core().backends({}).size(), 4U) << "nobody is left to take the place of";
}

TEST_F(UnseenTest, AProcessThatConnectsAgainTakesNoSecondPlace) {
  expect(unseen("cache"));
  expect(unseen("cache", "~7"));
  for (int again = 0; again < 3; ++again) join("cache");
  EXPECT_EQ(backends(), "live cache 1.0.0, " + is("reconnecting", "cache 1.0.0 #~7"));
}

TEST_F(UnseenTest, NorDoesOneThatLeftAndRegistersAgain) {
  expect(unseen("cache"));
  expect(unseen("cache", "~7"));
  for (int again = 0; again < 3; ++again) {
    auto& cache = join("cache");
    EXPECT_THAT(backends(), ::testing::HasSubstr("live cache 1.0.0"));
    EXPECT_THAT(backends(), ::testing::HasSubstr(is("reconnecting", "cache 1.0.0 #~7")));
    cache.deregisters(9);
    EXPECT_EQ(cache.hears(), "deregistered");
  }
  EXPECT_EQ(backends(), is("reconnecting", "cache 1.0.0 #~7"));
  process("cache");
  EXPECT_THAT(backends(), ::testing::HasSubstr(is("reconnecting", "cache 1.0.0 #~7")))
      << "another process follows the one that left";
  process("cache");
  EXPECT_THAT(backends(), ::testing::Not(::testing::HasSubstr("#~7 (")))
      << "one more is the other one";
}

TEST_F(UnseenTest, AMarkAloneIsTakenByWhoeverHasTheKeyNow) {
  expect(unseen("cache", "~7"));
  join("cache");
  EXPECT_EQ(backends(), "live cache 1.0.0");
}

TEST_F(UnseenTest, ItsPlaceInTheQuotaIsFree) {
  options_.core.quotas.each.registrations = 1;
  start();
  expect(unseen("cache", "~7"));
  auto& cache = join("cache");
  EXPECT_EQ(backends(), "live cache 1.0.0");
  cache.closes();
}

TEST_F(UnseenTest, AnotherUserDoesNotTakeItsPlace) {
  auto others = unseen("cache");
  others.uid = ::geteuid() + 1;
  expect(std::move(others));
  auto marked = unseen("cache", "~7");
  marked.uid = ::geteuid() + 1;
  expect(std::move(marked));
  auto& newcomer = connect();
  newcomer.registers("cache");
  EXPECT_THAT(newcomer.hears(), ::testing::HasSubstr("denied"));
  std::size_t open = 0;
  for (const BackendInfo& one : core().backends({})) open += one.cause == Cause::kUnseen ? 1 : 0;
  EXPECT_EQ(open, 2U);
}

// One that is refused now is listed with a mark of its own.
TEST_F(UnseenTest, AProcessThatIsRefusedAgainIsNotListedTwice) {
  auto holder = unseen("cache");
  holder.uid = ::geteuid() + 1;
  expect(std::move(holder));
  auto refused = unseen("cache", "~9");
  refused.refused = Cause::kRefusedKey;
  expect(std::move(refused));
  expect(unseen("cache", "~8"));
  for (int again = 0; again < 3; ++again) {
    auto& newcomer = connect();
    newcomer.registers("cache");
    EXPECT_THAT(newcomer.hears(), ::testing::HasSubstr("denied"));
  }
  std::size_t open = 0;
  for (const BackendInfo& one : core().backends({})) open += one.cause == Cause::kUnseen ? 1 : 0;
  EXPECT_EQ(open, 2U) << backends();
  EXPECT_EQ(core().backends({}).size(), 3U) << backends();
}

}  // namespace
}  // namespace muster::test
