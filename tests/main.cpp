// The main of every test program: GoogleTest's, with a gate against leaks.
#include <gtest/gtest.h>

#include "support/leak_gate.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  // GoogleTest owns it. Listeners hear of ends in reverse order: this one speaks before the printer
  // says how the test ended.
  testing::UnitTest::GetInstance()->listeners().Append(new muster::test::LeakGate);
  return RUN_ALL_TESTS();
}
