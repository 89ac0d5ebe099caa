// A loop that runs only while the test waits for something, so what happened when is the test's to
// say.
#pragma once

#include <chrono>
#include <optional>

#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "support/test_backend.h"

namespace muster::test {

class LoopFixture : public ::testing::Test {
 protected:
  // Runs one handler of the loop. False (and a failure) when nothing happened for too long.
  bool run_one() {
    if (context_->run_one_for(kPatience) == 1) return true;
    ADD_FAILURE() << "nothing happened for too long";
    return false;
  }
  // All that can be done without waiting.
  void settle() {
    while (context_->poll() > 0) {
    }
  }

  std::optional<asio::io_context> context_;
};

}  // namespace muster::test
