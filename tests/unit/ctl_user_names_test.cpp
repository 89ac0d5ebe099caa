// Names of users, and a name service that does not answer.
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "musterctl/user_names.h"

namespace muster::ctl {
namespace {

using namespace std::chrono_literals;

TEST(UserNames, AreAskedForOnce) {
  auto calls = std::make_shared<std::atomic<int>>(0);
  const UserName name = bounded_user_names(
      [calls](uid_t uid) {
        ++*calls;
        return uid == 1000 ? "alice" : "";
      },
      1h);
  EXPECT_EQ(name(1000) + name(1000) + name(7) + name(7), "alicealice");
  EXPECT_EQ(calls->load(), 2);
}

TEST(UserNames, ThatDoNotComeAreLeftOutWithoutWaitingAgain) {
  auto gate = std::make_shared<std::promise<void>>();
  auto done = std::make_shared<std::promise<void>>();
  auto calls = std::make_shared<std::atomic<int>>(0);
  const UserName name = bounded_user_names(
      [=, open = gate->get_future().share()](uid_t uid) {
        ++*calls;
        if (uid == 7) return std::string("bob");
        open.wait();
        done->set_value();
        return std::string("late");
      },
      20ms);
  EXPECT_EQ(name(7), "bob");
  EXPECT_EQ(name(1000), "");
  // Nobody else is asked: their names would not come either.
  EXPECT_EQ(name(1001), "");
  EXPECT_EQ(name(7), "bob");
  EXPECT_EQ(calls->load(), 2);
  gate->set_value();
  done->get_future().wait();
}

TEST(UserNames, OfAnOperatorAreShownAsFarAsTheyAreKnown) {
  const UserName name = [](uid_t uid) { return uid == 0 ? "root" : ""; };
  EXPECT_EQ(shown_operator({0, 4711, "musterctl"}, name), "root (uid 0), pid 4711, musterctl");
  EXPECT_EQ(shown_operator({7, 0, "a\x1b"}, name), "uid 7, a\\x1b");
}

}  // namespace
}  // namespace muster::ctl
