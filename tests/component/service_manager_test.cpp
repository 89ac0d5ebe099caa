// What musterd's loop tells a service manager, where only the loop's own turns matter.
#include <chrono>
#include <cstdlib>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <gtest/gtest.h>

#include "musterd/service/notify.h"

namespace muster::daemon {
namespace {

TEST(ServiceManagerTest, ATimerThatExpiredBeforeItWasDoneArmsNothingAnyMore) {
  ::setenv("WATCHDOG_USEC", "2000", 1);  // fed at half of it
  asio::io_context loop(1);
  ServiceManager manager(loop.get_executor());
  ::unsetenv("WATCHDOG_USEC");
  // Both expire before the loop turns, so both handlers wait for their turn: this one's first.
  asio::steady_timer first(loop, std::chrono::milliseconds(0));
  first.async_wait([&](std::error_code) { manager.done(); });
  manager.start_watchdog();
  asio::steady_timer(loop, std::chrono::milliseconds(1)).wait();  // it expires after the watchdog's
  EXPECT_EQ(loop.run_for(std::chrono::seconds(5)), 2u) << "each handler once";
  EXPECT_TRUE(loop.stopped()) << "nothing is left to wait for";
}

}  // namespace
}  // namespace muster::daemon
