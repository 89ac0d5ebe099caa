#include "support/leak_gate.h"

#include <csignal>
#include <string>
#include <sys/wait.h>

namespace muster::test {
namespace {

// A child that was left behind is told once, and does not outlive the program. Only what `before`
// did not have: our own children that nobody waited for.
void end_children(const Holdings& before, const Holdings& now) {
  for (const auto& [pid, what] : now.children) {
    if (before.children.contains(pid)) continue;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
}

}  // namespace

void LeakGate::OnTestIterationStart(const testing::UnitTest& /*unit_test*/, int /*iteration*/) {
  before_program_ = own_holdings();
}

void LeakGate::OnTestStart(const testing::TestInfo& /*test*/) { before_test_ = own_holdings(); }

void LeakGate::OnTestEnd(const testing::TestInfo& test) {
  const auto now = own_holdings();
  const auto more = leaked(before_test_, now);
  if (more.empty()) return;
  ADD_FAILURE() << test.test_suite_name() << '.' << test.name() << " leaves behind\n" << more;
  end_children(before_test_, now);
}

void LeakGate::OnTestIterationEnd(const testing::UnitTest& /*unit_test*/, int /*iteration*/) {
  const auto now = own_holdings();
  const auto more = leaked(before_program_, now);
  if (more.empty()) return;
  ADD_FAILURE() << "the test program leaves behind\n" << more;
  end_children(before_program_, now);
}

}  // namespace muster::test
