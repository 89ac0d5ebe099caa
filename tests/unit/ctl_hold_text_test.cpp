// What an operator reads of holds.
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "musterctl/hold_text.h"
#include "support/view_values.h"

namespace muster::ctl {
namespace {

constexpr std::uint64_t kNoon = 1'709'294'400'000;  // 2024-03-01 12:00:00 UTC
constexpr std::uint64_t kMinute = 60'000;

class HoldText : public testing::Test {
 protected:
  HoldText() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    style.user = [](uid_t uid) { return uid == 1000 ? "alice" : ""; };
    style.now_unix_ms = kNoon + kMinute;
    state.since_unix_ms = kNoon;
  }
  std::string line() const { return shown_hold(17, state, style.now_unix_ms); }
  void violate(pid_t pid) {
    Holder holder;
    holder.pid = pid;
    holder.uid = 1000;
    holder.command = "vim";
    holder.held = {{HeldBy::kDescriptor, 1}};
    holder.example = "/srv/a";
    state.violations.push_back({holder, kNoon + 1});
  }
  HoldInfo info(BroadcastOperation operation) const {
    HoldInfo hold;
    hold.id = 17;
    hold.operation = std::move(operation);
    hold.acked = 4;
    hold.state = state;
    return hold;
  }

  HoldStyle style;
  HoldState state;
};

TEST_F(HoldText, SaysWhatEndsAHold) {
  const std::string since = "hold 17 goes on since 12:00:00, ";
  EXPECT_EQ(line(), since + "until it is ended");
  state.expires_unix_ms = kNoon + 10 * kMinute;
  EXPECT_EQ(line(), since + "until 12:10:00");
  state.leased = true;
  EXPECT_EQ(line(), since + "until 12:10:00 at the latest, while its operator is connected");
  state.expires_unix_ms = 0;
  EXPECT_EQ(line(), since + "while its operator is connected");
  state.owner_away = true;
  EXPECT_EQ(line(), since + "while its operator may still come back");
}

TEST_F(HoldText, SaysThatItHasNotBegunOrHasEnded) {
  state.since_unix_ms = 0;
  EXPECT_EQ(line(), "hold 17 begins when every outcome is in");
  state.since_unix_ms = kNoon;
  state.ended = HoldEnd::kAbandoned;
  state.ended_unix_ms = kNoon + kMinute;
  EXPECT_EQ(line(), "hold 17 ended at 12:01:00: abandoned");
  state.ended = HoldEnd::kExpired;
  EXPECT_EQ(line(), "hold 17 ended at 12:01:00: expired");
  state.ended = HoldEnd::kCompleted;
  state.ended_unix_ms = 0;
  EXPECT_EQ(line(), "hold 17 ended: completed");
}

TEST_F(HoldText, NamesWhoViolatedItAndWhatWouldEndThat) {
  EXPECT_EQ(show_violations(17, state, "/srv", style), "");
  violate(42);
  EXPECT_EQ(show_violations(17, state, "/srv", style),
            "PID  USER          COMMAND  UNIT  BACKEND  HOLDS         EXAMPLE  TO END IT\n"
            "42   alice (1000)  vim      -     -        1 descriptor  /srv/a   kill 42\n"
            "Violated: during hold 17 1 holder took files below /srv in use.\n");
  violate(43);
  state.more_violations = 7;
  EXPECT_EQ(show_violations(17, state, "/srv", style),
            "PID  USER          COMMAND  UNIT  BACKEND  HOLDS         EXAMPLE  TO END IT\n"
            "42   alice (1000)  vim      -     -        1 descriptor  /srv/a   kill 42\n"
            "43   alice (1000)  vim      -     -        1 descriptor  /srv/a   kill 43\n"
            "and 7 more\n"
            "Violated: during hold 17 9 holders took files below /srv in use.\n");
}

TEST_F(HoldText, OfOneSaysAllThatIsKnown) {
  state.scans = 3;
  state.last_verdict = HolderVerdict::kHeld;
  violate(42);
  HoldInfo hold = info(BroadcastOperation::release_handles("/srv"));
  hold.asked_by = Operator{1000, 812, "backup"};
  EXPECT_EQ(show_hold(hold, style),
            "hold 17 goes on since 12:00:00, until it is ended\n"
            "  of          release-handles /srv\n"
            "  acked       4 backends\n"
            "  asked by    alice (uid 1000), pid 812, backup\n"
            "  looked at   3 times, at last: held\n" +
                show_violations(17, state, "/srv", style));
  state = {};
  EXPECT_EQ(show_hold(info(BroadcastOperation::quiesce(QuiesceReason::kMaintenance)), style),
            "hold 17 begins when every outcome is in\n"
            "  of          quiesce (maintenance)\n"
            "  acked       4 backends\n");
}

TEST_F(HoldText, OfAllIsATable) {
  EXPECT_EQ(show_holds({}, style), "no hold goes on\n");
  HoldInfo first = info(BroadcastOperation::release_handles("/srv"));
  first.state.expires_unix_ms = kNoon + 10 * kMinute;
  first.asked_by = Operator{1000, 812, "backup"};
  violate(42);
  HoldInfo second = info(BroadcastOperation::quiesce(QuiesceReason::kMaintenance));
  second.id = 18;
  second.state.leased = true;
  second.state.since_unix_ms = 0;
  EXPECT_EQ(
      show_holds({first, second}, style),
      "ID  OF                     ACKED  SINCE     GOES ON                          "
      "VIOLATIONS  ASKED BY\n"
      "17  release-handles /srv   4      12:00:00  until 12:10:00                   0         "
      "  alice (uid 1000), pid 812, backup\n"
      "18  quiesce (maintenance)  4      -         while its operator is connected  1         "
      "  -\n");
}

}  // namespace
}  // namespace muster::ctl
