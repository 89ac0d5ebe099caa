// What musterd's loop tells a service manager, where only the loop's own turns matter.
#include <chrono>
#include <cstdlib>
#include <thread>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <gtest/gtest.h>

#include "service/notify.h"

namespace muster::daemon {
namespace {

using std::chrono::milliseconds;

TEST(ServiceManagerTest, ATimerThatExpiredBeforeItWasDoneArmsNothingAnyMore) {
  ::setenv("WATCHDOG_USEC", "20000", 1);
  asio::io_context loop(1);
  ServiceManager manager(loop.get_executor());
  ::unsetenv("WATCHDOG_USEC");
  // Both expire before the loop turns, so both handlers wait for their turn: this one's first.
  asio::steady_timer first(loop, milliseconds(1));
  first.async_wait([&](std::error_code) { manager.done(); });
  manager.start_watchdog();
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(loop.run_for(std::chrono::seconds(5)), 2u) << "each handler once";
  EXPECT_TRUE(loop.stopped()) << "nothing is left to wait for";
}

}  // namespace
}  // namespace muster::daemon
