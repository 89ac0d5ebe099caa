// Fails a test, or a whole test program, that ends with descriptors or children that it did not
// have when it began. Every test program has one: tests/main.cpp.
//
// What a fixture of a whole suite holds is there before its first test and gone after its last:
// the program's end counts for it.
#pragma once

#include <gtest/gtest.h>

#include "support/holdings.h"

namespace muster::test {

class LeakGate final : public testing::EmptyTestEventListener {
 public:
  void OnTestIterationStart(const testing::UnitTest& unit_test, int iteration) override;
  void OnTestStart(const testing::TestInfo& test) override;
  void OnTestEnd(const testing::TestInfo& test) override;
  // After the environments and fixtures are gone, and in time to fail the program.
  void OnTestIterationEnd(const testing::UnitTest& unit_test, int iteration) override;

 private:
  Holdings before_program_;
  Holdings before_test_;
};

}  // namespace muster::test
