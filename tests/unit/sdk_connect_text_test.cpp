// What is said to a backend that may not connect.
#include <grp.h>
#include <pwd.h>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "sdk/connect_text.h"

namespace muster {
namespace {

TEST(BackendConnectTextTest, ASocketOfAGroupNamesTheGroupAndTheUser) {
  const ::group* daemons = ::getgrnam("daemon");
  const ::passwd* www = ::getpwnam("www-data");
  if (daemons == nullptr || www == nullptr) GTEST_SKIP() << "no group daemon or user www-data";
  EXPECT_EQ(permission_remedy({0, daemons->gr_gid, 0660}, www->pw_uid),
            "it belongs to the group daemon: add the user to it (usermod -aG daemon www-data) and "
            "start this program again");
}

TEST(BackendConnectTextTest, AGroupOrUserWithoutAnEntryIsANumberOrAWord) {
  EXPECT_EQ(permission_remedy({0, 4'000'000'001, 0660}, 4'000'000'002),
            "it belongs to the group 4000000001: add the user to it (usermod -aG 4000000001 USER) "
            "and start this program again");
}

TEST(BackendConnectTextTest, WhereNoGroupHelpsTheConfigurationDoes) {
  const std::string configuration = "[sockets] in the broker's configuration says who may";
  EXPECT_EQ(permission_remedy({0, 0, 0660}, 33), configuration) << "root's group is for nobody";
  EXPECT_EQ(permission_remedy({0, 4'000'000'001, 0600}, 33), configuration) << "it has no access";
}

TEST(BackendConnectTextTest, ABrokerThatIsNotThereIsSaidAsThat) {
  const std::string text =
      why_not_connected(std::make_error_code(std::errc::no_such_file_or_directory), "/x/b.sock");
  EXPECT_EQ(text, "there is no broker at /x/b.sock: No such file or directory");
}

}  // namespace
}  // namespace muster
