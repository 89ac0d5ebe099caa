// Runs before any test: where the transport that was asked for cannot be had, nothing is run.
#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "broker/transport.h"
#include "support/test_transport.h"

namespace muster::test {
namespace {

struct Deaf final : broker::Transport::Events {
  void turn_begins() noexcept override {}
  void frame_arrived(core::ConnectionId, std::string_view) override {}
  void stream_broken(core::ConnectionId, std::string) override {}
  void lost(core::ConnectionId, core::LossCause) override {}
  void handling_failed(core::ConnectionId, std::string_view) noexcept override {}
};

class TransportEnvironment final : public ::testing::Environment {
 public:
  void SetUp() override {
    asio::io_context context;
    Deaf deaf;
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
