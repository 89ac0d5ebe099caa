// Living processes that were refused, with real users: never a yes, until they are gone or asked.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/child.h"
#include "system/refused_fixture.h"

namespace muster::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(RefusedTest, OneWhoseKeyAnotherUserHasIsNamedUntilItExits) {
  Process broker = start_broker();
  Process owner(fake("cache"));
  owner.wait_for("registered");
  EXPECT_EQ(release().status, 0);
  Child holder = tries(kNobodyUid, "cache");
  ASSERT_THAT(holder.hear(), HasSubstr("denied"));
  const std::string pid = std::to_string(holder.pid());

  const Finished asked = release();
  EXPECT_EQ(asked.status, 1) << asked.out;
  EXPECT_THAT(asked.out, HasSubstr("1 of 2 acked"));
  EXPECT_THAT(asked.out, HasSubstr("not registered: another user's process has its key; process " +
                                   pid + " is running and was not asked"));
  EXPECT_EQ(ctl({"quiesce", "--select", "service=cache"}).status, 1);
  const Finished dry = release({"--dry-run"});
  EXPECT_EQ(dry.status, 1);
  EXPECT_THAT(dry.out, HasSubstr("would ask 1 backend; 1 would fail at once\n  ask   cache 1.0.0\n"
                                 "  fail  cache 1.0.0 #~" +
                                 pid +
                                 " (not registered: another user's process has its key; "
                                 "process " +
                                 pid + " is running and was not asked)\n"));
  EXPECT_EQ(release({"--select", "service=other"}).status, 5) << "it is selected by its key";
  const Finished listed = ctl({"backends"});
  EXPECT_THAT(listed.out, HasSubstr("#~" + pid));
  EXPECT_THAT(listed.out, HasSubstr("not registered: another user's process has its key"));
  EXPECT_THAT(ctl({"backends", "--json"}).out, HasSubstr("\"cause\":\"REFUSED_KEY\""));

  holder.tell();  // it tries again, in vain
  ASSERT_THAT(holder.hear(), HasSubstr("denied"));
  EXPECT_THAT(release().out, HasSubstr("1 of 2 acked"));
  holder.kill();
  holder.reap();
  EXPECT_THAT(broker.wait_for("refused process exited"),
              HasSubstr("backend=\"cache 1.0.0 #~" + pid + "\" pid=" + pid));
  EXPECT_THAT(ctl({"backends"}).out, Not(HasSubstr(pid)));
  EXPECT_EQ(release().status, 0);
}

TEST_F(RefusedTest, OneOverItsUsersQuotaIsNamedUntilItIsRegisteredAndAsked) {
  const Process broker = start_broker();
  Child first = tries(kNobodyUid, "first");
  ASSERT_EQ(first.hear(), "registered");
  Child second = tries(kNobodyUid, "second");
  ASSERT_THAT(second.hear(), HasSubstr("quota"));
  const Finished asked = release({"--select", "service=second"});
  EXPECT_EQ(asked.status, 1) << asked.out;
  EXPECT_THAT(
      asked.out,
      HasSubstr("not registered: its user has as many backends as its quota allows; process " +
                std::to_string(second.pid()) + " is running and was not asked"));
  first.kill();
  first.reap();
  for (std::string heard; heard != "registered"; heard = second.hear()) second.tell();
  const Finished listed = ctl({"backends", "--select", "service=second"});
  EXPECT_THAT(listed.out, HasSubstr("live"));
  EXPECT_THAT(listed.out, Not(HasSubstr("not registered")));
}

TEST_F(RefusedTest, TheNextBrokerKnowsOfItBeforeItTriesAgain) {
  auto broker = std::make_optional(start_broker());
  Process owner(fake("cache"));
  owner.wait_for("registered");
  Child holder = tries(kNobodyUid, "cache");
  ASSERT_THAT(holder.hear(), HasSubstr("denied"));
  // It is written after it was refused.
  const auto is_written = [&] {
    std::ifstream file(state() / "roster");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    return text.find('~' + std::to_string(holder.pid())) != std::string::npos;
  };
  while (!is_written()) {
  }
  broker->end(SIGKILL);
  broker.emplace(start_broker());
  const Finished asked = release();
  EXPECT_EQ(asked.status, 1) << asked.out;
  EXPECT_THAT(asked.out, HasSubstr("process " + std::to_string(holder.pid()) +
                                   " is running and was not asked"));
}

