// A broadcast in waves: how many are in one, who is, when it stops, and what the whole is worth.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "muster/json.h"

#include "musterctl/exit_status.h"
#include "musterctl/options.h"
#include "musterctl/waves.h"
#include "musterctl/waves_text.h"
#include "support/view_values.h"
#include "unit/ctl_waves_fixture.h"

namespace muster::ctl {
namespace {

// What is wrong with it, or how it is shown again.
std::string read(const std::string& text, std::uint32_t least) {
  Amount amount;
  const std::string problem = read_amount(text, least, amount);
  return problem.empty() ? shown_amount(amount) : problem;
}

TEST(Waves, ReadNumbersAndShares) {
  const std::string no_number = " is no number of backends: write 3, or 25% for a share of them";
  const struct {
    const char* text;
    std::uint32_t least;
    std::string expected;
  } kRows[] = {
      {"1", 1, "1"},
      {"4294967295", 1, "4294967295"},
      {"1%", 1, "1%"},
      {"100%", 1, "100%"},
      {"0", 0, "0"},
      {"0%", 0, "0%"},
      {"0", 1, "\"0\" is too few: the least is 1 or 1%"},
      {"0%", 1, "\"0%\" is too few: the least is 1 or 1%"},
      {"101%", 0, "\"101%\" is more than all: the most is 100%"},
      {"", 0, "\"\"" + no_number},
      {"%", 0, "\"%\"" + no_number},
      {"-1", 0, "\"-1\"" + no_number},
      {"+1", 0, "\"+1\"" + no_number},
      {"1.5", 0, "\"1.5\"" + no_number},
      {"3 ", 0, "\"3 \"" + no_number},
      {"50%%", 0, "\"50%%\"" + no_number},
      {"4294967296", 0, "\"4294967296\"" + no_number},
  };
  for (const auto& row : kRows) EXPECT_EQ(read(row.text, row.least), row.expected) << row.text;
}

TEST(Waves, AShareIsRoundedUpForABatchAndDownForFailures) {
  const struct {
    Amount amount;
    std::size_t targets = 0;
    std::size_t batch = 0;
    std::size_t failures = 0;
  } kRows[] = {
      {{3, false}, 10, 3, 3}, {{30, false}, 10, 30, 30}, {{1, true}, 1, 1, 0},
      {{1, true}, 100, 1, 1}, {{1, true}, 101, 2, 1},    {{33, true}, 3, 1, 0},
      {{34, true}, 3, 2, 1},  {{50, true}, 3, 2, 1},     {{99, true}, 3, 3, 2},
      {{100, true}, 3, 3, 3}, {{100, true}, 0, 1, 0},    {{25, true}, 8, 2, 2},
      {{25, true}, 9, 3, 2},  {{10, true}, 9, 1, 0},     {{10, true}, 10'000, 1'000, 1'000},
  };
  for (const auto& row : kRows) {
    const std::string of = shown_amount(row.amount) + " of " + std::to_string(row.targets);
    EXPECT_EQ(wave_size(row.amount, row.targets), row.batch) << of;
    EXPECT_EQ(failures_allowed(row.amount, row.targets), row.failures) << of;
  }
  EXPECT_EQ(failures_allowed({0, false}, 10), 0U);
  EXPECT_EQ(failures_allowed({0, true}, 10), 0U);
}

std::string names(const std::vector<WaveTarget>& targets) {
  std::string text;
  for (const WaveTarget& one : targets) {
    text += (text.empty() ? "" : " ") + one.key.service_name + one.key.replica;
  }
  return text;
}

// "a b | c d", the first wave in brackets.
std::string picture(const std::vector<Wave>& waves) {
  std::string text;
  for (const Wave& wave : waves) {
    if (!text.empty()) text += " | ";
    text += wave.is_first ? '[' + names(wave.targets) + ']' : names(wave.targets);
  }
  return text;
}

Selection selection(const std::vector<std::string>& texts) {
  Selection all;
  for (const std::string& text : texts) all.push_back(Selector::parse(text).selector);
  return all;
}

TEST(Waves, KeepTheOrderOfRegistration) {
  const std::vector<WaveTarget> targets = {target("c", 1), target("a", 2), target("b", 3),
                                           target("e", 4), target("d", 5)};
  EXPECT_EQ(picture(plan_waves(targets, {}, 2)), "c a | b e | d");
  EXPECT_EQ(picture(plan_waves(targets, {}, 1)), "c | a | b | e | d");
  EXPECT_EQ(picture(plan_waves(targets, {}, 5)), "c a b e d");
  EXPECT_EQ(picture(plan_waves(targets, {}, 100)), "c a b e d");
  EXPECT_EQ(picture(plan_waves(targets, {}, std::nullopt)), "c a b e d");
  EXPECT_EQ(picture(plan_waves({}, {}, 2)), "");
}

TEST(Waves, BeginWithThoseThatGoFirst) {
  const std::vector<WaveTarget> targets = {target("a", 1), target("b", 2, {}, {{"tier", "canary"}}),
                                           target("c", 3), target("d", 4, {}, {{"tier", "canary"}}),
                                           target("e", 5)};
  const Selection canary = selection({"label.tier=canary"});
  EXPECT_EQ(picture(plan_waves(targets, canary, std::nullopt)), "[b d] | a c e");
  // --batch is of those that follow.
  EXPECT_EQ(picture(plan_waves(targets, canary, 1)), "[b d] | a | c | e");
  EXPECT_EQ(picture(plan_waves(targets, selection({"service=[ab]", "service=e"}), 2)),
            "[a b e] | c d");
  EXPECT_EQ(picture(plan_waves(targets, selection({"service=*"}), 1)), "[a b c d e]");
  EXPECT_EQ(picture(plan_waves(targets, selection({"service=x"}), 3)), "a b c | d e");
}

// No selection tells them apart.
TEST(Waves, ProcessesThatShareAKeyStandInOneWave) {
  const std::vector<WaveTarget> targets = {target("a", 1), target("b", 2), target("a", 3, "~3"),
                                           target("b", 4, "r"), target("a", 5, "~5")};
  EXPECT_EQ(picture(plan_waves(targets, {}, 1)), "a a~3 a~5 | b | br");
  EXPECT_EQ(picture(plan_waves(targets, {}, 4)), "a a~3 a~5 b | br");
  EXPECT_EQ(picture(plan_waves(targets, selection({"service=a,replica=~3"}), 9)),
            "[a a~3 a~5] | b br");
}

TEST(Waves, AskTheirTargetsAndNobodyElse) {
  Wave wave;
  wave.targets = {target("a", 1, {}, {{"tier", "hot"}}), target("b", 2, "x", {{"tier", "cold"}})};
  const auto everybody = selections_of_wave(wave, {});
  ASSERT_EQ(everybody.size(), 1U);
  EXPECT_TRUE(selects(everybody[0], key_of("a"), {}));
  EXPECT_TRUE(selects(everybody[0], key_of("b", "1.0.0", "x"), {}));
  EXPECT_TRUE(selects(everybody[0], key_of("a", "1.0.0", "~7"), {}));
  EXPECT_FALSE(selects(everybody[0], key_of("b"), {}));
  EXPECT_FALSE(selects(everybody[0], key_of("a", "1.0.1"), {}));
  EXPECT_FALSE(selects(everybody[0], key_of("c"), {}));
  // A new process of that key is asked if --select selects it, and only then.
  const auto hot = selections_of_wave(wave, selection({"label.tier=hot", "service=z"}));
  ASSERT_EQ(hot.size(), 1U);
  EXPECT_TRUE(selects(hot[0], key_of("a"), {{"tier", "hot"}}));
  EXPECT_FALSE(selects(hot[0], key_of("a"), {{"tier", "cold"}}));
  EXPECT_FALSE(selects(hot[0], key_of("b", "1.0.0", "x"), {{"tier", "cold"}}));
}

TEST(Waves, ThatAreLargeAreAskedInPartsThatABrokerTakes) {
  for (const int count : {1, 64, 65, 1'000}) {
    Wave wave;
    for (int i = 0; i < count; ++i) wave.targets.push_back(target("s" + std::to_string(i), i + 1));
    std::size_t selected = 0;
    const auto parts = selections_of_wave(wave, selection({"service=s*"}));
    for (const Selection& part : parts) {
      std::size_t terms = 0;
      for (const Selector& one : part) terms += one.terms().size();
      EXPECT_LE(terms, 256U);
      EXPECT_GT(part.size(), 0U);
      selected += part.size();
    }
    EXPECT_EQ(selected, wave.targets.size()) << count;
  }
  Wave wave;
  wave.targets = {target("a", 1)};
  const std::string long_selector =
      "service=a,service=a,service=a,service=a,service=a,service=a,service=a,service=a,service=a,"
      "service=a,service=a,service=a,service=a";
  EXPECT_THROW(static_cast<void>(selections_of_wave(wave, selection({long_selector}))), UsageError);
}

// The labels of one that could not be listed are not known: the broker decides.
TEST(Waves, AskForWhomTheyDoNotKnowByAllThatIsSelected) {
  Wave wave;
  wave.targets = {target("a", 1)};
  const auto parts = selections_of_wave(wave, selection({"label.q=z", "label.r=y"}));
  ASSERT_EQ(parts.size(), 1U);
  ASSERT_EQ(parts[0].size(), 2U);
  EXPECT_TRUE(selects(parts[0], key_of("a"), {{"q", "z"}}));
  EXPECT_FALSE(selects(parts[0], key_of("a"), {}));
  EXPECT_FALSE(selects(parts[0], key_of("b"), {{"q", "z"}}));
}

TEST(Waves, AskForAKeyInOnePart) {
  Wave wave;
  for (int i = 0; i < 150; ++i) wave.targets.push_back(target("a" + std::to_string(i), i + 1));
  const auto parts = selections_of_wave(wave, selection({"service=a*", "version=1.0.0"}));
  EXPECT_GT(parts.size(), 1U);
  for (const WaveTarget& one : wave.targets) {
    const auto asks = [&](const Selection& part) { return selects(part, one.key, one.labels); };
    EXPECT_EQ(std::count_if(parts.begin(), parts.end(), asks), 1) << one.key.to_string();
  }
}

TEST(Waves, AreOfThoseThatWouldBeAsked) {
  std::vector<BackendInfo> listed = {target("a", 1), target("lost", 2), target("b", 3),
                                     target("dead", 4), target("other", 5)};
  listed[1].state = BackendState::kLost;
  listed[3].state = BackendState::kDead;
  DryRun dry_run;
  dry_run.would_ask = {key_of("a"), key_of("b"), key_of("gone"), key_of("dead")};
  dry_run.would_fail = {outcome_of("lost", 2, OutcomeKind::kFailure),
                        outcome_of("refused", 9, OutcomeKind::kFailure)};
  EXPECT_EQ(names(wave_targets(dry_run, listed)), "a lost b dead refused gone");
}

TEST(Waves, CountWhoDidNotAckAndNotTheDeadAndThoseThatLeft) {
  const WaveTarget a = target("a", 1);
  const WaveTarget b = target("b", 2);
  const WaveTarget c = target("c", 3);
  const WaveResult result =
      asked({a, b, c}, {row(a, OutcomeKind::kAck), row(b, OutcomeKind::kSkippedDead)});
  EXPECT_EQ(result.failures, 0U);
  EXPECT_EQ(names(result.left), "c");
  EXPECT_EQ(asked({a, b}, {row(a, OutcomeKind::kTimeout), row(b, OutcomeKind::kFailure)}).failures,
            2U);
  EXPECT_EQ(asked({a}, {row(a, OutcomeKind::kOpen)}).failures, 1U);
  EXPECT_EQ(asked({a}, {row(a, kUnknownOutcome)}).failures, 1U);
  // Whose report could not be read did not leave.
  const WaveResult cut = asked({a, b}, {row(a, OutcomeKind::kAck)}, true);
  EXPECT_EQ(names(cut.left), "");
  EXPECT_EQ(names(cut.no_answer), "b");
  EXPECT_EQ(cut.failures, 1U);
  // A process whose key has another "~" by now.
  EXPECT_EQ(names(asked({target("a", 5, "~5")}, {row(target("a", 5), OutcomeKind::kAck)}).left),
            "");
}

TEST(Waves, FindNewcomersAndNewProcessesOfAnOldKey) {
  const WaveTarget a = target("a", 1);
  const WaveTarget b = target("b", 2);
  const BroadcastReport merged = merged_report(report_of(
      {asked({a}, {row(a, OutcomeKind::kAck)}), asked({b}, {row(b, OutcomeKind::kFailure)})}));
  EXPECT_EQ(names(not_asked_yet({a, b}, merged)), "");
  WaveTarget new_process = a;
  new_process.pid = 7;
  WaveTarget new_connection = b;
  new_connection.incarnation = 8;
  EXPECT_EQ(names(not_asked_yet({new_process, new_connection, target("c", 3)}, merged)), "a b c");
  EXPECT_EQ(names(not_asked_yet({target("a", 4, "~4")}, merged)), "a~4");
  // The dead one of that incarnation was not asked: it would have to be, if it lived.
  const BroadcastReport dead =
      merged_report(report_of({asked({a}, {row(a, OutcomeKind::kSkippedDead)})}));
  EXPECT_EQ(names(not_asked_yet({a}, dead)), "a");
}

TEST(Waves, AreAYesOnlyIfEverybodyAckedAndNobodyIsMissing) {
  const WaveTarget a = target("a", 1);
  const WaveTarget b = target("b", 2);
  const WaveResult a_acked = asked({a}, {row(a, OutcomeKind::kAck)});
  const auto status = [](const WavesReport& report) { return status_of_waves(report, false); };
  EXPECT_EQ(status(report_of({a_acked, asked({b}, {row(b, OutcomeKind::kAck)})})), kAllAcked);
  EXPECT_EQ(status(report_of({a_acked, asked({b}, {row(b, OutcomeKind::kSkippedDead)})})),
            kAllAcked);
  // It left, and may live and hold files.
  EXPECT_EQ(status(report_of({a_acked, asked({b}, {})})), kNotAllAcked);
  EXPECT_EQ(status(report_of({a_acked, asked({b}, {row(b, OutcomeKind::kFailure)})})),
            kNotAllAcked);
  EXPECT_EQ(status(report_of({a_acked, asked({b}, {}, true)})), kNotAllAcked);
  EXPECT_EQ(status(report_of({})), kNobody);
  EXPECT_EQ(status_of_waves(report_of({}), true), kAllAcked);
  WavesReport unknown = report_of({a_acked});
  unknown.backends_unknown = true;
  EXPECT_EQ(status(unknown), kNotAllAcked);
  WavesReport sessions = report_of({a_acked});
  sessions.others_not_asked = {"session of uid 1000, /run/user/1000/muster"};
  EXPECT_EQ(status(sessions), kNotAllAcked);
  WavesReport rest = report_of({a_acked});
  rest.not_asked = {b};
  EXPECT_EQ(status(rest), kNotAllAcked);
  WavesReport stopped = report_of({a_acked});
  stopped.stopped = "the --deadline has passed";
  EXPECT_EQ(status(stopped), kNotAllAcked);
  WavesReport verified = report_of({a_acked});
  verified.verify = true;
  EXPECT_EQ(status(verified), kStillHeld);  // it was not
  verified.verification.emplace();
  EXPECT_EQ(status(verified), kStillHeld);
  verified.verification->scan.verdict = HolderVerdict::kClear;
  EXPECT_EQ(status(verified), kAllAcked);
}

// It is asked again when a new process comes that has its key.
TEST(Waves, AProcessThatIsAskedTwiceCountsOnceAndDoesNotGetBetter) {
  const WaveTarget a = target("a", 1);
  const WaveTarget other = target("a", 2, "~2");
  const auto acked = [](const WavesReport& report) {
    const BroadcastReport merged = merged_report(report);
    return std::to_string(merged.result.acks.size()) + " of " +
           std::to_string(merged.result.sent_count());
  };
  const WaveResult both =
      asked({other}, {row(a, OutcomeKind::kAck), row(other, OutcomeKind::kAck)});
  EXPECT_EQ(acked(report_of({asked({a}, {row(a, OutcomeKind::kAck)}), both})), "2 of 2");
  EXPECT_EQ(acked(report_of({asked({a}, {row(a, OutcomeKind::kFailure)}), both})), "1 of 2");
  EXPECT_EQ(acked(report_of({both, asked({a}, {row(a, OutcomeKind::kFailure)})})), "1 of 2");
  // It acked, and then its process ended.
  EXPECT_EQ(acked(report_of({both, asked({a}, {row(a, OutcomeKind::kSkippedDead)})})), "2 of 2");
}

}  // namespace
}  // namespace muster::ctl
