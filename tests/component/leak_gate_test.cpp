// The gate is shown real leaks: each test runs itself once more as a program of its own, and there
// leaves something behind.
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <optional>
#include <string>
#include <sys/eventfd.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/child.h"
#include "support/holdings.h"
#include "support/process.h"

namespace muster::test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

constexpr const char* kInside = "MUSTER_LEAK_GATE_INSIDE";

// What the program says that runs this test alone and does `what` in it; nothing in that program.
std::optional<Finished> program_that(const std::function<void()>& what) {
  if (std::getenv(kInside) != nullptr) {
    what();
    return std::nullopt;
  }
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  const auto name = std::string(test->test_suite_name()) + '.' + test->name();
  ProcessOptions options;
  options.environment = {{kInside, "1"}, {"GTEST_OUTPUT", ""}};
  return run_program({"/proc/self/exe", "--gtest_filter=" + name}, options);
}

TEST(LeakGate, FailsATestThatLeavesADescriptorOpenAndSaysWhichAndWhatItIs) {
  const auto finished = program_that([] { (void)::eventfd(0, EFD_CLOEXEC); });
  if (!finished) return;
  EXPECT_EQ(finished->status, 1);
  EXPECT_THAT(finished->out,
              AllOf(HasSubstr("ADescriptorOpenAndSaysWhichAndWhatItIs leaves behind\n"),
                    HasSubstr(": anon_inode:[eventfd]"), HasSubstr("[  FAILED  ] LeakGate."),
                    HasSubstr("the test program leaves behind")));
}

TEST(LeakGate, TellsADescriptorThatWasClosedAndOpenedAgainForSomethingElse) {
  EXPECT_EQ(leaked({{{3, "pipe:[1]"}}, {}}, {{{3, "pipe:[2]"}}, {}}), "descriptor 3: pipe:[2]");
}

TEST(LeakGate, SeesWhatAnotherProcessHolds) {
  Child other([](Child::Side& side) {
    if (::open("/dev/zero", O_RDONLY | O_CLOEXEC) >= 0) side.say("open");
    side.wait_to_be_told();
  });
  ASSERT_EQ(other.hear(), "open");
  EXPECT_THAT(holdings_of(other.pid()).descriptors, Contains(Pair(testing::_, "/dev/zero")));
}

TEST(LeakGate, FailsATestThatLeavesAZombie) {
  const auto finished = program_that([] {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  });
  if (!finished) return;
  EXPECT_EQ(finished->status, 1);
  EXPECT_THAT(finished->out, AllOf(HasSubstr("\nchild "), HasSubstr("(zombie)"),
                                   Not(HasSubstr("the test program leaves behind"))))
      << "the gate ends it, so that it is told once";
}

TEST(LeakGate, FailsATestThatLeavesARunningChildAndEndsThatChild) {
  const auto finished = program_that([] {
    if (::fork() == 0) {
      for (;;) ::pause();
    }
  });
  if (!finished) return;
  EXPECT_EQ(finished->status, 1);
  EXPECT_THAT(finished->out, AllOf(HasSubstr("\nchild "), HasSubstr("(runs)")));
}

TEST(LeakGate, LetsATestPassThatClosesWhatItOpened) {
  const auto finished = program_that([] { ::close(::eventfd(0, EFD_CLOEXEC)); });
  if (!finished) return;
  EXPECT_EQ(finished->status, 0) << finished->out;
}

}  // namespace
}  // namespace muster::test
