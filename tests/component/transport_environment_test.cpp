// Runs before any test: where the transport that was asked for cannot be had, nothing is run.
#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "broker/transport.h"
#include "component/deaf_events.h"
#include "support/test_transport.h"

namespace muster::test {
namespace {

class TransportEnvironment final : public ::testing::Environment {
 public:
  void SetUp() override {
    asio::io_context context;
    DeafEvents deaf;
    try {
      (void)make_transport(test_transport(), context, 1, deaf);
    } catch (const std::runtime_error& why) {
      // The words that ctest takes for "skipped".
      GTEST_SKIP() << "[  SKIPPED ] " << why.what();
    }
  }
};

[[maybe_unused]] const auto* const kTransportEnvironment =
    ::testing::AddGlobalTestEnvironment(new TransportEnvironment);

}  // namespace
}  // namespace muster::test
