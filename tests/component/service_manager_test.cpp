// What musterd's loop tells a service manager, where only the loop's own turns matter.
#include "support/service_manager.h"

#include <chrono>
#include <cstdlib>
#include <optional>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <gtest/gtest.h>

#include "musterd/service/notify.h"
#include "support/temp_dir.h"

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

// With a WATCHDOG_USEC and a socket of its own.
class WatchdogTest : public ::testing::Test {
 protected:
  WatchdogTest() {
    ::setenv("WATCHDOG_USEC", "2000", 1);
    ::setenv("NOTIFY_SOCKET", (dir_ / "notify").c_str(), 1);
    manager_.emplace(loop_.get_executor());
    ::unsetenv("WATCHDOG_USEC");
    ::unsetenv("NOTIFY_SOCKET");
  }

  test::TempDir dir_;
  test::NotifySocket notify_{dir_ / "notify"};
  asio::io_context loop_{1};
  std::optional<ServiceManager> manager_;
};

TEST_F(WatchdogTest, IsFedOnlyWhileAllIsWell) {
  int asked = 0;
  manager_->start_watchdog([&] {
    if (++asked == 4) manager_->done();
    return asked == 3;
  });
  loop_.run();
  manager_->ready("the end");
  EXPECT_EQ(asked, 4);
  EXPECT_EQ(notify_.wait_for(""), "WATCHDOG=1") << "for the third time that it was asked";
  EXPECT_EQ(notify_.wait_for(""), "WATCHDOG=1; EXTEND_TIMEOUT_USEC=10000000")
      << "once more at the end, for the state that is still to be written";
  EXPECT_EQ(notify_.wait_for(""), "READY=1; STATUS=the end") << "and not for the others";
}

}  // namespace
}  // namespace muster::daemon
