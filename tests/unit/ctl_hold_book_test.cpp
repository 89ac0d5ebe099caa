// What becomes of holds while a command runs: what the operator hears of it, and what the exit
// status of the command is worth then.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "musterctl/foreground_child.h"
#include "musterctl/hold_lease.h"

namespace muster::ctl {
namespace {

const std::string kLost17 = "hold 17 of /srv is lost, and nothing keeps the files released: ";

LeasedHold released(HoldId id = 17, bool verified = true) {
  return {id, BroadcastOperation::release_handles("/srv"), verified};
}

HoldInfo going_on(HoldId id = 17) {
  HoldInfo hold;
  hold.id = id;
  hold.operation = BroadcastOperation::release_handles("/srv");
  hold.state.leased = true;
  hold.state.since_unix_ms = 1;
  hold.state.scans = 1;
  hold.state.last_verdict = HolderVerdict::kClear;
  return hold;
}

HoldInfo ended_as(HoldEnd why, HoldId id = 17) {
  HoldInfo hold = going_on(id);
  hold.state.ended = why;
  return hold;
}

HoldInfo violated(pid_t pid, std::string command) {
  HoldInfo hold = going_on();
  Holder holder;
  holder.pid = pid;
  holder.command = std::move(command);
  holder.held = {{HeldBy::kDescriptor, 1}};
  hold.state.violations.push_back({holder, 2});
  return hold;
}

using Sentences = std::vector<std::string>;

TEST(HoldBook, OneThatHeldToItsEndLeavesTheCommandsStatus) {
  HoldBook book({released()});
  EXPECT_EQ(book.noted(going_on()), Sentences{});
  EXPECT_EQ(book.going_on(), std::vector<HoldId>{17});
  EXPECT_EQ(book.ended(ended_as(HoldEnd::kCompleted)), Sentences{});
  EXPECT_EQ(book.going_on(), std::vector<HoldId>{});
  EXPECT_EQ(book.status(0), 0);
  EXPECT_EQ(book.status(7), 7);
  EXPECT_EQ(book.status(128 + 9), 128 + 9);
  EXPECT_EQ(book.text(HoldStyle()), "");
}

TEST(HoldBook, SaysEachViolationOnceAndAgainInTheEnd) {
  HoldBook book({released()});
  EXPECT_EQ(book.noted(violated(42, "vim")),
            Sentences{"hold 17 of /srv is violated: vim (pid 42) took files in use"});
  EXPECT_EQ(book.noted(violated(42, "vim")), Sentences{});
  // A broker that restarted knows nothing of it any more.
  EXPECT_EQ(book.noted(going_on()), Sentences{});
  EXPECT_EQ(book.noted(violated(43, "two words")),
            Sentences{"hold 17 of /srv is violated: \"two words\" (pid 43) took files in use"});
  book.ended(ended_as(HoldEnd::kCompleted));
  EXPECT_EQ(book.status(0), 6);
  EXPECT_EQ(book.status(7), 7);
  HoldStyle style;
  style.user = [](uid_t) { return "root"; };
  EXPECT_EQ(book.text(style),
            "PID  USER      COMMAND      UNIT  BACKEND  HOLDS         EXAMPLE  TO END IT\n"
            "42   root (0)  vim          -     -        1 descriptor  -        kill 42\n"
            "43   root (0)  \"two words\"  -     -        1 descriptor  -        kill 43\n"
            "Violated: during hold 17 2 holders took files below /srv in use.\n");
}

TEST(HoldBook, NamesTheKernelAsAViolator) {
  HoldBook book({released()});
  HoldInfo hold = violated(0, "kernel");
  hold.state.violations[0].holder.object = "/dev/loop0";
  EXPECT_EQ(book.noted(hold),
            Sentences{"hold 17 of /srv is violated: the kernel (/dev/loop0) took files in use"});
}

TEST(HoldBook, OneThatEndedBeforeTheCommandIsLost) {
  HoldBook book({released()});
  EXPECT_EQ(book.noted(ended_as(HoldEnd::kExpired)), Sentences{kLost17 + "it ended: expired"});
  EXPECT_EQ(book.noted(ended_as(HoldEnd::kExpired)), Sentences{});
  EXPECT_EQ(book.lost(17, "again"), "");
  EXPECT_TRUE(book.going_on().empty());
  EXPECT_EQ(book.status(0), 6);
  EXPECT_EQ(book.status(1), 1);
}

TEST(HoldBook, OneThatTheBrokerDoesNotKnowIsLost) {
  HoldBook book({released()});
  EXPECT_EQ(book.lost(17, "no hold 17 goes on"), kLost17 + "no hold 17 goes on");
  EXPECT_EQ(book.status(0), 6);
}

// Somebody else ended it a moment before.
TEST(HoldBook, OneThatEndedOtherwiseIsLost) {
  HoldBook book({released()});
  EXPECT_EQ(book.ended(ended_as(HoldEnd::kAbandoned)), Sentences{kLost17 + "it ended: abandoned"});
  EXPECT_EQ(book.status(0), 6);
}

TEST(HoldBook, OneThatNobodyEndedIsNoYes) {
  HoldBook book({released()});
  EXPECT_EQ(book.status(0), 6);
}

TEST(HoldBook, TheKernelsLastWordCounts) {
  for (const auto verdict : {HolderVerdict::kHeld, HolderVerdict::kUnknown}) {
    HoldInfo hold = ended_as(HoldEnd::kCompleted);
    hold.state.last_verdict = verdict;
    HoldBook book({released()});
    book.ended(hold);
    EXPECT_EQ(book.status(0), 6);
    EXPECT_EQ(book.text(HoldStyle()),
              verdict == HolderVerdict::kHeld
                  ? "Held: at the end of the hold files below /srv were in use: `musterctl "
                    "holders` shows who has them.\n"
                  : "Unknown: at the end of the hold it could not be seen whether files below /srv "
                    "are in use.\n");
  }
  // Nobody asked the kernel.
  HoldInfo hold = ended_as(HoldEnd::kCompleted);
  hold.state.scans = 0;
  hold.state.last_verdict = HolderVerdict::kUnknown;
  HoldBook acks({released(17, false)});
  acks.ended(hold);
  EXPECT_EQ(acks.status(0), 0);
  HoldBook verified({released()});
  verified.ended(hold);
  EXPECT_EQ(verified.status(0), 6) << "the last scan is missing";
}

TEST(HoldBook, TheWorstOfSeveralHoldsCounts) {
  HoldBook book({released(17), released(18)});
  book.noted(going_on(17));
  book.noted(going_on(18));
  book.ended(ended_as(HoldEnd::kCompleted, 17));
  EXPECT_EQ(book.going_on(), std::vector<HoldId>{18});
  EXPECT_EQ(book.status(0), 6);
  book.ended(ended_as(HoldEnd::kCompleted, 18));
  EXPECT_EQ(book.status(0), 0);
}

TEST(HoldBook, SaysOnceThatTheBrokerIsAwayAndThatItIsBack) {
  HoldBook book({released()});
  EXPECT_EQ(book.came_back(), "");
  EXPECT_EQ(book.went_away("the broker closed the connection"),
            "trying to connect again, to keep the hold: the broker closed the connection");
  EXPECT_TRUE(book.is_away());
  EXPECT_EQ(book.went_away("again"), "");
  EXPECT_EQ(book.came_back(), "connected again; the hold goes on");
  EXPECT_FALSE(book.is_away());
  book.lost(17, "gone");
  EXPECT_EQ(book.went_away("nothing to keep"), "");
}

TEST(HoldBook, OfAQuiesceSpeaksOfBackends) {
  HoldBook book({{17, BroadcastOperation::quiesce(QuiesceReason::kMaintenance), false}});
  EXPECT_EQ(book.lost(17, "resumed"),
            "hold 17 is lost, and nothing keeps backends quiesced: resumed");
}

// --- the command

// What the terminal sends it sends to all of the foreground, so the command has it already.
TEST(SignalRelay, PassesOnWhatWasSentToMusterctlAlone) {
  for (const int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) {
    EXPECT_EQ(relay_of(signal, SI_USER), SignalRelay::kPassOn) << signal;
    EXPECT_EQ(relay_of(signal, SI_TKILL), SignalRelay::kPassOn) << signal;
    EXPECT_EQ(relay_of(signal, SI_QUEUE), SignalRelay::kPassOn) << signal;
    // Of a terminal that hung up the command hears from musterctl alone.
    const auto of_terminal = signal == SIGHUP ? SignalRelay::kPassOn : SignalRelay::kNone;
    EXPECT_EQ(relay_of(signal, SI_KERNEL), of_terminal) << signal;
  }
  EXPECT_EQ(relay_of(SIGCHLD, CLD_EXITED), SignalRelay::kNone);
}

TEST(CommandStatus, IsItsOwnOr128AndItsSignal) {
  EXPECT_EQ(exit_status_of_child(0), 0);
  EXPECT_EQ(exit_status_of_child(7 << 8), 7);
  EXPECT_EQ(exit_status_of_child(255 << 8), 255);
  EXPECT_EQ(exit_status_of_child(SIGKILL), 128 + SIGKILL);
  EXPECT_EQ(exit_status_of_child(SIGSEGV | 0x80), 128 + SIGSEGV) << "with a core";
}

}  // namespace
}  // namespace muster::ctl
