// The wall clock steps by an hour: deadlines and ages do not notice, ids still only grow.
//
// Only the broker's clock is stepped (tests/clock_shim), while it runs.
#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "system/fault_fixture.h"

namespace muster::test {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kHour = 3600;

class FaultClockTest : public FaultTest {
 protected:
  FaultClockTest() {
    step(0);
    setup_.environment = {{"LD_PRELOAD", program("libmuster_clock_shim.so")},
                          {"MUSTER_CLOCK_FILE", file_.native()}};
  }
  // In place: it is mapped.
  void step(std::int64_t seconds) const {
    std::fstream file(file_, std::ios::in | std::ios::out | std::ios::binary);
    if (!file) file.open(file_, std::ios::out | std::ios::binary);
    file.write(reinterpret_cast<const char*>(&seconds), sizeof(seconds));
  }
  // How far ahead of this process's clock the broker's is, in hours.
  static std::int64_t hours_ahead(const BroadcastReport& report) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto ours = std::chrono::duration_cast<milliseconds>(now).count();
    const auto ahead = static_cast<std::int64_t>(report.started_unix_ms) - ours;
    return (ahead + (ahead > 0 ? 1800 : -1800) * 1000) / (kHour * 1000);
  }

  TempDir dir_;
  std::filesystem::path file_ = dir_ / "clock";
  BrokerSetup setup_;
};

TEST_F(FaultClockTest, AnHourForwardOrBackMovesNoDeadline) {
  setup_.broker["register_timeout"] = "\"50ms\"";
  // What an hour would make old.
  setup_.broker["report_age"] = "\"30m\"";
  setup_.broker["dead_age"] = "\"30m\"";
  inflict(setup_, [this](FaultHost& host) {
    step(0);
    Process& mute = host.backend("mute", {"--on-release", "silent"});
    host.backend("dies").end(SIGKILL);
    const auto is_dead = [](const BackendInfo& info) { return info.state == BackendState::kDead; };
    for (bool dead = false; !dead;) {
      const auto list = host.operators().backends();
      dead = std::any_of(list.begin(), list.end(), is_dead);
    }
    const BroadcastId open = host.release("/open");
    for (const std::int64_t hours : {1, -1}) {
      step(hours * kHour);
      const BroadcastId short_one = host.release("/short", milliseconds(20));
      host.operators().report(short_one, true);
      const BroadcastReport kept = host.operators().report(short_one);
      EXPECT_EQ(hours_ahead(kept), hours) << "the clock was not stepped";
      EXPECT_EQ(kept.result.timeouts.size(), 1u) << "a deadline that was due did not come";
      TestBackend shy = host.connect();
      EXPECT_EQ(shy.hears(), "refused (too slow): no Register came within 0.05 s");
      if (hours == -1) host.at_its_worst();
      EXPECT_EQ(host.operators().report(open).state, BroadcastState::kRunning)
          << "a deadline that was far away came";
      EXPECT_EQ(host.operators().backends().size(), 2u) << "the dead one is not old";
    }
    mute.end(SIGKILL);
    EXPECT_EQ(host.operators().report(open, true).result.failures.size(), 1u);
    host.operators().forget_lost_roster();  // the test's own process was refused, and lives
  });
}

TEST_F(FaultClockTest, NoIdIsUsedAgainByABrokerThatStartsAnHourEarlier) {
  inflict(setup_, [this](FaultHost& host) {
    step(0);
    host.backend("quick");
    const BroadcastId before = host.release("/before");
    step(-kHour);
    host.restart_broker();
    const BroadcastId after = host.release("/after");
    EXPECT_EQ(hours_ahead(host.operators().report(after)), -1) << "the clock was not stepped";
    EXPECT_GT(after, before);
    host.at_its_worst();
  });
}

}  // namespace
}  // namespace muster::test
