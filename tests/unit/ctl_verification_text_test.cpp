// What an operator reads of a release that was verified: who acked and still has files, the table
// of holders, and the last sentence, which is the answer.
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "musterctl/report_text.h"
#include "musterctl/verification_text.h"
#include "support/view_values.h"

namespace muster::ctl {
namespace {

using namespace std::chrono_literals;
using test::finished;
using test::key_of;
using test::outcome_of;
using testing::HasSubstr;
using testing::Not;

Verification verified(HolderVerdict verdict, std::uint64_t files = 0, std::uint64_t proven = 0) {
  Verification verification;
  verification.scan.prefix = "/var/cache/x";
  verification.scan.verdict = verdict;
  verification.scan.leases.files = files;
  verification.scan.leases.proven = proven;
  verification.scans = 1;
  return verification;
}

Holder holder_of(pid_t pid, std::uint64_t count, HeldBy kind = HeldBy::kDescriptor) {
  Holder holder;
  holder.pid = pid;
  holder.uid = 1000;
  holder.command = "cached";
  holder.held = {{kind, count}};
  holder.example = "/var/cache/x/a";
  return holder;
}

class VerifiedReport : public testing::Test {
 protected:
  VerifiedReport() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    style.user = [](uid_t uid) { return uid == 1000 ? "alice" : ""; };
    style.now_unix_ms = 1'709'294'540'000;
  }
  static BroadcastReport report_of(std::vector<BackendOutcome> backends) {
    BroadcastReport report =
        finished(BroadcastOperation::release_handles("/var/cache/x"), std::move(backends));
    report.verify = true;
    return report;
  }
  static std::vector<BackendOutcome> acks(int count) {
    std::vector<BackendOutcome> all;
    for (int i = 0; i < count; ++i) {
      all.push_back(outcome_of("b" + std::to_string(i), 812 + i, OutcomeKind::kAck, 3ms));
    }
    return all;
  }
  std::string shown_report(const BroadcastReport& report) { return show_report(report, {}, style); }
  static std::string answer(const BroadcastReport& report) {
    return answer_of_release(report, Paint());
  }

