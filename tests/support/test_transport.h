// The transport that this run of the tests is about.
//
// MUSTER_TEST_TRANSPORT says it; ctest runs what goes through the broker once for each. A test
// program that has io_uring asked of it where the kernel does not have it runs nothing, and says
// so (tests/component/transport_environment_test.cpp).
#pragma once

#include <cstdlib>
#include <string>

namespace muster::test {

inline std::string test_transport() {
  const char* const chosen = std::getenv("MUSTER_TEST_TRANSPORT");
  return chosen == nullptr ? "epoll" : chosen;
}

}  // namespace muster::test