TEST_F(RefusedTest, IsForgottenUntilItTriesAgain) {
  const Process broker = start_broker();
  Process owner(fake("cache"));
  owner.wait_for("registered");
  Child holder = tries(kNobodyUid, "cache");
  ASSERT_THAT(holder.hear(), HasSubstr("denied"));
  const std::string key = "cache 1.0.0 #~" + std::to_string(holder.pid());
  EXPECT_EQ(ctl({"forget", key}).status, 0);
  EXPECT_EQ(release().status, 0);
  holder.tell();
  ASSERT_THAT(holder.hear(), HasSubstr("denied"));
  EXPECT_EQ(release().status, 1);
}

TEST_F(RefusedTest, OneThatWasRefusedBeforeItSaidWhoItIsMakesNoAnswerComplete) {
  Process broker = start_broker();
  Process owner(fake("cache"));
  owner.wait_for("registered");
  Process watch({program("musterctl"), "--socket-dir", sockets().native(), "watch"});
  watch.wait_for("watching");
  std::optional<Child> first(std::in_place, holds_connection());
  ASSERT_EQ(first->hear(), "connected");
  Child second(holds_connection());
  ASSERT_EQ(second.hear(), "connected");
  Child third = tries(kNobodyUid, "third");
  ASSERT_THAT(third.hear(), HasSubstr("quota"));
  const Finished asked = release({"--select", "service=cache"});
  EXPECT_EQ(asked.status, 1) << asked.out;
  EXPECT_THAT(asked.out, HasSubstr("1 of 1 acked"));
  EXPECT_THAT(asked.out, HasSubstr("`musterctl status` says why"));
  EXPECT_THAT(ctl({"status"}).out,
              HasSubstr("processes (1 of uid 65534) were refused before the broker knew which "
                        "backends they are"));
  // Whichever way somebody looks.
  const std::string clause = "; the broker does not know all backends";
  EXPECT_THAT(watch.wait_for("asked 1 backend"), HasSubstr(clause));
  EXPECT_THAT(watch.wait_for("finished: 1 of 1 acked"), HasSubstr(clause));
  EXPECT_THAT(broker.wait_for("broadcast finished"), HasSubstr(" backends_unknown=yes "));
  EXPECT_THAT(asked.err, HasSubstr("asked 1 backend" + clause));
  const Finished dry = release({"--dry-run", "--select", "service=cache"});
  EXPECT_EQ(dry.status, 1);
  EXPECT_THAT(dry.out, HasSubstr("the broker does not know all backends"));
  EXPECT_THAT(release({"--dry-run", "--json"}).out, HasSubstr("\"backends_unknown\":true"));
  const Finished detached = release({"--detach", "--json"});
  EXPECT_THAT(detached.out, HasSubstr("\"backends_unknown\":true"));
  EXPECT_THAT(release({"--detach"}).err, HasSubstr("which cannot end with exit status 0"));
  EXPECT_EQ(ctl({"result", "--wait"}).status, 1);
  first.reset();
  for (std::string heard; heard != "registered"; heard = third.hear()) third.tell();
  EXPECT_EQ(release({"--select", "service=cache"}).status, 0);
  EXPECT_EQ(release({"--dry-run"}).status, 0);
}

