// The registry: places, replacement, the dead and how long they are listed.
#include <string>

#include <gtest/gtest.h>

#include "core/registry.h"
#include "support/steady_second.h"

namespace muster::core {
namespace {

using test::at_second;

Now now(int seconds) { return {at_second(seconds), static_cast<std::uint64_t>(seconds) * 1000}; }

Enrolment enrolment(const std::string& service, int pid = 1) {
  Enrolment enrolment;
  enrolment.registration.key = {Instance::shared(), service, "1.0.0", ""};
  enrolment.peer.process = {pid, static_cast<std::uint64_t>(pid)};
  return enrolment;
}

class RegistryTest : public ::testing::Test {
 protected:
  EntryId put(const std::string& service, int pid = 1) {
    return registry.put(enrolment(service, pid));
  }
  EntryId put_dead(const std::string& service, int died) {
    const auto id = put(service);
    registry.mark_dead(id, now(died));
    return id;
  }
  // "a b(dead) c", in registration order.
  std::string listed() const {
    std::string text;
    registry.for_each([&](EntryId, const Entry& entry) {
      if (!text.empty()) text += ' ';
      text += entry.enrolment->key().service_name;
      if (entry.state == BackendState::kDead) text += "(dead)";
    });
    return text;
  }

  Registry registry;
};

TEST_F(RegistryTest, EntriesAreVisitedInRegistrationOrder) {
  put("c");
  put("a");
  put("b");
  EXPECT_EQ(listed(), "c a b");
}

TEST_F(RegistryTest, FindsByWholeKey) {
  const auto id = put("a");
  EXPECT_EQ(registry.find(enrolment("a").key()), id);
  EXPECT_EQ(registry.find(enrolment("b").key()), Registry::kNone);
  auto other = enrolment("a").registration.key;
  other.replica = "two";
  EXPECT_EQ(registry.find(other), Registry::kNone);
  other = enrolment("a").registration.key;
  other.instance = Instance::private_to("a");
  EXPECT_EQ(registry.find(other), Registry::kNone);
}

TEST_F(RegistryTest, AKeyThatRegistersAgainIsReplacedInItsPlace) {
  const auto first = put("a", 1);
  const auto order = registry.at(first).enrolment->order;
  put("b");
  const auto old = registry.at(first).enrolment;
  EXPECT_EQ(put("a", 2), first);
  EXPECT_EQ(listed(), "a b");
  EXPECT_EQ(registry.at(first).enrolment->order, order);
  EXPECT_EQ(registry.at(first).enrolment->peer.process.pid, 2);
  EXPECT_EQ(old->peer.process.pid, 1) << "what a report holds of the one before stays";
}

TEST_F(RegistryTest, ADeadKeyThatRegistersAgainLivesInItsPlace) {
  const auto id = put_dead("a", 5);
  put("b");
  EXPECT_EQ(listed(), "a(dead) b");
  EXPECT_EQ(put("a"), id);
  EXPECT_EQ(listed(), "a b");
  registry.evict_dead(0);
  EXPECT_EQ(listed(), "a b");
}

TEST_F(RegistryTest, ARemovedKeyComesBackAtTheEndWithAnOrderOfItsOwn) {
  const auto id = put("a");
  const auto order = registry.at(id).enrolment->order;
  put("b");
  registry.remove(id);
  EXPECT_EQ(listed(), "b");
  EXPECT_EQ(registry.find(enrolment("a").key()), Registry::kNone);
  const auto again = put("a");
  EXPECT_EQ(listed(), "b a");
  EXPECT_GT(registry.at(again).enrolment->order, order);
}

TEST_F(RegistryTest, TheLongestDeadAreEvictedFirst) {
  put_dead("a", 30);
  put_dead("b", 10);
  put("c");
  put_dead("d", 20);
  // Deaths are reported in the order in which they happen; here that is a, b, d.
  registry.evict_dead(2);
  EXPECT_EQ(listed(), "b(dead) c d(dead)");
  registry.evict_dead(2);
  EXPECT_EQ(listed(), "b(dead) c d(dead)");
  registry.evict_dead(0);
  EXPECT_EQ(listed(), "c");
}

TEST_F(RegistryTest, OneThatDiedTwiceInAMomentIsNotTakenForTheLongestDead) {
  put_dead("a", 10);
  const auto b = put("b");
  put_dead("a", 10);
  registry.mark_dead(b, now(10));
  put("a");
  put_dead("a", 10);  // three deaths of a at one time; the last came after that of b
  registry.evict_dead(1);
  EXPECT_EQ(listed(), "a(dead)");
}

TEST_F(RegistryTest, TheDeadExpireByAgeAndTheNextExpiryIsKnown) {
  put_dead("a", 10);
  put_dead("b", 20);
  EXPECT_EQ(registry.expire_dead(at_second(9)), at_second(10));
  EXPECT_EQ(listed(), "a(dead) b(dead)");
  EXPECT_EQ(registry.expire_dead(at_second(10)), at_second(20));
  EXPECT_EQ(listed(), "b(dead)");
  EXPECT_EQ(registry.expire_dead(at_second(20)), SteadyTime::max());
  EXPECT_EQ(listed(), "");
}

TEST_F(RegistryTest, OneThatCameBackDoesNotExpireForItsOldDeath) {
  put_dead("a", 10);
  put("a");
  EXPECT_EQ(registry.expire_dead(at_second(100)), SteadyTime::max());
  EXPECT_EQ(listed(), "a");
  put_dead("a", 200);
  EXPECT_EQ(registry.expire_dead(at_second(150)), at_second(200));
  EXPECT_EQ(listed(), "a(dead)");
}

TEST_F(RegistryTest, TheSlotOfOneThatWasRemovedIsNotTakenForIt) {
  const auto a = put_dead("a", 10);
  registry.remove(a);
  const auto b = put_dead("b", 10);
  EXPECT_EQ(b, a) << "slots are used again";
  put("b");
  registry.evict_dead(0);
  EXPECT_EQ(registry.expire_dead(at_second(1000)), SteadyTime::max());
  EXPECT_EQ(listed(), "b");
}

TEST_F(RegistryTest, HolesInTheOrderAreClosedAndTheOrderStays) {
  std::vector<EntryId> ids;
  for (int i = 0; i < 1000; ++i) ids.push_back(put("s" + std::to_string(i)));
  std::string left;
  for (int i = 0; i < 1000; ++i) {
    if (i % 10 != 3) {
      registry.remove(ids[static_cast<std::size_t>(i)]);
      continue;
    }
    if (!left.empty()) left += ' ';
    left += "s" + std::to_string(i);
  }
  EXPECT_EQ(listed(), left);
  EXPECT_LT(registry.size_hint(), 300u) << "at most every second place is a hole";
  for (int i = 3; i < 1000; i += 10) {
    EXPECT_EQ(registry.find(enrolment("s" + std::to_string(i)).key()),
              ids[static_cast<std::size_t>(i)]);
  }
  // Places are right after the move: removing takes the one that is meant.
  registry.remove(ids[3]);
  EXPECT_EQ(listed(), left.substr(3));
  put("new");
  EXPECT_EQ(listed(), left.substr(3) + " new");
}

TEST_F(RegistryTest, OneThatDiesAndComesBackForEverLeavesNothingBehind) {
  put_dead("stays", 1);
  for (int i = 2; i < 10'000; ++i) {
    put_dead("flaps", i);
    put("flaps");
  }
  registry.evict_dead(1);
  EXPECT_EQ(listed(), "stays(dead) flaps");
  EXPECT_EQ(registry.expire_dead(at_second(0)), at_second(1));
}

TEST_F(RegistryTest, OverTheNumberTheUserWithTheMostDeadLosesTheLongestDead) {
  const auto dies = [&](const std::string& service, uid_t uid, int when) {
    auto who = enrolment(service);
    who.peer.uid = uid;
    registry.mark_dead(registry.put(std::move(who)), now(when));
  };
  dies("quiet", 1, 1);
  for (int i = 0; i < 5; ++i) {
    dies("noisy-" + std::to_string(i), 2, 2 + i);
    registry.evict_dead(3);
  }
  EXPECT_EQ(listed(), "quiet(dead) noisy-3(dead) noisy-4(dead)");
  dies("other", 3, 7);
  registry.evict_dead(3);
  EXPECT_EQ(listed(), "quiet(dead) noisy-4(dead) other(dead)");
  registry.evict_dead(2);
  EXPECT_EQ(listed(), "noisy-4(dead) other(dead)") << "all have as many: the longest dead goes";
  put("noisy-4");
  dies("noisy-4", 4, 8);
  registry.evict_dead(1);
  EXPECT_EQ(listed(), "noisy-4(dead)");
  EXPECT_EQ(registry.expire_dead(at_second(7)), at_second(8));
  EXPECT_EQ(registry.expire_dead(at_second(8)), SteadyTime::max());
  EXPECT_EQ(listed(), "");
}

TEST_F(RegistryTest, ManyUsersDoNotPushOutWhatIsReservedForRoot) {
  const auto dies = [&](const std::string& service, uid_t uid, int second) {
    auto who = enrolment(service);
    who.peer.uid = uid;
    registry.mark_dead(registry.put(std::move(who)), now(second));
    registry.evict_dead(8);
  };
  dies("root-a", 0, 1);
  dies("root-b", 0, 2);
  for (int i = 0; i < 20; ++i) {
    dies("other-" + std::to_string(i), 54'321 + static_cast<uid_t>(i), 3 + i);
  }
  EXPECT_EQ(listed(),
            "root-a(dead) root-b(dead) other-14(dead) other-15(dead) other-16(dead) "
            "other-17(dead) other-18(dead) other-19(dead)");
  dies("root-c", 0, 30);  // more than a quarter
  EXPECT_EQ(listed(),
            "root-b(dead) other-14(dead) other-15(dead) other-16(dead) other-17(dead) "
            "other-18(dead) other-19(dead) root-c(dead)");
}

TEST_F(RegistryTest, TheDeadOfAllUsersExpireByTheirAgeAlone) {
  for (int i = 0; i < 6; ++i) {
    auto who = enrolment("s" + std::to_string(i));
    who.peer.uid = static_cast<uid_t>(i % 3);
    registry.mark_dead(registry.put(std::move(who)), now(i));
  }
  EXPECT_EQ(registry.expire_dead(at_second(3)), at_second(4));
  EXPECT_EQ(listed(), "s4(dead) s5(dead)");
  std::string counts;
  registry.for_each_with_dead([&](uid_t, std::size_t count) { counts += std::to_string(count); });
  EXPECT_EQ(counts, "11") << "a user without dead ones is not kept";
}

TEST(PeerTypeTest, AProcessIsItsPidAndUniqueWhateverItsUser) {
  const Peer peer{{10, 77}, 1000, 1000};
  EXPECT_TRUE(peer.same_process(peer));
  EXPECT_FALSE(peer.same_process({{10, 78}, 1000, 1000})) << "the pid was used again";
  EXPECT_FALSE(peer.same_process({{11, 77}, 1000, 1000}));
  EXPECT_TRUE(peer.same_process({{10, 77}, 1001, 1000})) << "it has dropped its privileges";
  const Peer unseen{{0, 77}, 1000, 1000};
  EXPECT_TRUE(unseen.same_process({{0, 77}, 1001, 1})) << "known by its pidfd";
  EXPECT_FALSE(unseen.same_process({{0, 78}, 1000, 1000}));
  EXPECT_FALSE(unseen.same_process({{0, 0}, 1000, 1000}));
  const Peer unknown{{0, 0}, 1000, 1000};
  EXPECT_FALSE(unknown.same_process({{0, 0}, 1000, 1000})) << "nothing tells it apart from others";
}

}  // namespace
}  // namespace muster::core