  ReportStyle style;
};

TEST_F(VerifiedReport, EndsWithOneSentenceThatIsTheAnswer) {
  BroadcastReport report = report_of(acks(4));
  report.verification = verified(HolderVerdict::kClear, 187, 187);
  EXPECT_EQ(shown_report(report),
            "release-handles /var/cache/x: 4 of 4 acked in 1.2 s (broadcast 17)\n"
            "Released: 4 of 4 acked, nobody holds a file below /var/cache/x (187 of 187 files "
            "proven).\n");
}

TEST_F(VerifiedReport, SaysForEachResultWhatItIsWorth) {
  BroadcastReport report = report_of(acks(2));
  const std::string where = " below /var/cache/x";

  report.verification = verified(HolderVerdict::kClear);
  EXPECT_EQ(answer(report), "Released: 2 of 2 acked, nobody holds a file" + where + ".\n");

  report.verification->scans = 5;
  report.verification->took = 2'300ms;
  report.verification->scan.leases.files = 1;
  report.verification->scan.leases.proven = 1;
  EXPECT_EQ(answer(report), "Released: 2 of 2 acked, nobody holds a file" + where +
                                " (1 of 1 file proven; 5 scans in 2.3 s).\n");

  report.verification = verified(HolderVerdict::kHeld);
  report.verification->scan.holders = {holder_of(99, 1)};
  EXPECT_EQ(answer(report),
            "Not released: 2 of 2 acked, but 1 holder has files" + where + " in use.\n");
  report.verification->scan.holders.push_back(holder_of(98, 1));
  EXPECT_EQ(answer(report),
            "Not released: 2 of 2 acked, but 2 holders have files" + where + " in use.\n");

  report.verification = verified(HolderVerdict::kUnknown);
  EXPECT_EQ(answer(report),
            "Unknown: 2 of 2 acked, but it could not be seen whether somebody holds a file" +
                where + ".\n");
  report.verification->scan.problem = "muster-scan does not answer";
  EXPECT_EQ(answer(report),
            "Unknown: 2 of 2 acked, but the kernel was not asked: muster-scan does not answer.\n");
}

TEST_F(VerifiedReport, IsNoYesWhereNotEverybodyAcked) {
  BroadcastReport report = report_of(
      {outcome_of("a", 812, OutcomeKind::kAck, 3ms), outcome_of("b", 813, OutcomeKind::kTimeout)});
  report.verification = verified(HolderVerdict::kClear, 3, 3);
  EXPECT_EQ(answer(report),
            "Not released: 1 of 2 acked; nobody holds a file below /var/cache/x (3 of 3 files "
            "proven).\n");
  report = report_of(acks(2));
  report.verification = verified(HolderVerdict::kClear);
  report.backends_unknown = true;
  EXPECT_EQ(answer(report),
            "Not released: 2 of 2 acked, the broker does not know all backends; nobody holds a "
            "file below /var/cache/x.\n");
  // What a newer broker says is no ack.
  report =
      report_of({outcome_of("a", 812, OutcomeKind::kAck), outcome_of("b", 1, kUnknownOutcome)});
  report.verification = verified(HolderVerdict::kClear);
  EXPECT_THAT(answer(report), testing::StartsWith("Not released: 1 of 2 acked; "));
}

TEST_F(VerifiedReport, OfNobodyAskedSaysSo) {
  BroadcastReport report = report_of({});
  report.verification = verified(HolderVerdict::kClear);
  EXPECT_EQ(answer(report),
            "Released: no backend was asked, nobody holds a file below /var/cache/x.\n");
  report.verification = verified(HolderVerdict::kHeld);
  report.verification->scan.holders = {holder_of(99, 1)};
  EXPECT_EQ(answer(report),
            "Not released: no backend was asked, but 1 holder has files below /var/cache/x in "
            "use.\n");
}

TEST_F(VerifiedReport, WithoutAVerificationIsUnknown) {
  BroadcastReport report = report_of(acks(1));
  report.state = BroadcastState::kCancelled;
  EXPECT_EQ(answer(report),
            "Unknown: 1 of 1 acked, but the verification was cut short: it is not known who has "
            "files below /var/cache/x in use.\n");
  report.verify = false;
  report.state = BroadcastState::kFinished;
  EXPECT_EQ(answer(report),
            "Unknown: 1 of 1 acked, but the broker cannot verify: it is older than this musterctl: "
            "it is not known who has files below /var/cache/x in use.\n");
  EXPECT_THAT(shown_report(report), Not(HasSubstr("Unknown")));
  style.verify = true;
  EXPECT_THAT(shown_report(report), HasSubstr("\nUnknown: 1 of 1 acked, but the broker cannot"));
}

// An ack that is not true stands before everything else.
TEST_F(VerifiedReport, NamesFirstWhoAckedAndStillHolds) {
  BroadcastReport report = report_of({outcome_of("late", 811, OutcomeKind::kTimeout, 2s),
                                      outcome_of("a", 812, OutcomeKind::kAck, 3ms),
                                      outcome_of("b", 813, OutcomeKind::kAck, 3ms)});
  report.verification = verified(HolderVerdict::kHeld);
  Holder lies = holder_of(813, 2);
  lies.held.push_back({HeldBy::kMapping, 1});
  lies.backend = key_of("b");
  Holder silent = holder_of(811, 1);
  silent.backend = key_of("late");
  report.verification->scan.holders = {lies, silent, holder_of(99, 1, HeldBy::kWorkingDirectory)};
  EXPECT_EQ(
      shown_report(report),
      "release-handles /var/cache/x: 2 of 3 acked in 1.2 s (broadcast 17)\n"
      "  still holds b 1.0.0 (pid 813, uid 1000 alice): acked, still holds 3 files\n"
      "  timed out   late 1.0.0 (pid 811, uid 1000 alice): no answer within 2 s\n"
      "PID  USER          COMMAND  UNIT  BACKEND     HOLDS                     EXAMPLE         TO "
      "END IT\n"
      "813  alice (1000)  cached   -     b 1.0.0     2 descriptors, 1 mapping  /var/cache/x/a  "
      "musterctl release-handles /var/cache/x\n"
      "811  alice (1000)  cached   -     late 1.0.0  1 descriptor              /var/cache/x/a  "
      "musterctl release-handles /var/cache/x\n"
      "99   alice (1000)  cached   -     -           1 working directory       /var/cache/x/a  cd "
      "to another directory there, or kill 99\n"
      "`musterctl result 17 --json` has every detail\n"
      "Not released: 2 of 3 acked; 3 holders have files below /var/cache/x in use.\n");
}

TEST_F(VerifiedReport, AddsUpWhatProcessesOfOneBackendHold) {
  BroadcastReport report = report_of({outcome_of("a", 812, OutcomeKind::kAck)});
  report.verification = verified(HolderVerdict::kHeld);
  Holder one = holder_of(812, 1);
  one.backend = key_of("a");
  report.verification->scan.holders = {one};
  ASSERT_EQ(still_holding(report).size(), 1U);
  EXPECT_EQ(shown_still(still_holding(report)[0]), "acked, still holds 1 file");
  Holder other = holder_of(813, 4);
  other.backend = key_of("a");
  report.verification->scan.holders.push_back(other);
  EXPECT_EQ(shown_still(still_holding(report)[0]), "acked, still holds 5 files");
  report.verification->scan.holders = {one};
  report.verification->scan.holders[0].possibly = true;
  EXPECT_EQ(shown_still(still_holding(report)[0]), "acked, possibly still holds 1 file");
  report.backends[0].outcome = OutcomeKind::kTimeout;
  EXPECT_TRUE(still_holding(report).empty());
}

TEST_F(VerifiedReport, WhileTheKernelIsAskedHasNoAnswerYet) {
  BroadcastReport report = report_of(acks(2));
  report.state = BroadcastState::kVerifying;
  EXPECT_EQ(shown_report(report),
            "release-handles /var/cache/x: 2 of 2 acked in 1.2 s; asking the kernel who has files "
            "in use (broadcast 17)\n"
            "`musterctl result 17 --wait` waits for it, `musterctl cancel 17` stops it\n");
}

TEST_F(VerifiedReport, SaysHowItsHoldStands) {
  BroadcastReport report = report_of(acks(1));
  report.verification = verified(HolderVerdict::kClear);
  HoldState& hold = report.hold.emplace();
  hold.since_unix_ms = 1'709'294'532'000;
  hold.expires_unix_ms = hold.since_unix_ms + 600'000;
  EXPECT_EQ(shown_report(report),
            "release-handles /var/cache/x: 1 of 1 acked in 1.2 s (broadcast 17)\n"
            "hold 17 goes on since 12:02:12, until 12:12:12\n"
            "Released: 1 of 1 acked, nobody holds a file below /var/cache/x.\n");
}

}  // namespace
}  // namespace muster::ctl