TEST_F(RefusedTest, OneWhoseRegisterIsNotValidMakesNoAnswerCompleteUntilItExits) {
  const Process broker = start_broker();
  Process owner(fake("cache"));
  owner.wait_for("registered");
  Child stranger = tries(kStranger, "Not Valid");
  ASSERT_THAT(stranger.hear(), HasSubstr("invalid"));
  EXPECT_EQ(release().status, 0) << "policy lets it register nothing";
  Child wrong = tries(kNobodyUid, "Not Valid");
  ASSERT_THAT(wrong.hear(), HasSubstr("invalid"));
  EXPECT_EQ(release().status, 1);
  wrong.kill();
  wrong.reap();
  while (release().status != 0) {
  }
}

TEST_F(RefusedTest, OneWithoutAKeyIsNotForgottenInACrash) {
  auto broker = std::make_optional(start_broker());
  Process owner(fake("cache"));
  owner.wait_for("registered");
  const auto has_marker = [&] {
    const auto begins = [](const auto& entry) {
      return entry.path().filename().native().starts_with("roster.refused-");
    };
    const std::filesystem::directory_iterator files(state());
    return std::any_of(begin(files), end(files), begins);
  };
  {
    Child wrong = tries(kNobodyUid, "Not Valid");
    ASSERT_THAT(wrong.hear(), HasSubstr("invalid"));
    while (!has_marker()) {
    }
  }
  while (has_marker()) {  // it has exited, and nothing is left to know of it
  }
  Child wrong = tries(kNobodyUid, "Not Valid");
  ASSERT_THAT(wrong.hear(), HasSubstr("invalid"));
  while (!has_marker()) {
  }
  broker->end(SIGKILL);
  broker.emplace(start_broker());
  owner.wait_for("registered");
  const Finished asked = release();
  EXPECT_EQ(asked.status, 1) << asked.out;
  EXPECT_THAT(ctl({"status"}).out, HasSubstr("refused backends that it did not list"));
  EXPECT_EQ(ctl({"forget", "--lost-roster"}).status, 0);
  EXPECT_EQ(release().status, 0);
}

TEST_F(RefusedTest, OneThatMayNotRegisterWhatIsSelectedDeniesNobodyItsYes) {
  const Process broker = start_broker();
  Process owner(fake("of-root"));
  owner.wait_for("registered");
  Child wrong = sends(kNobodyUid, "GET / HTTP/1.1\r\n\r\n");
  ASSERT_THAT(wrong.hear(), HasSubstr("protocol"));
  EXPECT_EQ(release({"--select", "service=of-root"}).status, 0);
  EXPECT_EQ(release({"--select", "service=of-root,version=1.*"}).status, 0);
  EXPECT_EQ(release({"--select", "service=of-*"}).status, 1) << "it might register another";
  EXPECT_EQ(release().status, 1);
}

TEST_F(RefusedTest, AStrangerDeniesNobodyItsYes) {
  const Process broker = start_broker();
  Process owner(fake("cache"));
  owner.wait_for("registered");
  Child stranger = tries(kStranger, "cache");
  ASSERT_THAT(stranger.hear(), HasSubstr("denied"));
  const Finished asked = release();
  EXPECT_EQ(asked.status, 0) << asked.out;
  EXPECT_THAT(asked.out, HasSubstr("1 of 1 acked"));
}

TEST_F(RefusedTest, ADaemonWithTheSdkIsAskedAsSoonAsTheReasonIsGone) {
  Process broker = start_broker();
  std::vector<std::string> zccache{"/usr/bin/setpriv", "--reuid=65534", "--regid=65534",
                                   "--clear-groups", program("muster-zccache")};
  auto of_that_version = fake("zccache");
  of_that_version.insert(of_that_version.end(), {"--version", "1.4.2"});
  Process owner(of_that_version);
  owner.wait_for("registered");
  Process daemon(zccache, with_environment({{"MUSTER_SOCKET_DIR", sockets().native()}}));
  broker.wait_for("not registered: another user's process has its key");
  EXPECT_EQ(release().status, 1);
  owner.end(SIGTERM);
  EXPECT_EQ(release().status, 1) << "it was not asked yet";
  broker.wait_for("backend registered");
  EXPECT_THAT(ctl({"backends"}).out, Not(HasSubstr("not registered")));
}

}  // namespace
}  // namespace muster::test
