// What a broker writes down of its policy, and who reads it while that broker runs.
#include <fstream>
#include <string>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "musterd/state/policy_record.h"
#include "support/temp_dir.h"

namespace muster::daemon {
namespace {

using testing::HasSubstr;

TEST(DaemonPolicyRecord, IsReadAsItWasWritten) {
  const test::TempDir dir;
  const PolicyRecord record{::getpid(), {7, 0, 2}};
  ASSERT_EQ(write_policy_record(dir.path(), record), "");
  const RunningPolicy running = policy_of_running_broker(dir.path());
  EXPECT_EQ(running.problem, "");
  EXPECT_EQ(running.record, record);
}

TEST(DaemonPolicyRecord, AnythingElseIsNone) {
  const std::string good = format_policy_record({4711, {3, 1, 12}});
  EXPECT_EQ(good, "muster policy 2\npid 4711\nregister 3\ncontrol 1\nconnect 12\n");
  EXPECT_TRUE(parse_policy_record(good));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_policy_record(good.substr(0, size))) << size;
  }
  EXPECT_FALSE(parse_policy_record(good + '\n'));
  for (const char* text :
       {"muster policy 1\npid 4711\nrules 3\n",
        "muster policy 3\npid 4711\nregister 3\ncontrol 1\nconnect 12\n",
        "muster policy 2\npid 0\nregister 3\ncontrol 1\nconnect 12\n",
        "muster policy 2\npid -1\nregister 3\ncontrol 1\nconnect 12\n",
        "muster policy 2\npid 4711\nregister -3\ncontrol 1\nconnect 12\n",
        "muster policy 2\npid 4711\ncontrol 1\nregister 3\nconnect 12\n",
        "muster policy 2\npid 99999999999999999999\nregister 3\ncontrol 1\nconnect 12\n"}) {
    EXPECT_FALSE(parse_policy_record(text)) << text;
  }
}

TEST(DaemonPolicyRecord, WhatCannotBeToldIsAProblem) {
  const test::TempDir dir;
  EXPECT_THAT(policy_of_running_broker(dir.path()).problem, HasSubstr("No such file or directory"));
  std::ofstream(dir / "policy") << "muster policy 2\npid 12";
  EXPECT_THAT(policy_of_running_broker(dir.path()).problem, HasSubstr("is damaged"));
  // Above any that a kernel gives out.
  ASSERT_EQ(write_policy_record(dir.path(), {0x7FFFFFFF, {3, 0, 0}}), "");
  EXPECT_THAT(policy_of_running_broker(dir.path()).problem, HasSubstr("which has ended"));
}

}  // namespace
}  // namespace muster::daemon
